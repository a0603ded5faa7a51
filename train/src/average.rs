//! The average of several checkpoints of one configuration ("model soups", Wortsman et al. 2022; stochastic weight averaging over a run's own).

use crate::checkpoint::model_dir;
use crate::{Error, Learner, Result};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use unisono_files::{Budget, read_json};

/// What a model sees beside its weights: all must have the same.
const CONTRACT: [&str; 3] = ["preprocessor_config.json", "tokenizer.json", "fusion.json"];

/// The average.
#[derive(Debug)]
pub struct Averaged {
    /// The model.
    pub model: Learner,
    /// The part of each checkpoint; together 1.
    pub weights: Vec<f64>,
    /// What should be known of it.
    pub notes: Vec<String>,
}

/// The average of the weights of `folders`: runs (their best checkpoint), `RUN/last`, `RUN/step-000500`, model directories. `weights`: the part
/// of each, in any unit; without them equal parts.
///
/// # Errors
/// Fewer than two, another number of weights, or checkpoints of different configurations, tokenizers or processors.
pub fn average(folders: &[PathBuf], weights: Option<&[f64]>) -> Result<Averaged> {
    let [first, others @ ..] = folders else {
        return Err(Error::setting("average", "expected two checkpoints or more, found none"));
    };
    if others.is_empty() {
        return Err(Error::setting("average", "expected two checkpoints or more, found one"));
    }
    let weights = parts(folders.len(), weights)?;
    let model = Learner::load(&model_dir(first), Device::Cpu)?;
    let scaled =
        |t: &Tensor, weight: f64| tch::no_grad(|| Ok::<_, Error>(t.f_to_kind(Kind::Double)? * weight));
    let params = model.params();
    let mut weight = weights.iter().copied();
    let own = weight.next().unwrap_or_default();
    let mut sums: Vec<Tensor> = params.iter().map(|(_, p)| scaled(&p.tensor, own)).collect::<Result<_>>()?;
    for (folder, weight) in others.iter().zip(weight) {
        let next = Learner::load(&model_dir(folder), Device::Cpu)?;
        same(first, &model, folder, &next)?;
        for (sum, (_, p)) in sums.iter_mut().zip(next.params().iter()) {
            let _ = sum.f_add_(&scaled(&p.tensor, weight)?)?;
        }
    }
    for ((_, p), sum) in params.iter().zip(&sums) {
        tch::no_grad(|| p.tensor.shallow_clone().f_copy_(sum))?;
    }
    let mut notes = Vec::new();
    if params.iter().any(|(name, p)| !p.trainable && name.contains("running")) {
        notes.push(
            "running statistics of batch norms are averaged, too: they are near those of the average, not equal".into(),
        );
    }
    Ok(Averaged { model, weights, notes })
}

/// The part of each, together 1.
fn parts(count: usize, weights: Option<&[f64]>) -> Result<Vec<f64>> {
    let Some(weights) = weights else { return Ok(vec![1.0 / count as f64; count]) };
    let sum: f64 = weights.iter().sum();
    let sound = weights.iter().all(|w| w.is_finite() && *w >= 0.0) && sum > 0.0 && sum.is_finite();
    if weights.len() != count || !sound {
        let message = format!("expected {count} numbers, none below 0 and one above it, found {weights:?}");
        return Err(Error::setting("weights", message));
    }
    Ok(weights.iter().map(|w| w / sum).collect())
}

/// # Errors
/// The second is another model than the first.
fn same(first: &Path, one: &Learner, folder: &Path, other: &Learner) -> Result<()> {
    let refuse = |what: &str| {
        let message = format!(
            "its {what} is not that of {}: only checkpoints of one configuration have an average",
            first.display()
        );
        Err(Error::Run { path: folder.to_owned(), message })
    };
    if one.towers().config() != other.towers().config() {
        return refuse("config.json");
    }
    for name in CONTRACT {
        let read = |folder: &Path| -> Result<Option<serde_json::Value>> {
            let path = model_dir(folder).join(name);
            if path.exists() { Ok(Some(read_json(&path, &Budget::VOCABULARY)?)) } else { Ok(None) }
        };
        if read(first)? != read(folder)? {
            return refuse(name);
        }
    }
    let shapes = |model: &Learner| -> Vec<(String, Vec<i64>)> {
        model.params().iter().map(|(name, p)| (name.to_owned(), p.tensor.size())).collect()
    };
    if shapes(one) != shapes(other) {
        return refuse("list of weights");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_of_one_whole() {
        assert_eq!(parts(2, None).unwrap(), [0.5, 0.5]);
        assert_eq!(parts(3, Some(&[2.0, 1.0, 1.0])).unwrap(), [0.5, 0.25, 0.25]);
        for wrong in [&[1.0][..], &[1.0, -1.0], &[0.0, 0.0], &[1.0, f64::NAN]] {
            assert!(parts(2, Some(wrong)).unwrap_err().to_string().contains("expected 2 numbers"));
        }
    }
}

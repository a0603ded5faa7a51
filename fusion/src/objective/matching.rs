//! `kind = "match"`: whether a text and what is remembered belong together, against hard negatives (Li et al. 2021).

use super::caption::NONE;
use super::pair::one;
use crate::model::FusionModel;
use crate::{CrossKv, Result};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use unisono_encoders::Pass;

/// True pairs told from hard negatives, by a fusion part with a matching head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// Factor on the loss; 0 leaves the term out.
    #[serde(default = "one")]
    pub weight: f64,
}

/// Pairs of a text and an item of a memory, and whether they belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchPairs {
    /// Numbers of texts.
    pub texts: Vec<usize>,
    /// Numbers of items of the memory.
    pub items: Vec<usize>,
    /// 1: they do.
    pub together: Vec<i64>,
}

impl MatchPairs {
    /// The pairs at some positions.
    pub fn select(&self, at: &[usize]) -> Self {
        let pick = |from: &[usize]| at.iter().map(|i| from[*i]).collect();
        Self {
            texts: pick(&self.texts),
            items: pick(&self.items),
            together: at.iter().map(|i| self.together[*i]).collect(),
        }
    }

    /// Every true pair `(i, i)`, and for each text and for each item its hard negative, where there is one.
    pub fn new(n: usize, item_of_text: &[Option<usize>], text_of_item: &[Option<usize>]) -> Self {
        let mut pairs = Self { texts: (0..n).collect(), items: (0..n).collect(), together: vec![1; n] };
        let negatives = item_of_text.iter().enumerate().filter_map(|(t, i)| Some((t, (*i)?)));
        let others = text_of_item.iter().enumerate().filter_map(|(i, t)| Some(((*t)?, i)));
        for (text, item) in negatives.chain(others) {
            pairs.texts.push(text);
            pairs.items.push(item);
            pairs.together.push(0);
        }
        pairs
    }
}

/// Mean loss of telling which pairs belong together, in nats a pair. `texts`: id lists with their end tokens.
///
/// # Errors
/// No matching head, or libtorch's.
pub fn match_loss<'a>(
    model: &FusionModel,
    memory: &CrossKv,
    texts: &[&[i64]],
    pairs: &MatchPairs,
    pass: impl Into<Pass<'a>>,
) -> Result<Tensor> {
    let device = model.towers().device();
    let pad = model.config().tokens.pad;
    let t = pairs.texts.iter().map(|i| texts[*i].len()).max().unwrap_or(1);
    let (mut ids, mut real) = (Vec::new(), Vec::new());
    for i in &pairs.texts {
        let row = texts[*i];
        ids.extend(row.iter().copied().chain(std::iter::repeat_n(pad, t - row.len())));
        real.extend((0..t).map(|at| at < row.len()));
    }
    let shape = [pairs.texts.len() as i64, t as i64];
    let ids = Tensor::f_from_slice(&ids)?.f_view(shape)?.f_to_device(device)?;
    let real = Tensor::f_from_slice(&real)?.f_view(shape)?.f_to_device(device)?;
    let rows: Vec<i64> = pairs.items.iter().map(|i| *i as i64).collect();
    let memory = memory.select(&Tensor::f_from_slice(&rows)?.f_to_device(device)?)?;
    let logits = model.match_logits(&ids, &real, &memory, pass)?;
    let together = Tensor::f_from_slice(&pairs.together)?.f_to_device(device)?;
    Ok(logits.f_cross_entropy_loss(&together, None::<&Tensor>, tch::Reduction::Mean, NONE, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_hold_every_true_one_and_the_negatives() {
        let p = MatchPairs::new(3, &[Some(2), None, Some(0)], &[Some(1), Some(2), None]);
        assert_eq!(p.texts, [0, 1, 2, 0, 2, 1, 2]);
        assert_eq!(p.items, [0, 1, 2, 2, 0, 0, 1]);
        assert_eq!(p.together, [1, 1, 1, 0, 0, 0, 0]);
    }
}

//! One model of several that began as one: the weighted mean of their weights (WiSE-FT, Wortsman et al. 2022; model soups, the same year).

use crate::{Error, Model, Result};
use serde_json::Value;
use unisono_nn::Scope;

impl Model {
    /// The model whose weights are the sums of those of `models`, each times its weight; they are 1 together. Adapters are merged first.
    ///
    /// # Errors
    /// No models, weights that are not one for each or not 1 together, or models of different configurations or processors, with the first difference.
    pub fn blend(models: Vec<Self>, weights: &[f64]) -> Result<Self> {
        let sum: f64 = weights.iter().sum();
        if models.is_empty() || models.len() != weights.len() || (sum - 1.0).abs() > 1e-9 || !sum.is_finite()
        {
            let found = format!("{} models and {weights:?}", models.len());
            return Err(Error::Input(format!("expected a weight for each model, 1 together; found {found}")));
        }
        let models = models.into_iter().map(Self::merged).collect::<Result<Vec<_>>>()?;
        let said = models.iter().map(said).collect::<Result<Vec<_>>>()?;
        let Some((first, rest)) = said.split_first() else { return Err(Error::Input("no models".into())) };
        if let Some((at, a, b)) = rest.iter().find_map(|other| difference(first, other, String::new())) {
            return Err(Error::Input(format!(
                "expected models of one configuration: {at} is {a} in the first and {b} in another; only models that were one can be blended"
            )));
        }
        let [first, ..] = models.as_slice() else { return Err(Error::Input("no models".into())) };
        let (config, processors, device) =
            (first.config().clone(), first.processors().clone(), first.device());
        let mut model = Self::build(config, processors, Scope::blank(device, u64::MAX), device)?;
        model.set_dims(first.dims())?;
        tch::no_grad(|| {
            for (name, param) in model.params().iter() {
                let mut target = param.tensor.shallow_clone();
                let _ = target.f_zero_()?;
                for (other, weight) in models.iter().zip(weights) {
                    let value = other.params().get(name);
                    let value =
                        value.ok_or_else(|| Error::config(name, "is not among another model's weights"))?;
                    // A weight of nothing takes nothing, even of what is no number.
                    if *weight != 0.0 {
                        let _ = target.f_add_(&value.tensor.f_mul_scalar(*weight)?)?;
                    }
                }
            }
            Ok(())
        })
        .map(|()| model)
    }
}

/// All that decides an embedding besides the weights.
fn said(model: &Model) -> Result<Value> {
    let p = model.processors();
    let text = p.text.as_ref();
    let config = serde_json::to_value(model.config()).map_err(|e| Error::Input(e.to_string()))?;
    let tokenizer: Option<Value> = match text {
        Some(text) => Some(serde_json::from_str(&text.to_json()?).map_err(|e| Error::Input(e.to_string()))?),
        None => None,
    };
    Ok(serde_json::json!({
        "model": config,
        "tokenizer": tokenizer,
        "text": text.map(|t| (t.context_length(), t.rules())),
        "image": p.image,
        "audio": p.audio.as_ref().map(|a| a.config()),
    }))
}

/// The first place where two differ, and what stands there.
fn difference(a: &Value, b: &Value, at: String) -> Option<(String, String, String)> {
    if a == b {
        return None;
    }
    if let (Value::Object(a), Value::Object(b)) = (a, b) {
        let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
        let of =
            |map: &serde_json::Map<String, Value>, key: &str| map.get(key).cloned().unwrap_or(Value::Null);
        let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        return keys.into_iter().find_map(|key| difference(&of(a, key), &of(b, key), below(key)));
    }
    let short = |value: &Value| {
        let text = value.to_string();
        if text.chars().count() > 40 { text.chars().take(40).collect::<String>() + "…" } else { text }
    };
    Some((at, short(a), short(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use tch::{Device, Kind, Tensor};

    fn load(name: &str) -> Model {
        Model::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name), Device::Cpu)
            .unwrap()
    }

    fn far(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().to_kind(Kind::Double).double_value(&[])
    }

    #[test]
    fn between_two_models_lies_their_mean() {
        let pair = || [load("checkpoints/clip-gelu"), load("checkpoints/clip-gelu")];
        let [a, b] = pair();
        tch::no_grad(|| {
            for (_, p) in b.params().iter() {
                let _ = p.tensor.shallow_clone().f_add_scalar_(1.0).unwrap();
            }
        });
        let weights = |m: &Model| m.params().get("text.position.weight").unwrap().tensor.copy();
        let (wa, wb) = (weights(&a), weights(&b));
        let half = Model::blend(vec![a, b], &[0.75, 0.25]).unwrap();
        assert!(far(&weights(&half), &(&wa * 0.75 + &wb * 0.25)) < 1e-6);
        let [a, b] = pair();
        assert_eq!(weights(&Model::blend(vec![a, b], &[1.0, 0.0]).unwrap()), wa);
    }

    #[test]
    fn what_was_never_one_is_told() {
        let told =
            |a: &str, b: &str, w: &[f64]| Model::blend(vec![load(a), load(b)], w).unwrap_err().to_string();
        let said = told("checkpoints/clip-gelu", "checkpoints/clip-quick", &[0.5, 0.5]);
        // What is as usual is not written down.
        let first = "text.transformer.activation is null in the first and \"quick_gelu\" in another";
        assert!(said.contains(first), "{said}");
        let said = told("checkpoints/clip-gelu", "checkpoints/clip-gelu", &[0.5, 0.6]);
        assert!(said.contains("expected a weight for each model, 1 together"), "{said}");
    }
}

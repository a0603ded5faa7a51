//! A model with low-rank adapters on some of its layers (LoRA, DoRA): put on, merged into the weights, and as files of `peft`.

mod peft;

pub use peft::{Names, named_base, write};
pub(crate) use peft::{apply, base, is};

use crate::config::{AdapterConfig, ModelConfig};
use crate::{Error, Model, Result};
use std::collections::BTreeSet;
use tch::Tensor;
use unisono_nn::config::Adaptable;
use unisono_nn::params::matches;
use unisono_nn::{Scope, lengths, merged, number};

impl Model {
    /// The same model with adapters, which change nothing before they are trained: what they begin with is a function of (`seed`, its name).
    ///
    /// # Errors
    /// A model that has adapters already, impossible values, or names that fit no layer.
    pub fn with_adapter(self, mut adapter: AdapterConfig, seed: u64) -> Result<Self> {
        adapter.validate("adapter")?;
        if self.config().adapter.is_some() {
            let message = "the model has adapters already: merge them first (unisono model merge)";
            return Err(Error::config("adapter", message));
        }
        let general: BTreeSet<String> = self.adaptable().iter().map(|of| number(&of.layer).0).collect();
        adapter.names.retain(|ours, _| general.contains(ours));
        let patterns = adapter.layers.clone();
        let config = ModelConfig { adapter: Some(adapter), ..self.config().clone() };
        let model = self.rebuilt(config, Scope::root(seed, self.device()))?;
        let adapted = || model.adaptable().iter().filter(|of| of.adapted);
        if let Some(none) = patterns.iter().find(|p| !adapted().any(|of| matches(p, &of.layer))) {
            let all: Vec<&str> = model.adaptable().iter().take(6).map(|of| of.layer.as_str()).collect();
            let found =
                if all.is_empty() { "there are none in these towers".to_owned() } else { all.join(", ") };
            return Err(Error::config(
                "adapter.match",
                format!("{none:?} fits no linear layer of a block; layers look like {found}"),
            ));
        }
        tch::no_grad(|| {
            for of in adapted() {
                if let Some(magnitude) = model.params().get(&format!("{}.lora_magnitude", of.layer)) {
                    magnitude.tensor.shallow_clone().f_copy_(&lengths(&rows(&model, of)?)?)?;
                }
            }
            Ok(())
        })
        .map(|()| model)
    }

    /// The same model with its adapters' sums in the weights: as fast, and as large, as without them. A model without adapters is what it was.
    ///
    /// # Errors
    /// libtorch's.
    pub fn merged(self) -> Result<Self> {
        let Some(adapter) = &self.config().adapter else { return Ok(self) };
        let config = ModelConfig { adapter: None, ..self.config().clone() };
        let model = self.rebuilt(config, Scope::blank(self.device(), u64::MAX))?;
        tch::no_grad(|| {
            for of in self.adaptable().iter().filter(|of| of.adapted) {
                let get = |what: &str| self.params().get(&format!("{}.{what}", of.layer)).map(|p| &p.tensor);
                if let (Some(a), Some(b)) = (get("lora_A"), get("lora_B")) {
                    let own = rows(&model, of)?;
                    let whole = merged(&own, a, b, get("lora_magnitude"), adapter.scale())?;
                    own.shallow_clone().f_copy_(&whole)?;
                }
            }
            Ok(())
        })
        .map(|()| model)
    }

    /// A model of `config` with these weights where it has parameters of their names.
    fn rebuilt(&self, config: ModelConfig, root: Scope) -> Result<Self> {
        let mut model = Self::build(config, self.processors().clone(), root, self.device())?;
        model.set_dims(self.dims())?;
        tch::no_grad(|| {
            for (name, param) in model.params().iter() {
                if let Some(old) = self.params().get(name) {
                    param.tensor.shallow_clone().f_copy_(&old.tensor)?;
                }
            }
            Ok(())
        })
        .map(|()| model)
    }
}

/// A view of a layer's rows of its weight.
fn rows(model: &Model, of: &Adaptable) -> Result<Tensor> {
    let weight = model.params().get(&of.weight);
    let weight = weight.ok_or_else(|| Error::config(&of.weight, "is not among the model's weights"))?;
    Ok(weight.tensor.f_detach()?.f_narrow(0, of.first, of.rows)?)
}

//! The modules after the pooling, with their weights.

use super::super::source::Plan;
use super::file::{MODULES, Module, tower, with};
use crate::config::{DenseActivation, ModuleConfig, ProjectionConfig};
use crate::{Error, Result};
use std::path::Path;
use unisono_nn::weights::Weights;
use unisono_processors::Json;

/// A module, and the file that its tensors are in.
struct Found {
    config: ModuleConfig,
    weights: Option<Weights>,
    tensors: Vec<Of>,
}

/// A tensor: its name here and there, and its shape.
struct Of {
    ours: &'static str,
    theirs: &'static str,
    shape: Vec<i64>,
}

/// Adds them to what the encoder asks for.
pub(super) fn read(dir: &Path, plan: &mut Plan, modules: &[Module]) -> Result<()> {
    let alone = plan.config.image.is_none();
    let text = tower(&mut plan.config, dir)?;
    for module in modules {
        let width = text.out_width();
        let found = match module.class.as_str() {
            // Of training.
            "Dropout" => continue,
            // Both towers' vectors have length 1 in the shared space as it is.
            "Normalize" if !alone => continue,
            "Normalize" => Found { config: normalize(module)?, weights: None, tensors: Vec::new() },
            "Dense" if alone => dense(module, width)?,
            "LayerNorm" if alone => layer_norm(module, width)?,
            other => {
                let expected = if alone { "Dense, LayerNorm, Normalize or Dropout" } else { "Normalize" };
                let message = format!("module {other:?} is not supported here; expected {expected}");
                return Err(Error::format(&dir.join(MODULES), message));
            }
        };
        let number = text.modules.len();
        if let Some(weights) = found.weights {
            let prefix = format!("modules.{number}.");
            for Of { ours, theirs, shape } in found.tensors {
                if let Some(there) = weights.shape(theirs).filter(|s| *s != shape) {
                    let message = format!("{theirs}: expected {shape:?} numbers, found {there:?}");
                    return Err(Error::format(weights.path(), message));
                }
                plan.map.add(&format!("text.modules.{number}.{ours} = {prefix}{theirs}"), &[])?;
            }
            plan.weights.join(&prefix, weights);
        }
        text.modules.push(found.config);
    }
    if text.projection == ProjectionConfig::None {
        plan.config.embed_dim = text.out_width();
    }
    Ok(())
}

/// A width that a file states and another one fixes.
fn width(json: Json, key: &str, before: i64) -> Result<()> {
    match json.int(key, before)? {
        found if found == before => Ok(()),
        _ => Err(json.wrong(key, format_args!("{before}, the width of what comes before it")).into()),
    }
}

fn dense(module: &Module, before: i64) -> Result<Found> {
    let (path, value) = module.config()?;
    let config = with(&path, &value, "dense", |json| {
        width(json, "in_features", before)?;
        if !json.has("out_features") {
            return Err(json.wrong("out_features", "the width of what comes out").into());
        }
        Ok(ModuleConfig::Dense {
            width: json.int("out_features", 1)?,
            bias: json.bool("bias", true)?,
            activation: activation(json)?,
            residual: json.bool("use_residual", false)?,
        })
    })?;
    let ModuleConfig::Dense { width: after, bias, residual, .. } = config else {
        return Err(Error::format(&path, "expected a dense module"));
    };
    let mut tensors = vec![Of { ours: "weight", theirs: "linear.weight", shape: vec![after, before] }];
    if bias {
        tensors.push(Of { ours: "bias", theirs: "linear.bias", shape: vec![after] });
    }
    if residual && before != after {
        let name = "residual.weight";
        tensors.push(Of { ours: name, theirs: name, shape: vec![after, before] });
    }
    Ok(Found { config, weights: Some(Weights::open(&module.at)?), tensors })
}

/// The activation by the path of its class: PyTorch's, whose names are taken as they are.
fn activation(json: Json) -> Result<DenseActivation> {
    let usual = "torch.nn.modules.activation.Tanh";
    let class = json.text("activation_function", usual)?;
    let name = class.strip_prefix("torch.nn.").map(|path| path.rsplit('.').next().unwrap_or_default());
    let found = DenseActivation::NAMES.iter().find(|(known, _)| Some(*known) == name);
    found.map(|(_, activation)| *activation).ok_or_else(|| {
        let known: Vec<&str> = DenseActivation::NAMES.iter().map(|(name, _)| *name).collect();
        json.wrong("activation_function", format_args!("torch.nn's {}", known.join(", "))).into()
    })
}

fn layer_norm(module: &Module, before: i64) -> Result<Found> {
    let (path, value) = module.config()?;
    with(&path, &value, "layer_norm", |json| width(json, "dimension", before))?;
    let tensors = [("weight", "norm.weight"), ("bias", "norm.bias")];
    let tensors = tensors.map(|(ours, theirs)| Of { ours, theirs, shape: vec![before] }).into();
    // PyTorch's default: the module keeps none.
    let config = ModuleConfig::LayerNorm { eps: 1e-5 };
    Ok(Found { config, weights: Some(Weights::open(&module.at)?), tensors })
}

/// Its folder may be missing: older versions left it empty.
fn normalize(module: &Module) -> Result<ModuleConfig> {
    let path = module.at.join("config.json");
    if let Some(value) = unisono_processors::optional_json(&path)? {
        with(&path, &value, "normalize", |_| Ok(()))?;
    }
    Ok(ModuleConfig::Normalize)
}

//! Fusion parts of model directories: this project's own (`fusion.json`, `fusion.safetensors` beside the towers' files), and those of
//! other libraries' checkpoints.

mod blip;
mod coca;
mod whisper;

use crate::config::FusionConfig;
use crate::model::{FusionModel, Imported};
use crate::{Error, Result};
use std::path::Path;
use tch::Device;
use unisono_encoders::families;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::TextProcessor;

/// A fusion part before its weights are read.
struct Plan {
    config: FusionConfig,
    map: Map,
    weights: Weights,
    text: Option<TextProcessor>,
}

/// Whether the model in `dir` has a fusion part.
///
/// # Errors
/// No model there.
pub fn is(dir: &Path) -> Result<bool> {
    Ok(match families::family(dir)?.as_str() {
        "blip" | "whisper" => true,
        "open_clip" => coca::is(dir)?,
        "unisono" => crate::files::has(dir),
        _ => false,
    })
}

/// Reads the model in `dir`.
///
/// # Errors
/// No fusion part there, a setting that is not supported, missing or broken files, weights that do not fit.
pub fn load(dir: &Path, device: Device) -> Result<Imported> {
    let family = families::family(dir)?;
    let plan = match family.as_str() {
        "blip" => blip::plan(dir)?,
        "whisper" => whisper::plan(dir)?,
        "open_clip" if coca::is(dir)? => coca::plan(dir)?,
        "unisono" if crate::files::has(dir) => return crate::files::load(dir, device),
        _ => {
            return Err(Error::Config(format!(
                "{}: this {family} model has towers only: no head for captions, matching, answers or speech",
                dir.display()
            )));
        }
    };
    plan.config.validate().map_err(|e| told(dir, &e))?;
    let towers = families::load(dir, device)?.model;
    let model = FusionModel::blank(plan.config, towers, plan.text, plan.weights.room())?;
    let report = plan.map.fill(model.params(), &plan.weights)?;
    Ok(Imported { family, model, report })
}

/// An impossible value told with the folder that it was read from.
fn told(dir: &Path, e: &Error) -> Error {
    unisono_encoders::Error::format(dir, e.to_string()).into()
}

/// The generation settings that a checkpoint of Hugging Face brings along.
fn generation(dir: &Path) -> Result<crate::Generation> {
    use serde_json::Value;
    let mut made = crate::Generation::default();
    let path = dir.join("generation_config.json");
    if !path.exists() {
        return Ok(made);
    }
    let value: Value = unisono_processors::read_json(&path)?;
    let json = unisono_processors::Json::new(&path, &value);
    // The ranges of these keys begin at 0 or 1.
    let size = |key: &str, default: usize| -> Result<usize> {
        Ok(usize::try_from(json.int(key, default as i64)?).unwrap_or(default))
    };
    made.max_length = size("max_length", made.max_length)?;
    made.min_length = size("min_length", made.min_length)?;
    made.beams = size("num_beams", made.beams)?;
    made.no_repeat_ngram = size("no_repeat_ngram_size", made.no_repeat_ngram)?;
    made.length_penalty = json.float("length_penalty", made.length_penalty)?;
    made.repetition_penalty = json.float("repetition_penalty", made.repetition_penalty)?;
    Ok(made)
}

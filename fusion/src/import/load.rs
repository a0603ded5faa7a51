//! Which part a checkpoint has, and its model with its weights.

use super::{blip, coca, faster_whisper, whisper};
use crate::model::{FusionModel, Imported};
use crate::{Error, Result};
use std::path::Path;
use tch::Device;
use unisono_encoders::families;

/// Whether the model in `dir` has a fusion part.
///
/// # Errors
/// No model there.
pub fn is(dir: &Path) -> Result<bool> {
    Ok(match families::family(dir)?.as_str() {
        "blip" | "whisper" | "faster-whisper" => true,
        "open_clip" => coca::is(dir)?,
        "unisono" if crate::files::has(dir) => true,
        _ => families::numbers_of_a_pair(dir)? == Some(1),
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
        "faster-whisper" => faster_whisper::plan(dir)?,
        "open_clip" if coca::is(dir)? => coca::plan(dir)?,
        "unisono" if crate::files::has(dir) => return crate::files::load(dir, device),
        _ if families::numbers_of_a_pair(dir)?.is_some() => return pairs(dir, device),
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

/// A model that compares texts.
fn pairs(dir: &Path, device: Device) -> Result<Imported> {
    let families::Imported { family, model, report } = families::load(dir, device)?;
    let labels = model.classifier().map(|c| c.labels.as_slice()).unwrap_or_default();
    if labels.len() != 1 {
        return Err(Error::Config(format!(
            "{}: it tells pairs of texts apart by {} labels ({}); expected one number a pair, as re-rankers give",
            dir.display(),
            labels.len(),
            unisono_files::printable(
                labels.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ")
            )
        )));
    }
    Ok(Imported { family, model: FusionModel::of_pairs(model), report })
}

/// An impossible value told with the folder that it was read from.
fn told(dir: &Path, e: &Error) -> Error {
    unisono_encoders::Error::format(dir, e.to_string()).into()
}

impl FusionModel {
    /// Reads a model with a fusion part: this project's own, or a checkpoint of BLIP, CoCa or Whisper, or a scorer of pairs of texts.
    ///
    /// # Errors
    /// No such part, missing or broken files, weights that do not fit.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        load(dir, device).map(|found| found.model)
    }
}

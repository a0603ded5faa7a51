//! Which family a checkpoint is of, and its towers with their weights.

use super::source::{Checkpoint, Plan};
use super::{
    ast, bert, blip, chinese_clip, clap, clip, dinov2, faster_whisper, mpnet, open_clip, siglip, vit,
    whisper, xclip,
};
use crate::{Error, LoadReport, Model, Result};
use serde_json::Value;
use std::path::Path;
use tch::Device;
use unisono_nn::weights::Weights;
use unisono_processors::Json;

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Imported {
    /// What wrote it: `clip`, `open_clip`, `bert`, …
    pub family: String,
    /// The model.
    pub model: Model,
    /// What was taken from the weights and what was left.
    pub report: LoadReport,
}

/// A `model_type` and what reads it.
type Family = (&'static str, fn(&Checkpoint) -> Result<Plan>);

const FAMILIES: [Family; 17] = [
    ("clip", clip::clip),
    ("siglip", siglip::siglip),
    ("siglip2", siglip::siglip),
    ("chinese_clip", chinese_clip::chinese_clip),
    ("xclip", xclip::xclip),
    ("clap", clap::clap),
    ("blip", blip::blip),
    ("vit", vit::vit),
    ("dinov2", dinov2::dinov2),
    ("dinov2_with_registers", dinov2::dinov2),
    ("bert", bert::bert),
    ("roberta", bert::bert),
    ("xlm-roberta", bert::bert),
    ("mpnet", mpnet::mpnet),
    ("audio-spectrogram-transformer", ast::ast),
    ("whisper", whisper::whisper),
    (faster_whisper::NAME, faster_whisper::plan),
];

/// The family of the checkpoint in `dir`: `unisono`, `open_clip`, `faster-whisper`, or a `model_type` of `config.json`.
///
/// # Errors
/// No configuration there, or none of a known family.
pub fn family(dir: &Path) -> Result<String> {
    let config = dir.join("config.json");
    if dir.join("open_clip_config.json").exists() && (Weights::has_open_clip(dir) || !config.exists()) {
        return Ok("open_clip".to_owned());
    }
    if !config.exists() {
        return Err(Error::format(
            dir,
            "not a model: neither config.json nor open_clip_config.json is there",
        ));
    }
    let value: Value = unisono_processors::read_json(&config)?;
    if faster_whisper::is(dir, &value) {
        return Ok(faster_whisper::NAME.to_owned());
    }
    let found = value.get("model_type").and_then(Value::as_str).unwrap_or("none");
    if found == crate::files::MODEL_TYPE || FAMILIES.iter().any(|(name, _)| *name == found) {
        return Ok(found.to_owned());
    }
    let known: Vec<&str> = FAMILIES.iter().map(|(name, _)| *name).collect();
    Err(Error::format(
        &config,
        format!("model_type is {found:?}; known are unisono, {} and OpenCLIP's format", known.join(", ")),
    ))
}

/// Reads the model in `dir`, this project's own or another library's checkpoint.
///
/// # Errors
/// An unknown family, a setting of it that is not supported, missing or broken files, weights that do not fit.
pub fn load(dir: &Path, device: Device) -> Result<Imported> {
    let family = family(dir)?;
    if family == crate::files::MODEL_TYPE {
        let (model, report) = Model::load_own(dir, device)?;
        return Ok(Imported { family, model, report });
    }
    let path = dir.join(if family == "open_clip" { "open_clip_config.json" } else { "config.json" });
    let plan = if family == "open_clip" {
        open_clip::plan(dir)?
    } else {
        let value: Value = unisono_processors::read_json(&path)?;
        let source = Checkpoint { dir, config: Json::new(&path, &value), family: &family };
        let Some((_, plan)) = FAMILIES.iter().find(|(name, _)| *name == family) else {
            return Err(Error::format(&path, format!("model_type {family:?} is no other library's")));
        };
        plan(&source)?
    };
    plan.config.validate().map_err(|e| Error::format(&path, e.to_string()))?;
    let model = Model::blank(plan.config, plan.processors, device, plan.weights.room())?;
    let report = plan.map.fill(model.params(), &plan.weights)?;
    Ok(Imported { family, model, report })
}

impl Model {
    /// Reads a model from `dir`, this project's own or the checkpoint of another library ([`crate::families`]); strict: every tensor
    /// must be there, of its shape, and none left over.
    ///
    /// # Errors
    /// A missing or broken file, an unknown family, another format version, sizes that do not fit each other.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        load(dir, device).map(|found| found.model)
    }
}

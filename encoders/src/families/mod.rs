//! Checkpoints of other libraries as Unisono models, a page a family: the family is read from the checkpoint's own configuration, the towers are
//! configured from it, and an import map (`maps/*.map`) says which tensor goes where.

mod ast;
mod bert;
mod blip;
mod chinese_clip;
mod clap;
mod clip;
mod common;
mod dinov2;
mod mpnet;
mod open_clip;
mod siglip;
mod vit;
mod whisper;
mod xclip;

use crate::config::{Activation, ModelConfig};
use crate::{Error, LoadReport, Model, Processors, Result};
use serde_json::Value;
use std::path::Path;
use tch::Device;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Cleaning, ImageProcessor, LogMel, MelConfig, TextProcessor, TextRules};
use unisono_processors::{Json, optional_json};

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

/// A checkpoint's towers before their weights are read.
#[derive(Debug)]
pub(crate) struct Plan {
    pub config: ModelConfig,
    pub map: Map,
    pub weights: Weights,
    pub processors: Processors,
}

/// A `model_type` and what reads it.
type Family = (&'static str, fn(&Source) -> Result<Plan>);

const FAMILIES: [Family; 16] = [
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
];

/// A checkpoint's folder and its `config.json`.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub dir: &'a Path,
    pub config: Json<'a>,
    pub family: &'a str,
}

impl Source<'_> {
    /// A JSON file of the folder, if it is there.
    pub fn json(&self, name: &str) -> Result<Option<Value>> {
        Ok(optional_json(&self.dir.join(name))?)
    }
}

/// The family of the checkpoint in `dir`: `unisono`, `open_clip`, or a `model_type` of `config.json`.
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
        let source = Source { dir, config: Json::new(&path, &value), family: &family };
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

/// Hugging Face's name of an activation.
///
/// # Errors
/// A name that is none of them.
pub fn activation(json: Json, key: &str, default: &str) -> Result<Activation> {
    match json.text(key, default)? {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_python_tanh" => Ok(Activation::GeluTanh),
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu" => Ok(Activation::Relu),
        "silu" | "swish" => Ok(Activation::Silu),
        other => Err(Error::format(
            json.path,
            format!(
                "{key}: expected gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu or silu, found {other:?}"
            ),
        )),
    }
}

/// The checkpoint's image processor; `None` where its file is not there.
pub(crate) fn image_processor(source: &Source, config: &ModelConfig) -> Result<Option<ImageProcessor>> {
    let Some(image) = &config.image else { return Ok(None) };
    let Some(value) = source.json("preprocessor_config.json")? else { return Ok(None) };
    let path = source.dir.join("preprocessor_config.json");
    Ok(Some(ImageProcessor::from_hugging_face(Json::new(&path, &value), image.size)?))
}

/// The checkpoint's audio front end; `None` where its file is not there.
pub(crate) fn audio_processor(source: &Source, config: &ModelConfig) -> Result<Option<LogMel>> {
    if config.audio.is_none() {
        return Ok(None);
    }
    let Some(value) = source.json("preprocessor_config.json")? else { return Ok(None) };
    let path = source.dir.join("preprocessor_config.json");
    Ok(Some(LogMel::new(MelConfig::from_hugging_face(Json::new(&path, &value))?)?))
}

/// The checkpoint's tokenizer as its library uses it; `None` where its files are not there.
pub(crate) fn text_processor(
    dir: &Path,
    family: &str,
    config: &ModelConfig,
) -> Result<Option<TextProcessor>> {
    let Some(text) = &config.text else { return Ok(None) };
    let mut rules = TextRules::default();
    if family.starts_with("siglip") {
        rules.fixed_pad = Some(pad_id(dir)?);
        let path = dir.join("tokenizer_config.json");
        let value = optional_json(&path)?.unwrap_or(Value::Null);
        let json = Json::new(&path, &value);
        let gemma = !json.text("tokenizer_class", "SiglipTokenizer")?.starts_with("SiglipTokenizer");
        let lower =
            json.text("tokenizer_class", "")?.starts_with("Siglip2") || json.bool("do_lower_case", false)?;
        // Its library runs SentencePiece itself where there is no tokenizer.json.
        let bare = dir.join("spiece.model").is_file() && !dir.join("tokenizer.json").is_file();
        if !gemma && bare && json.bool("do_lower_case", true)? {
            rules.clean = Cleaning::Siglip;
        }
        if gemma && lower {
            rules.clean = Cleaning::Lowercase;
        }
    }
    let context = usize::try_from(text.context_length).unwrap_or(1);
    Ok(TextProcessor::from_checkpoint(dir, family, context, text.vocab_size, rules)?)
}

/// The id of the padding token that the tokenizer's files name; 1 where they name none, as SigLIP's do.
pub(crate) fn pad_id(dir: &Path) -> Result<i64> {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let Some(value) = optional_json(&dir.join(name))? else { continue };
        let token = value.get("pad_token").map(|t| t.get("content").unwrap_or(t));
        let Some(token) = token.and_then(Value::as_str) else { continue };
        let tokenizer = unisono_processors::read_tokenizer(dir, "siglip")?;
        if let Some(id) = tokenizer.and_then(|t| t.token_to_id(token)) {
            return Ok(i64::from(id));
        }
    }
    Ok(1)
}

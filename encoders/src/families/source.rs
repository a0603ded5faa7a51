//! A checkpoint's folder: what its files say of towers and processors.

use crate::config::{Activation, ModelConfig};
use crate::{Error, Processors, Result};
use serde_json::Value;
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{
    Cleaning, ImageProcessor, Json, LogMel, MelConfig, TextProcessor, TextRules, optional_json,
};

/// A checkpoint's towers before their weights are read.
#[derive(Debug)]
pub(crate) struct Plan {
    pub config: ModelConfig,
    pub map: Map,
    pub weights: Weights,
    pub processors: Processors,
}

/// A checkpoint's folder and its `config.json`.
#[derive(Debug)]
pub(crate) struct Checkpoint<'a> {
    pub dir: &'a Path,
    pub config: Json<'a>,
    pub family: &'a str,
}

impl Checkpoint<'_> {
    /// A JSON file of the folder, if it is there.
    pub fn json(&self, name: &str) -> Result<Option<Value>> {
        Ok(optional_json(&self.dir.join(name))?)
    }
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
pub(crate) fn image_processor(source: &Checkpoint, config: &ModelConfig) -> Result<Option<ImageProcessor>> {
    let Some(image) = &config.image else { return Ok(None) };
    let Some(value) = source.json("preprocessor_config.json")? else { return Ok(None) };
    let path = source.dir.join("preprocessor_config.json");
    Ok(Some(ImageProcessor::from_hugging_face(Json::new(&path, &value), image.size)?))
}

/// The checkpoint's audio front end; `None` where its file is not there.
pub(crate) fn audio_processor(source: &Checkpoint, config: &ModelConfig) -> Result<Option<LogMel>> {
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

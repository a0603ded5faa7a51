//! A checkpoint's folder: what its files say of towers and processors.

use crate::config::{Activation, ModelConfig};
use crate::{Error, Processors, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{
    Cleaning, ImageProcessor, Json, Keys, LogMel, MelConfig, Reads, TextProcessor, TextRules, optional_json,
};

/// What need not be read of `config.json`, in the form of [`unisono_processors::Keys`].
pub const KEYS: &str = include_str!("../../keys/transformers.keys");

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
    /// The settings of a processor, `image_processor` or `feature_extractor`: their part of `processor_config.json`, else
    /// `preprocessor_config.json`, as `transformers` 5 looks for them.
    pub fn processor(&self, part: &'static str) -> Result<Option<Settings>> {
        let path = self.dir.join("processor_config.json");
        if let Some(value) = optional_json(&path)?.filter(|v| v.get(part).is_some_and(Value::is_object)) {
            let reads = Reads::default();
            let whole = Json::new(&path, &value).counted(&reads);
            // Each part is read whole by the processor that it is for.
            whole.pass_over(&["image_processor", "feature_extractor"]);
            whole.finish(&Keys::new(&[KEYS])?, "processor_config.json")?;
            return Ok(Some(Settings { path, value, part: Some(part) }));
        }
        let path = self.dir.join("preprocessor_config.json");
        Ok(optional_json(&path)?.map(|value| Settings { path, value, part: None }))
    }

    /// The padding's id where positions are counted over what is no padding: RoBERTa's kin.
    pub fn padding(&self) -> Result<Option<i64>> {
        let text = if self.family == "clap" { self.config.object("text_config") } else { self.config };
        match self.family {
            "roberta" | "xlm-roberta" | "mpnet" | "clap" | "clap_text_model" => {
                text.int("pad_token_id", 1).map(Some).map_err(Into::into)
            }
            _ => Ok(None),
        }
    }
}

/// A processor's settings, and the file that holds them.
#[derive(Debug)]
pub(crate) struct Settings {
    path: PathBuf,
    value: Value,
    part: Option<&'static str>,
}

impl Settings {
    /// The settings.
    pub fn json(&self) -> Json<'_> {
        let whole = Json::new(&self.path, &self.value);
        self.part.map_or(whole, |part| whole.object(part))
    }
}

/// Hugging Face's name of an activation.
///
/// # Errors
/// A name that is none of them.
pub fn activation(json: Json, key: &str, default: &str) -> Result<Activation> {
    match json.text(key, default)? {
        "gelu" | "gelu_python" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" | "gelu_python_tanh" | "gelu_accurate" => {
            Ok(Activation::GeluTanh)
        }
        "quick_gelu" => Ok(Activation::QuickGelu),
        "relu" => Ok(Activation::Relu),
        "relu6" => Ok(Activation::Relu6),
        "silu" | "swish" => Ok(Activation::Silu),
        "tanh" => Ok(Activation::Tanh),
        other => Err(Error::format(
            json.path,
            format!(
                "{key}: expected gelu, gelu_new, gelu_pytorch_tanh, quick_gelu, relu, relu6, silu or tanh, found {other:?}"
            ),
        )),
    }
}

/// The checkpoint's image processor; `None` where its file is not there.
pub(crate) fn image_processor(source: &Checkpoint, config: &ModelConfig) -> Result<Option<ImageProcessor>> {
    let Some(image) = &config.image else { return Ok(None) };
    let Some(file) = source.processor("image_processor")? else { return Ok(None) };
    Ok(Some(ImageProcessor::from_hugging_face(file.json(), image.size())?))
}

/// The checkpoint's audio front end; `None` where its file is not there.
pub(crate) fn audio_processor(source: &Checkpoint, config: &ModelConfig) -> Result<Option<LogMel>> {
    if config.audio.is_none() {
        return Ok(None);
    }
    let Some(file) = source.processor("feature_extractor")? else { return Ok(None) };
    Ok(Some(LogMel::new(MelConfig::from_hugging_face(file.json())?)?))
}

/// The checkpoint's tokenizer as its library uses it; `None` where its files are not there.
pub(crate) fn text_processor(
    dir: &Path,
    family: &str,
    config: &ModelConfig,
    padding: Option<i64>,
) -> Result<Option<TextProcessor>> {
    let Some(text) = &config.text else { return Ok(None) };
    let mut rules = TextRules::default();
    let family = family.strip_suffix("_text_model").unwrap_or(family);
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
        // Whatever tokenizer the files of SigLIP 2 name, its library takes the class of that family, which begins with lower case.
        if family == "siglip2" || gemma && lower {
            rules.clean = Cleaning::Lowercase;
        }
    }
    // Their positions are counted over what is no padding, wherever it stands.
    if let Some(id) = padding {
        rules.padding = Some(id);
    }
    let context = usize::try_from(text.context_length).unwrap_or(1);
    Ok(TextProcessor::from_checkpoint(dir, family, context, text.vocab_size, rules)?)
}

/// The id of the padding token that the tokenizer's files name; 1 where they name none, as SigLIP's do.
fn pad_id(dir: &Path) -> Result<i64> {
    Ok(special_id(dir, "siglip", "pad_token", &[])?.unwrap_or(1))
}

/// The id of a special token, `pad_token` or `sep_token`, by the tokenizer's files; where they name none, of the first of `usual` that it has.
pub(crate) fn special_id(dir: &Path, family: &str, which: &str, usual: &[&str]) -> Result<Option<i64>> {
    let Some(tokenizer) = unisono_processors::read_tokenizer(dir, family)? else { return Ok(None) };
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let Some(value) = optional_json(&dir.join(name))? else { continue };
        let token = value.get(which).map(|t| t.get("content").unwrap_or(t));
        let Some(token) = token.and_then(Value::as_str) else { continue };
        if let Some(id) = tokenizer.token_to_id(token) {
            return Ok(Some(i64::from(id)));
        }
    }
    Ok(usual.iter().find_map(|token| tokenizer.token_to_id(token)).map(i64::from))
}

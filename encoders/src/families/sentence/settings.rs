//! What the settings of an encoder ask of its texts.

use super::super::source::Checkpoint;
use super::file::{is, with};
use crate::Result;
use serde_json::Value;
use std::path::Path;
use unisono_processors::optional_json;

/// The names that the library's versions gave the settings of the encoder.
const FILES: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// What they say.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// Tokens of the longest text: `max_seq_length`, or the tokenizer's `model_max_length` where that is left out.
    pub limit: Option<i64>,
    /// Texts are put in lower case.
    pub lower_case: bool,
}

/// The settings in the encoder's folder; `section`: what kind of encoder it is.
pub(super) fn read(at: &Path, section: &str) -> Result<Settings> {
    let settings = own(at, section)?;
    if settings.limit.is_some() {
        return Ok(settings);
    }
    Ok(Settings { limit: tokenizers_limit(at)?, ..settings })
}

/// Tokens of the longest text, where the tokenizer's file says so.
pub(in super::super) fn tokenizers_limit(at: &Path) -> Result<Option<i64>> {
    let tokenizer = optional_json(&at.join("tokenizer_config.json"))?;
    // Where there is no limit the library writes 10 to the 30th.
    let most = tokenizer.as_ref().and_then(|t| t.get("model_max_length")).and_then(Value::as_f64);
    Ok(most.filter(|m| (1.0..f64::from(1 << 20)).contains(m)).map(|m| m as i64))
}

/// What the file of settings says.
fn own(at: &Path, section: &str) -> Result<Settings> {
    for name in FILES {
        let path = at.join(name);
        let Some(value) = optional_json(&path)? else { continue };
        return with(&path, &value, section, |json| {
            let limit = json.has("max_seq_length").then(|| json.int("max_seq_length", 1)).transpose()?;
            Ok(Settings { limit, lower_case: json.bool("do_lower_case", false)? })
        });
    }
    Ok(Settings::default())
}

/// Tokens of the longest text, where its files say so.
pub(in super::super) fn limit(source: &Checkpoint) -> Result<Option<i64>> {
    let read = if is(source.dir) { read } else { own };
    Ok(read(source.dir, "transformer")?.limit)
}

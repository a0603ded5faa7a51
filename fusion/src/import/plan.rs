//! A fusion part before its weights are read.

use crate::Result;
use crate::config::FusionConfig;
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, Keys, Reads, TextProcessor};

/// What need not be read of `generation_config.json`.
pub(super) const GENERATION: &str = include_str!("../../keys/generation.keys");
/// What need not be read of `config.json`, besides [`unisono_encoders::families::KEYS`].
pub(super) const CONFIG: &str = include_str!("../../keys/config.keys");

/// Refuses a key of `config.json` that neither this crate nor the towers look at.
pub(super) fn finish(json: Json, family: &str) -> Result<()> {
    Ok(json.finish(&Keys::new(&[unisono_encoders::families::KEYS, CONFIG])?, family)?)
}

/// A fusion part before its weights are read.
pub(super) struct Plan {
    pub config: FusionConfig,
    pub map: Map,
    pub weights: Weights,
    pub text: Option<TextProcessor>,
}

/// The generation settings that a checkpoint of Hugging Face brings along.
pub(super) fn generation(dir: &Path) -> Result<crate::Generation> {
    use serde_json::Value;
    let mut made = crate::Generation::default();
    let path = dir.join("generation_config.json");
    if !path.exists() {
        return Ok(made);
    }
    let value: Value = unisono_processors::read_json(&path)?;
    let reads = Reads::default();
    let json = Json::new(&path, &value).counted(&reads);
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
    json.finish(&Keys::new(&[GENERATION])?, "")?;
    Ok(made)
}

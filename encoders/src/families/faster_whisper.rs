//! Whisper (Radford et al. 2023) as faster-whisper keeps it: CTranslate2's `model.bin` in single or half precision, or as integers with
//! scales, which are multiplied out. Its decoder is the fusion crate's.
//!
//! - **stem**, **blocks**, **norms**, **pooling**, **projection**: Whisper's (`whisper.rs`). Widths, depths and lengths are the tensors' own
//!   shapes, heads are tensors of one number
//! - **processor**: Whisper's log-mel spectrograms; the usual ones where no `preprocessor_config.json` is there
//! - **map**: `faster_whisper_audio.map`
//! - **largest golden difference**: at most 2e-5, which the golden test of the fusion crate holds it to; measured 9.5e-6

use super::source::{Checkpoint, Plan, audio_processor};
use super::whisper;
use crate::config::{Activation, TransformerConfig};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Json, LogMel, MelConfig, Processors};

/// Its name among the families.
pub(super) const NAME: &str = "faster-whisper";
const MAP: &str = include_str!("../../maps/faster_whisper_audio.map");
/// What CTranslate2 calls the model.
const SPEC: &str = "WhisperSpec";
/// The last activation of CTranslate2's that is the exact GELU.
const GELU: f64 = 3.0;
/// Switches that Whisper has one way: the end of their name, and how.
const SWITCHES: [(&str, f64); 9] = [
    ("activation", GELU),
    ("pre_norm", 1.0),
    ("alibi", 0.0),
    ("alibi_use_positive_positions", 0.0),
    ("scale_alibi", 0.0),
    ("scale_embeddings", 0.0),
    ("start_from_zero_embedding", 0.0),
    ("multi_query_attention", 0.0),
    ("parallel_residual", 0.0),
];

/// A model of faster-whisper, and what its tensors' shapes say of it.
#[derive(Debug)]
pub struct FasterWhisper {
    /// The tensors, under CTranslate2's names.
    pub weights: Weights,
}

impl FasterWhisper {
    /// Opens the model in `dir`.
    ///
    /// # Errors
    /// Another model of CTranslate2, a broken file, a switch that Whisper does not have.
    pub fn open(dir: &Path) -> Result<Self> {
        let (weights, spec) = Weights::open_ctranslate2(dir)?;
        if spec != SPEC {
            let message = format!("holds a {spec} of CTranslate2; {SPEC} is read");
            return Err(Error::format(weights.path(), message));
        }
        let made = Self { weights };
        for side in ["encoder", "decoder"] {
            for (name, expected) in SWITCHES {
                let name = format!("{side}/{name}");
                let found = made.number(&name)?.unwrap_or(expected);
                if found.to_bits() != expected.to_bits() {
                    return Err(
                        made.wrong(format!("{name}: expected {expected}, as Whisper has it, found {found}"))
                    );
                }
            }
        }
        Ok(made)
    }

    fn wrong(&self, message: String) -> Error {
        Error::format(self.weights.path(), message)
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        let Some(t) = self.weights.get(name)? else { return Ok(None) };
        if t.numel() == 1 { Ok(Some(t.f_double_value(&[])?)) } else { Ok(None) }
    }

    /// The length of an axis of a tensor.
    ///
    /// # Errors
    /// The tensor is not there, or has no such axis.
    pub fn size(&self, name: &str, axis: usize) -> Result<i64> {
        let shape = self.weights.shape(name);
        let size = shape.and_then(|s| s.get(axis)).copied().filter(|n| *n > 0);
        size.ok_or_else(|| {
            self.wrong(format!("{name}: expected a tensor of {} axes or more, found {shape:?}", axis + 1))
        })
    }

    /// The blocks of `encoder` or `decoder`, as the tensors tell them.
    ///
    /// # Errors
    /// A tensor that tells of them is missing.
    pub fn blocks(&self, side: &str) -> Result<TransformerConfig> {
        let fc1 = |i: usize| format!("{side}/layer_{i}/ffn/linear_0/weight");
        let depth = (0..).take_while(|i| self.weights.has(&fc1(*i))).count();
        let (hidden, width) = (self.size(&fc1(0), 0)?, self.size(&fc1(0), 1)?);
        let heads = format!("{side}/num_heads");
        let Some(heads) = self.number(&heads)?.filter(|n| n.fract() == 0.0 && (1.0..65536.0).contains(n))
        else {
            return Err(self.wrong(format!("{heads}: expected how many they are, found none")));
        };
        Ok(TransformerConfig {
            mlp_ratio: hidden as f64 / width as f64,
            activation: Activation::Gelu,
            ..TransformerConfig::new(width, depth as i64, heads as i64)
        })
    }
}

/// Whether the folder, whose `config.json` is `config`, may be of this family.
pub(super) fn is(dir: &Path, config: &Value) -> bool {
    config.get("model_type").is_none() && Weights::has_ctranslate2(dir)
}

pub(super) fn plan(source: &Checkpoint) -> Result<Plan> {
    let kept = FasterWhisper::open(source.dir)?;
    let positions = kept.size("encoder/position_encodings/encodings", 0)?;
    let mels = kept.size("encoder/conv1/weight", 1)?;
    let config = whisper::tower(mels, positions, kept.blocks("encoder")?);
    let mut map = Map::default();
    map.add(MAP, &[])?;
    let audio = match audio_processor(source, &config)? {
        Some(found) => found,
        None => {
            let usual = json!({"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": mels});
            let mut usual = MelConfig::from_hugging_face(Json::new(source.config.path, &usual))?;
            // Two frames a position, ten milliseconds each.
            let frames = usize::try_from(positions.saturating_mul(2)).unwrap_or(usize::MAX);
            usual.max_frames = frames;
            if let Some(frontend) = &mut usual.frontend {
                frontend.samples = frames.saturating_mul(usual.hop);
            }
            LogMel::new(usual)?
        }
    };
    let processors = Processors { audio: Some(audio), ..Processors::default() };
    Ok(Plan { config, map, weights: kept.weights, processors })
}

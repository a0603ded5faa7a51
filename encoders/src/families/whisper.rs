//! Whisper's encoder (Radford et al. 2023) as Hugging Face saves it. Its decoder is the fusion crate's.
//!
//! - **stem**: two convolutions over three frames each, the second one of stride 2, GELU after each; the positions of the file
//! - **blocks**: pre-norm, GELU; keys have no bias
//! - **norms**: layer norms; the last one over all tokens
//! - **pooling**: the mean
//! - **projection**: none
//! - **processor**: Whisper's log-mel spectrograms, `LogMel` by `MelConfig::from_hugging_face`
//! - **map**: `whisper_audio.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.2e-6

use super::common::{plan, prefix};
use super::source::{Checkpoint, Plan, activation};
use crate::Result;
use crate::config::{
    Activation, AudioConfig, ModelConfig, Pooling, ProjectionConfig, SpectrogramConfig, StemConfig,
    TransformerConfig,
};
use unisono_nn::Map;

const WHISPER: &str = include_str!("../../maps/whisper_audio.map");

pub(super) fn whisper(source: &Checkpoint) -> Result<Plan> {
    let json = source.config;
    let width = json.int("d_model", 384)?;
    let positions = json.int("max_source_positions", 1500)?;
    let config = tower(
        json.int("num_mel_bins", 80)?,
        positions,
        TransformerConfig {
            mlp_ratio: json.ratio("encoder_ffn_dim", 1536, width)?,
            activation: activation(json, "activation_function", "gelu")?,
            ..TransformerConfig::new(
                width,
                json.int("encoder_layers", 4)?,
                json.int("encoder_attention_heads", 6)?,
            )
        },
    );
    let p = prefix(source, &["", "model."], "encoder.conv1.weight")?;
    let mut map = Map::default();
    map.add(WHISPER, &[("p", &p)])?;
    plan(source, config, map)
}

/// Whisper's encoder alone, of so many mel bands and positions after the stem.
pub(super) fn tower(mels: i64, positions: i64, transformer: TransformerConfig) -> ModelConfig {
    let width = transformer.width;
    ModelConfig {
        audio: Some(AudioConfig::Transformer(SpectrogramConfig {
            mels,
            max_frames: positions.saturating_mul(2),
            stem: StemConfig::Frames { strides: vec![1, 2], activation: Activation::Gelu },
            grid: false,
            prefix: 0,
            transformer,
            pooling: Pooling::Mean,
            decoder: None,
            projection: ProjectionConfig::None,
        })),
        ..ModelConfig::new(width)
    }
}

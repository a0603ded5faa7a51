//! AST (Gong et al. 2021) as Hugging Face saves it.
//!
//! - **stem**: overlapping patches of a spectrogram of one length; a class and a distillation token; learned positions
//! - **blocks**: ViT's: pre-norm, GELU
//! - **norms**: layer norms, 1e-12; the last one over all tokens
//! - **pooling**: the mean of the two prefix tokens
//! - **projection**: none
//! - **classifier**: a layer norm and a linear layer over the pooled vector
//! - **processor**: Kaldi's mel filter banks, `LogMel` by `MelConfig::from_hugging_face`
//! - **map**: `vit_blocks.map`, `ast_audio.map`, `classifier.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 8.3e-7

use super::classifier::{self, Place};
use super::common::{BASE, VIT_ATTENTION, VIT_BLOCKS, blocks, plan, prefix, qkv_bias};
use super::source::{Checkpoint, Plan};
use crate::config::{
    AudioConfig, ClassifierInput, ModelConfig, Pooling, ProjectionConfig, SpectrogramConfig, StemConfig,
};
use crate::{Modality, Result};
use unisono_nn::Map;

const AST: &str = include_str!("../../maps/ast_audio.map");

pub(super) fn ast(source: &Checkpoint) -> Result<Plan> {
    let json = source.config;
    let patch = json.int("patch_size", 16)?;
    let strides = [json.int("time_stride", 10)?, json.int("frequency_stride", 10)?];
    let transformer = blocks(json, BASE, "gelu", 1e-12)?;
    let (width, eps) = (transformer.width, transformer.norm_eps);
    let config = ModelConfig {
        audio: Some(AudioConfig::Transformer(SpectrogramConfig {
            mels: json.int("num_mel_bins", 128)?,
            max_frames: json.int("max_length", 1024)?,
            stem: StemConfig::Patch { size: [patch, patch], stride: Some(strides) },
            grid: true,
            prefix: 2,
            transformer,
            pooling: Pooling::Prefix,
            decoder: None,
            projection: ProjectionConfig::None,
        })),
        ..ModelConfig::new(width)
    };
    let p = prefix(source, &["", "audio_spectrogram_transformer."], "embeddings.cls_token")?;
    let mut map = Map::default();
    map.add(VIT_BLOCKS, &[("m", "audio"), ("bias", &qkv_bias(json, VIT_ATTENTION)?), ("p", &p)])?;
    map.add(AST, &[("p", &p)])?;
    let place = Place {
        modality: Modality::Audio,
        input: ClassifierInput::Pooled,
        linear: "classifier.dense",
        norm: Some(("classifier.layernorm", eps)),
    };
    let classifier = classifier::read(source, &place, &mut map)?;
    plan(source, ModelConfig { classifier, ..config }, map)
}

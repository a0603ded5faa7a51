//! CLAP (Wu et al. 2023) as Hugging Face saves it: a RoBERTa text tower, an HTS-AT audio tower.
//!
//! - **stem**: audio files: a spectrogram folded into a square, patches of it; long ones fused from four spectrograms where the checkpoint does
//! - **blocks**: audio files: Swin's windows; texts: RoBERTa's, post-norm
//! - **norms**: layer norms; batch norm over the mel bands
//! - **pooling**: audio files: the mean; texts: BERT's pooler
//! - **projection**: two linear layers with biases; a logit scale
//! - **processor**: CLAP's mel spectrograms, `LogMel` by `MelConfig::from_hugging_face`; RoBERTa's tokenizer
//! - **alone**: `clap_text_model`, `clap_audio_model`, with a projection or without
//! - **map**: `bert_text.map`, `htsat_audio.map`, `htsat_stage.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.5e-6

use super::bert::{self, Rows};
use super::common::{plan, prefix, qkv_bias};
use super::source::{Checkpoint, Plan, activation};
use crate::config::HtsatConfig;
use crate::config::{AudioConfig, ModelConfig, Pooling, ProjectionConfig, TextConfig};
use crate::{Error, Result};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;

const AROUND: &str = include_str!("../../maps/htsat_audio.map");
const STAGE: &str = include_str!("../../maps/htsat_stage.map");

fn projection(json: Json, dim: i64) -> Result<ProjectionConfig> {
    let activation = activation(json, "projection_hidden_act", "relu")?;
    Ok(ProjectionConfig::mlp(dim, activation, true))
}

/// The text tower: RoBERTa with BERT's pooler.
fn text_tower(json: Json) -> Result<(TextConfig, Rows)> {
    let (tower, rows) = bert::tower(json, "clap", None)?;
    Ok((TextConfig { pooling: Pooling::First, pooler: true, ..tower }, rows))
}

/// The audio tower, and the expression that makes the bias of its queries, keys and values.
fn audio_tower(audio: Json, projection: ProjectionConfig) -> Result<(HtsatConfig, String)> {
    let list = |key: &str, default: [i64; 4]| -> Result<Vec<i64>> {
        Ok(audio.ints(key, 8)?.unwrap_or_else(|| default.to_vec()))
    };
    let (fuses, ratio) = (audio.bool("enable_fusion", false)?, audio.int("aff_block_r", 4)?);
    if audio.text("fusion_type", "aff_2d")? == "channel_map"
        || audio.int("patch_embed_input_channels", 1)? != 1
    {
        return Err(Error::format(
            audio.path,
            "audio_config: expected one input channel and fusion_type aff_2d",
        ));
    }
    let htsat = HtsatConfig {
        mels: audio.int("num_mel_bins", 64)?,
        size: audio.int("spec_size", 256)?,
        patch: audio.pair("patch_size", 4)?,
        stride: audio.pair("patch_stride", 4)?,
        width: audio.int("patch_embeds_hidden_size", 96)?,
        heads: list("num_attention_heads", [4, 8, 16, 32])?,
        window: audio.int("window_size", 8)?,
        mlp_ratio: audio.float("mlp_ratio", 4.0)?,
        activation: activation(audio, "hidden_act", "gelu")?,
        norm_eps: audio.float("layer_norm_eps", 1e-5)?,
        stem_norm: audio.bool("enable_patch_layer_norm", true)?,
        fusion: fuses.then_some(ratio),
        projection,
        depths: list("depths", [2, 2, 6, 2])?,
    };
    Ok((htsat, qkv_bias(audio, "{p}layers.{s}.blocks.{l}.attention.self")?))
}

fn add_audio(map: &mut Map, p: &str, htsat: &HtsatConfig, bias: &str) -> Result<()> {
    map.add(AROUND, &[("p", p)])?;
    for stage in 0..htsat.depths.len() {
        map.add(STAGE, &[("bias", bias), ("p", p), ("s", &stage.to_string())])?;
    }
    Ok(())
}

fn add_projection(map: &mut Map, m: &str) -> Result<()> {
    for (ours, theirs) in [("fc1", "linear1"), ("fc2", "linear2")] {
        map.add(&format!("{m}.projection.{ours}.* = {m}_projection.{theirs}.*"), &[])?;
    }
    Ok(())
}

pub(super) fn clap(source: &Checkpoint) -> Result<Plan> {
    let (text, audio) = (source.config.object("text_config"), source.config.object("audio_config"));
    let dim = source.config.int("projection_dim", 512)?;
    let (tower, rows) = text_tower(text)?;
    let (htsat, bias) = audio_tower(audio, projection(audio, dim)?)?;
    let mut map = Map::default();
    bert::add_bert(&mut map, "text_model.", &rows)?;
    add_audio(&mut map, "audio_model.audio_encoder.", &htsat, &bias)?;
    add_projection(&mut map, "text")?;
    add_projection(&mut map, "audio")?;
    let config = ModelConfig {
        text: Some(TextConfig { projection: projection(text, dim)?, ..tower }),
        audio: Some(AudioConfig::Htsat(htsat)),
        ..ModelConfig::new(dim)
    };
    plan(source, config, map)
}

/// A text tower alone.
pub(super) fn clap_text_model(source: &Checkpoint) -> Result<Plan> {
    let p = prefix(source, &["text_model.", ""], "embeddings.word_embeddings.weight")?;
    let (tower, rows) = text_tower(source.config)?;
    let (projection, dim) = alone(source, "text", tower.transformer.width)?;
    let mut map = Map::default();
    bert::add_bert(&mut map, &p, &rows)?;
    add_projection(&mut map, "text")?;
    plan(source, ModelConfig { text: Some(TextConfig { projection, ..tower }), ..ModelConfig::new(dim) }, map)
}

/// An audio tower alone.
pub(super) fn clap_audio_model(source: &Checkpoint) -> Result<Plan> {
    let p = prefix(source, &["audio_model.audio_encoder.", "audio_encoder."], "patch_embed.proj.weight")?;
    let (bare, bias) = audio_tower(source.config, ProjectionConfig::None)?;
    let (projection, dim) = alone(source, "audio", bare.out_width())?;
    let htsat = HtsatConfig { projection, ..bare };
    let mut map = Map::default();
    add_audio(&mut map, &p, &htsat, &bias)?;
    add_projection(&mut map, "audio")?;
    plan(source, ModelConfig { audio: Some(AudioConfig::Htsat(htsat)), ..ModelConfig::new(dim) }, map)
}

/// The projection to the shared space, which a tower that was saved alone may lack.
fn alone(source: &Checkpoint, m: &str, width: i64) -> Result<(ProjectionConfig, i64)> {
    let dim = source.config.int("projection_dim", 512)?;
    let made = projection(source.config, dim)?;
    let there = Weights::open(source.dir)?.has(&format!("{m}_projection.linear1.weight"));
    Ok(if there { (made, dim) } else { (ProjectionConfig::None, width) })
}

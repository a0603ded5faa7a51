//! CLAP (Wu et al. 2023) as Hugging Face saves it: a RoBERTa text tower, an HTS-AT audio tower.
//!
//! - **stem**: audio files: a spectrogram folded into a square, patches of it; long ones fused from four spectrograms where the checkpoint does
//! - **blocks**: audio files: Swin's windows; texts: RoBERTa's, post-norm
//! - **norms**: layer norms; batch norm over the mel bands
//! - **pooling**: audio files: the mean; texts: BERT's pooler
//! - **projection**: two linear layers with biases; a logit scale
//! - **processor**: CLAP's mel spectrograms, `LogMel` by `MelConfig::from_hugging_face`; RoBERTa's tokenizer
//! - **map**: `bert_text.map`, `htsat_audio.map`, `htsat_stage.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.5e-6

use super::bert;
use super::common::plan;
use super::source::{Checkpoint, Plan, activation};
use crate::config::HtsatConfig;
use crate::config::{AudioConfig, ModelConfig, Pooling, ProjectionConfig, TextConfig};
use crate::{Error, Result};
use unisono_nn::Map;

const AROUND: &str = include_str!("../../maps/htsat_audio.map");
const STAGE: &str = include_str!("../../maps/htsat_stage.map");

pub(super) fn clap(source: &Checkpoint) -> Result<Plan> {
    let (text, audio) = (source.config.object("text_config"), source.config.object("audio_config"));
    let dim = source.config.int("projection_dim", 512)?;
    let projection = |act| ProjectionConfig::Mlp { hidden: dim, activation: act, bias: true };
    let (tower, rows) = bert::tower(text, source.dir, "clap")?;
    let list = |key: &str, default: [i64; 4]| -> Result<Vec<i64>> {
        Ok(audio.ints(key, 8)?.unwrap_or_else(|| default.to_vec()))
    };
    let fuses = audio.bool("enable_fusion", false)?;
    if audio.text("fusion_type", "aff_2d")? == "channel_map"
        || audio.int("patch_embed_input_channels", 1)? != 1
    {
        return Err(Error::format(
            audio.path,
            "audio_config: expected one input channel and fusion_type aff_2d",
        ));
    }
    let depths = list("depths", [2, 2, 6, 2])?;
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
        fusion: if fuses { Some(audio.int("aff_block_r", 4)?) } else { None },
        projection: projection(activation(audio, "projection_hidden_act", "relu")?),
        depths,
    };
    let mut map = Map::default();
    bert::add_bert(&mut map, "text_model.", &rows)?;
    let p = "audio_model.audio_encoder.";
    let q = if audio.bool("qkv_bias", true)? { "" } else { "?" };
    map.add(AROUND, &[("p", p)])?;
    for stage in 0..htsat.depths.len() {
        map.add(STAGE, &[("p", p), ("s", &stage.to_string()), ("q", q)])?;
    }
    for m in ["text", "audio"] {
        for (ours, theirs) in [("fc1", "linear1"), ("fc2", "linear2")] {
            map.add(&format!("{m}.projection.{ours}.* = {m}_projection.{theirs}.*"), &[])?;
        }
    }
    let config = ModelConfig {
        embed_dim: dim,
        text: Some(TextConfig {
            pooling: Pooling::First,
            pooler: true,
            projection: projection(activation(text, "projection_hidden_act", "relu")?),
            ..tower
        }),
        image: None,
        audio: Some(AudioConfig::Htsat(htsat)),
        video: None,
        logit_bias: false,
    };
    plan(source, config, map)
}

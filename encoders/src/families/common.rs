//! What several families share: the keys that nearly all of Hugging Face's configurations have, and the files around the weights.

use super::source::{Checkpoint, Plan, activation};
use crate::config::{ImageConfig, ModelConfig, TransformerConfig};
use crate::{Error, Processors, Result};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;

pub(super) const LOGITS: &str = include_str!("../../maps/logits.map");
pub(super) const VIT_BLOCKS: &str = include_str!("../../maps/vit_blocks.map");

/// Width, hidden width, blocks and heads of the base size.
pub(super) const BASE: (i64, i64, i64, i64) = (768, 3072, 12, 12);

/// Blocks from the keys that nearly all of Hugging Face's configurations share.
pub(super) fn blocks(
    json: Json,
    defaults: (i64, i64, i64, i64),
    act: &str,
    eps: f64,
) -> Result<TransformerConfig> {
    let (width, hidden, depth, heads) = defaults;
    let width = json.int("hidden_size", width)?;
    Ok(TransformerConfig {
        mlp_ratio: json.ratio("intermediate_size", hidden, width)?,
        activation: activation(json, "hidden_act", act)?,
        norm_eps: json.float("layer_norm_eps", eps)?,
        ..TransformerConfig::new(
            width,
            json.int("num_hidden_layers", depth)?,
            json.int("num_attention_heads", heads)?,
        )
    })
}

/// The prefix under which a checkpoint with a head keeps its encoder.
pub(super) fn prefix(source: &Checkpoint, known: &[&str], probe: &str) -> Result<String> {
    let weights = Weights::open(source.dir)?;
    let found = known.iter().find(|p| weights.has(&format!("{p}{probe}")));
    found.map(|p| (*p).to_owned()).ok_or_else(|| {
        Error::format(weights.path(), format!("no {probe}: not the weights of a {} encoder", source.family))
    })
}

/// What a map says of the biases of queries, keys and values, which stand under `at`: zeros where the configuration has none.
pub(super) fn qkv_bias(json: Json, at: &str) -> Result<String> {
    let [q, k, v] = ["query", "key", "value"].map(|part| format!("{at}.{part}.bias"));
    Ok(if json.bool("qkv_bias", true)? { format!("cat({q}, {k}, {v})") } else { "zero()".to_owned() })
}

/// Where ViT's kin keep the linear layers of attention.
pub(super) const VIT_ATTENTION: &str = "{p}encoder.layer.{l}.attention.attention";

/// An image tower alone.
pub(super) fn alone(config: impl Into<ImageConfig>) -> ModelConfig {
    let config = config.into();
    let width = config.out_width();
    ModelConfig { image: Some(config), ..ModelConfig::new(width) }
}

/// The plan of a checkpoint in Hugging Face's files.
pub(super) fn plan(source: &Checkpoint, config: ModelConfig, map: Map) -> Result<Plan> {
    let weights = Weights::open(source.dir)?;
    let processors = Processors {
        image: super::source::image_processor(source, &config)?,
        text: super::source::text_processor(source.dir, source.family, &config, source.padding()?)?,
        audio: super::source::audio_processor(source, &config)?,
        ..Processors::default()
    };
    Ok(Plan { config, map, weights, processors })
}

//! SigLIP (Zhai et al. 2023) and SigLIP 2 with NaFlex (Tschannen et al. 2025) as Hugging Face saves them.
//!
//! - **stem**: patches by a convolution, or by a linear layer in SigLIP 2; no class token. Learned positions, resized to each image's grid in SigLIP 2
//! - **blocks**: pre-norm, GELU by its tangent; both towers look in both directions
//! - **norms**: layer norms, 1e-6; the last one over all tokens
//! - **pooling**: images: a learned query and a feed-forward part (`map`); texts: the last token, padding included
//! - **projection**: none for images; linear with a bias for texts; a logit scale and a logit bias
//! - **processor**: both edges are resized, or NaFlex's patches; texts are padded to the context length and not masked
//! - **map**: `clip_blocks.map`, `clip_text.map`, `siglip_image.map`, `logits.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 7.7e-7

use super::clip::{BLOCKS, TEXT};
use super::common::{BASE, LOGITS, blocks, plan};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{ImageConfig, ModelConfig, Pooling, ProjectionConfig, StemConfig, TextConfig};
use unisono_nn::Map;
use unisono_processors::Size;

const IMAGE: &str = include_str!("../../maps/siglip_image.map");

pub(super) fn siglip(source: &Checkpoint) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let text_blocks = blocks(text, BASE, "gelu_pytorch_tanh", 1e-6)?;
    let image_blocks = blocks(vision, BASE, "gelu_pytorch_tanh", 1e-6)?;
    let flexible = source.family == "siglip2";
    let patch = vision.pair("patch_size", 16)?;
    let size = if flexible {
        let side = (vision.int("num_patches", 256)? as f64).sqrt().round() as i64;
        [side * patch[0], side * patch[1]]
    } else {
        vision.pair("image_size", 224)?
    };
    let width = image_blocks.width;
    let config = ModelConfig {
        embed_dim: width,
        text: Some(TextConfig {
            vocab_size: text.int("vocab_size", 32000)?,
            context_length: text.int("max_position_embeddings", 64)?,
            transformer: text_blocks,
            pooling: Pooling::Last,
            token_dropout: 0.0,
            class_token: None,
            pooler: false,
            projection: ProjectionConfig::Linear { bias: true },
        }),
        image: Some(ImageConfig {
            size: Size { sides: size },
            stem: StemConfig::Patch { size: patch, stride: None },
            flexible,
            prefix: 0,
            transformer: image_blocks,
            pooling: Pooling::Map,
            projection: ProjectionConfig::None,
        }),
        audio: None,
        video: None,
        logit_bias: true,
    };
    let mut map = Map::default();
    map.add(BLOCKS, &[("m", "text"), ("p", "text_model.")])?;
    map.add(TEXT, &[("p", "text_model."), ("projection", "text_model.head")])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(IMAGE, &[("p", "vision_model."), ("w", &width.to_string())])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

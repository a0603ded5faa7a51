//! Chinese-CLIP (Yang et al. 2022) as Hugging Face saves it: CLIP's images, BERT's texts.
//!
//! - **stem**: CLIP's for images, BERT's embeddings for texts
//! - **blocks**: pre-norm for images, post-norm for texts
//! - **norms**: CLIP's and BERT's
//! - **pooling**: the class token of each
//! - **projection**: linear, without a bias; one logit scale
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`; BERT's word pieces
//! - **map**: `bert_text.map`, `clip_blocks.map`, `clip_image.map`, `logits.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.2e-6

use super::bert;
use super::clip::{BLOCKS, IMAGE, clip_vision};
use super::common::{LOGITS, plan};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{ModelConfig, Pooling, ProjectionConfig, TextConfig};
use unisono_nn::Map;

pub(super) fn chinese_clip(source: &Checkpoint) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let (tower, vars) = bert::tower(text, "chinese_clip", None)?;
    let config = ModelConfig {
        text: Some(TextConfig {
            pooling: Pooling::First,
            projection: ProjectionConfig::Linear { bias: false },
            ..tower
        }),
        image: Some(clip_vision(vision)?.into()),
        ..ModelConfig::new(source.config.int("projection_dim", 512)?)
    };
    let mut map = Map::default();
    bert::add_bert(&mut map, "text_model.", &vars)?;
    map.add("text.projection.weight = text_projection.weight", &[])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(IMAGE, &[("p", "vision_model.")])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

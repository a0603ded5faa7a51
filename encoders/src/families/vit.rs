//! ViT (Dosovitskiy et al. 2021) as Hugging Face saves it.
//!
//! - **stem**: one convolution whose kernel is its stride, a class token; learned positions
//! - **blocks**: pre-norm, GELU
//! - **norms**: layer norms, 1e-12; the last one over all tokens
//! - **pooling**: the class token
//! - **projection**: none
//! - **classifier**: linear, over the class token
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`
//! - **map**: `vit_blocks.map`, `vit_image.map`, `classifier.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 0

use super::classifier::{self, Place};
use super::common::{BASE, VIT_ATTENTION, VIT_BLOCKS, alone, blocks, plan, prefix, qkv_bias};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{ClassifierInput, ModelConfig, Pooling, ProjectionConfig, StemConfig, VitConfig};
use unisono_nn::Map;
use unisono_processors::Size;

const VIT: &str = include_str!("../../maps/vit_image.map");

pub(super) fn vit(source: &Checkpoint) -> Result<Plan> {
    let json = source.config;
    let config = alone(VitConfig {
        size: Size { sides: json.pair("image_size", 224)? },
        stem: StemConfig::Patch { size: json.pair("patch_size", 16)?, stride: None },
        flexible: false,
        prefix: 1,
        transformer: blocks(json, BASE, "gelu", 1e-12)?,
        pooling: Pooling::First,
        projection: ProjectionConfig::None,
    });
    let p = prefix(source, &["", "vit."], "embeddings.cls_token")?;
    let mut map = Map::default();
    map.add(VIT_BLOCKS, &[("m", "image"), ("bias", &qkv_bias(json, VIT_ATTENTION)?), ("p", &p)])?;
    map.add(VIT, &[("p", &p)])?;
    let classifier = classifier::read(source, &Place::image(ClassifierInput::Pooled), &mut map)?;
    plan(source, ModelConfig { classifier, ..config }, map)
}

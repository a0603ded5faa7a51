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
use unisono_processors::{Json, Size};

const VIT: &str = include_str!("../../maps/vit_image.map");

/// The tower of a configuration.
pub(super) fn tower(json: Json) -> Result<VitConfig> {
    Ok(VitConfig {
        size: Size { sides: json.pair("image_size", 224)? },
        stem: StemConfig::Patch { size: json.pair("patch_size", 16)?, stride: None },
        flexible: false,
        prefix: 1,
        transformer: blocks(json, BASE, "gelu", 1e-12)?,
        pooling: Pooling::First,
        projection: ProjectionConfig::None,
    })
}

/// Its tensors, under `p`.
pub(super) fn add(map: &mut Map, json: Json, p: &str) -> Result<()> {
    map.add(VIT_BLOCKS, &[("m", "image"), ("bias", &qkv_bias(json, VIT_ATTENTION)?), ("p", p)])?;
    Ok(map.add(VIT, &[("p", p)])?)
}

pub(super) fn vit(source: &Checkpoint) -> Result<Plan> {
    let config = alone(tower(source.config)?);
    let p = prefix(source, &["", "vit."], "embeddings.cls_token")?;
    let mut map = Map::default();
    add(&mut map, source.config, &p)?;
    let classifier = classifier::read(source, &Place::image(ClassifierInput::Pooled), &mut map)?;
    plan(source, ModelConfig { classifier, ..config }, map)
}

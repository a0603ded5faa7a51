//! SigLIP (Zhai et al. 2023) and SigLIP 2 with NaFlex (Tschannen et al. 2025) as Hugging Face saves them.
//!
//! - **stem**: patches by a convolution, or by a linear layer in SigLIP 2; no class token. Learned positions, resized to each image's grid in SigLIP 2
//! - **blocks**: pre-norm, GELU by its tangent; both towers look in both directions
//! - **norms**: layer norms, 1e-6; the last one over all tokens
//! - **pooling**: images: a learned query and a feed-forward part (`map`); texts: the last token, padding included
//! - **projection**: none for images; linear with a bias for texts; a logit scale and a logit bias
//! - **processor**: both edges are resized, or NaFlex's patches; texts are padded to the context length and not masked
//! - **classifier**: linear, over the mean of the patches; `SiglipForImageClassification` and that of SigLIP 2 have no text tower
//! - **alone**: `siglip_text_model`, `siglip_vision_model` and those of `siglip2`
//! - **map**: `clip_blocks.map`, `clip_text.map`, `siglip_image.map`, `logits.map`, `classifier.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 7.7e-7

use super::classifier::{self, Place};
use super::clip::{BLOCKS, TEXT};
use super::common::{BASE, LOGITS, alone, blocks, plan, prefix};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{
    ClassifierInput, ModelConfig, Pooling, ProjectionConfig, StemConfig, TextConfig, VitConfig,
};
use unisono_nn::Map;
use unisono_processors::{Json, Size};

const IMAGE: &str = include_str!("../../maps/siglip_image.map");

/// The text tower: its head projects to the shared space.
fn text_tower(json: Json) -> Result<(TextConfig, i64)> {
    let transformer = blocks(json, BASE, "gelu_pytorch_tanh", 1e-6)?;
    let dim = json.int("projection_size", transformer.width)?;
    let tower = TextConfig {
        pooling: Pooling::Last,
        projection: ProjectionConfig::Linear { bias: true },
        ..TextConfig::new(
            json.int("vocab_size", 32000)?,
            json.int("max_position_embeddings", 64)?,
            transformer,
        )
    };
    Ok((tower, dim))
}

fn image_tower(json: Json, flexible: bool) -> Result<VitConfig> {
    let patch = json.pair("patch_size", 16)?;
    let size = if flexible {
        let side = (json.int("num_patches", 256)? as f64).sqrt().round() as i64;
        [side * patch[0], side * patch[1]]
    } else {
        json.pair("image_size", 224)?
    };
    Ok(VitConfig {
        size: Size { sides: size },
        stem: StemConfig::Patch { size: patch, stride: None },
        flexible,
        prefix: 0,
        transformer: blocks(json, BASE, "gelu_pytorch_tanh", 1e-6)?,
        pooling: Pooling::Map,
        projection: ProjectionConfig::None,
    })
}

fn add_text(map: &mut Map, p: &str) -> Result<()> {
    map.add(BLOCKS, &[("m", "text"), ("p", p)])?;
    Ok(map.add(TEXT, &[("p", p), ("projection", &format!("{p}head"))])?)
}

fn add_image(map: &mut Map, p: &str, width: i64) -> Result<()> {
    map.add(BLOCKS, &[("m", "image"), ("p", p)])?;
    Ok(map.add(IMAGE, &[("p", p), ("w", &width.to_string())])?)
}

pub(super) fn siglip(source: &Checkpoint) -> Result<Plan> {
    let vision = source.config.object("vision_config");
    let mut map = Map::default();
    if let Some(head) = classifier::read(source, &Place::image(ClassifierInput::Mean), &mut map)? {
        // Its class keeps the whole configuration, and the image tower alone.
        source.config.pass_over(&["text_config"]);
        let tower = image_tower(vision, source.family == "siglip2")?;
        add_image(&mut map, "vision_model.", tower.transformer.width)?;
        return plan(source, ModelConfig { classifier: Some(head), ..alone(tower) }, map);
    }
    let (text, dim) = text_tower(source.config.object("text_config"))?;
    let image = image_tower(vision, source.family == "siglip2")?;
    let width = image.transformer.width;
    if dim != width {
        let expected = format_args!("the width of the images' embeddings, {width}");
        return Err(source.config.object("text_config").wrong("projection_size", expected).into());
    }
    add_text(&mut map, "text_model.")?;
    add_image(&mut map, "vision_model.", width)?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(
        source,
        ModelConfig {
            text: Some(text),
            image: Some(image.into()),
            logit_bias: true,
            ..ModelConfig::new(width)
        },
        map,
    )
}

/// A text tower alone.
pub(super) fn siglip_text_model(source: &Checkpoint) -> Result<Plan> {
    let p = prefix(source, &["text_model.", ""], "embeddings.token_embedding.weight")?;
    let (text, dim) = text_tower(source.config)?;
    let mut map = Map::default();
    add_text(&mut map, &p)?;
    plan(source, ModelConfig { text: Some(text), ..ModelConfig::new(dim) }, map)
}

/// An image tower alone.
pub(super) fn siglip_vision_model(source: &Checkpoint) -> Result<Plan> {
    let p = prefix(source, &["vision_model.", ""], "embeddings.patch_embedding.weight")?;
    let image = image_tower(source.config, source.family.starts_with("siglip2"))?;
    let mut map = Map::default();
    add_image(&mut map, &p, image.transformer.width)?;
    plan(source, alone(image), map)
}

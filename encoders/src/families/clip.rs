//! CLIP (Radford et al. 2021) as Hugging Face saves it.
//!
//! - **stem**: images: one convolution whose kernel is its stride, a class token before the patches; texts: token embeddings. Learned positions
//! - **blocks**: pre-norm, quick GELU or GELU; texts causal
//! - **norms**: layer norms; one before the first block of images, the last one over the pooled image and over all tokens of texts
//! - **pooling**: the class token; the end token, or the highest id in checkpoints that name none
//! - **projection**: linear, without a bias; one logit scale
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`; CLIP's byte-pair tokenizer
//! - **classifier**: linear, over the mean of the patches before the last norm; `CLIPForImageClassification` has no text tower
//! - **alone**: `clip_text_model`, `clip_vision_model`, with a projection or without
//! - **map**: `clip_blocks.map`, `clip_text.map`, `clip_image.map`, `logits.map`, `classifier.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 0

use super::classifier::{self, Place};
use super::common::{BASE, LOGITS, alone, blocks, plan, prefix};
use super::source::{Checkpoint, Plan};
use crate::Result;
use crate::config::{
    ClassifierInput, FinalNorm, ModelConfig, Pooling, ProjectionConfig, StemConfig, TextConfig,
    TransformerConfig, VitConfig,
};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;
use unisono_processors::Size;

pub(super) const BLOCKS: &str = include_str!("../../maps/clip_blocks.map");
pub(super) const TEXT: &str = include_str!("../../maps/clip_text.map");
pub(super) const IMAGE: &str = include_str!("../../maps/clip_image.map");

pub(super) fn clip_vision(json: Json) -> Result<VitConfig> {
    let patch = json.pair("patch_size", 32)?;
    Ok(VitConfig {
        size: Size { sides: json.pair("image_size", 224)? },
        stem: StemConfig::Patch { size: patch, stride: None },
        flexible: false,
        prefix: 1,
        transformer: TransformerConfig {
            input_norm: true,
            final_norm: FinalNorm::Pooled,
            ..blocks(json, BASE, "quick_gelu", 1e-5)?
        },
        pooling: Pooling::First,
        projection: ProjectionConfig::Linear { bias: false },
    })
}

pub(super) fn clip_text(text: Json) -> Result<TextConfig> {
    let end = text.int("eos_token_id", 49407)?;
    let transformer =
        TransformerConfig { causal: true, ..blocks(text, (512, 2048, 12, 8), "quick_gelu", 1e-5)? };
    Ok(TextConfig {
        // Checkpoints from before the end token was configured all say 2, and pool at the highest id.
        pooling: if end == 2 { Pooling::Highest } else { Pooling::End(end) },
        projection: ProjectionConfig::Linear { bias: false },
        ..TextConfig::new(
            text.int("vocab_size", 49408)?,
            text.int("max_position_embeddings", 77)?,
            transformer,
        )
    })
}

pub(super) fn clip(source: &Checkpoint) -> Result<Plan> {
    let mut map = Map::default();
    if let Some(head) = classifier::read(source, &Place::image(ClassifierInput::Mean), &mut map)? {
        // Its class keeps the whole configuration, and the image tower alone.
        source.config.pass_over(&["text_config", "projection_dim"]);
        let tower = clip_vision(source.config.object("vision_config"))?;
        map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
        map.add(IMAGE, &[("p", "vision_model.")])?;
        let tower = alone(VitConfig { projection: ProjectionConfig::None, ..tower });
        return plan(source, ModelConfig { classifier: Some(head), ..tower }, map);
    }
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let config = ModelConfig {
        text: Some(clip_text(text)?),
        image: Some(clip_vision(vision)?.into()),
        ..ModelConfig::new(source.config.int("projection_dim", 512)?)
    };
    map.add(BLOCKS, &[("m", "text"), ("p", "text_model.")])?;
    map.add(TEXT, &[("p", "text_model."), ("projection", "text_projection")])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(IMAGE, &[("p", "vision_model.")])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

/// The projection to the shared space, which a tower that was saved alone may lack.
fn projection(source: &Checkpoint, name: &str, width: i64) -> Result<(ProjectionConfig, i64)> {
    let dim = source.config.int("projection_dim", 512)?;
    let there = Weights::open(source.dir)?.has(name);
    Ok(if there { (ProjectionConfig::Linear { bias: false }, dim) } else { (ProjectionConfig::None, width) })
}

/// A text tower alone.
pub(super) fn clip_text_model(source: &Checkpoint) -> Result<Plan> {
    let p = prefix(source, &["text_model.", ""], "embeddings.token_embedding.weight")?;
    let tower = clip_text(source.config)?;
    let (projection, dim) = projection(source, "text_projection.weight", tower.transformer.width)?;
    let mut map = Map::default();
    map.add(BLOCKS, &[("m", "text"), ("p", &p)])?;
    map.add(TEXT, &[("p", &p), ("projection", "text_projection")])?;
    plan(source, ModelConfig { text: Some(TextConfig { projection, ..tower }), ..ModelConfig::new(dim) }, map)
}

/// An image tower alone.
pub(super) fn clip_vision_model(source: &Checkpoint) -> Result<Plan> {
    let p = prefix(source, &["vision_model.", ""], "embeddings.class_embedding")?;
    let tower = clip_vision(source.config)?;
    let (projection, dim) = projection(source, "visual_projection.weight", tower.transformer.width)?;
    let mut map = Map::default();
    map.add(BLOCKS, &[("m", "image"), ("p", &p)])?;
    map.add(IMAGE, &[("p", &p)])?;
    let image = VitConfig { projection, ..tower };
    plan(source, ModelConfig { image: Some(image.into()), ..ModelConfig::new(dim) }, map)
}

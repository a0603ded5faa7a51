//! CLIP, SigLIP and Chinese-CLIP as Hugging Face saves them.

use super::{Json, Map, Plan, Source, activation};
use crate::config::{
    FinalNorm, ImageConfig, ModelConfig, Pooling, ProjectionConfig, StemConfig, TextConfig, TransformerConfig,
};
use crate::{Processors, Result};
use unisono_nn::weights::Weights;
use unisono_processors::Size;

pub(super) const LOGITS: &str = include_str!("../../maps/logits.map");
pub(super) const BLOCKS: &str = include_str!("../../maps/clip_blocks.map");
pub(super) const TEXT: &str = include_str!("../../maps/clip_text.map");
const IMAGE: &str = include_str!("../../maps/clip_image.map");
const SIGLIP_IMAGE: &str = include_str!("../../maps/siglip_image.map");

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

pub(super) const BASE: (i64, i64, i64, i64) = (768, 3072, 12, 12);

pub(super) fn clip_vision(json: Json) -> Result<ImageConfig> {
    let patch = json.pair("patch_size", 32)?;
    Ok(ImageConfig {
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
    Ok(TextConfig {
        vocab_size: text.int("vocab_size", 49408)?,
        context_length: text.int("max_position_embeddings", 77)?,
        transformer: TransformerConfig {
            causal: true,
            ..blocks(text, (512, 2048, 12, 8), "quick_gelu", 1e-5)?
        },
        // Checkpoints from before the end token was configured all say 2, and pool at the highest id.
        pooling: if end == 2 { Pooling::Highest } else { Pooling::End(end) },
        token_dropout: 0.0,
        class_token: None,
        pooler: false,
        projection: ProjectionConfig::Linear { bias: false },
    })
}

pub(super) fn clip(source: &Source) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let config = ModelConfig {
        embed_dim: source.config.int("projection_dim", 512)?,
        text: Some(clip_text(text)?),
        image: Some(clip_vision(vision)?),
        audio: None,
        htsat: None,
        video: None,
        logit_bias: false,
    };
    let mut map = Map::default();
    map.add(BLOCKS, &[("m", "text"), ("p", "text_model.")])?;
    map.add(TEXT, &[("p", "text_model."), ("projection", "text_projection")])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(IMAGE, &[("p", "vision_model.")])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

pub(super) fn siglip(source: &Source) -> Result<Plan> {
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
        htsat: None,
        video: None,
        logit_bias: true,
    };
    let mut map = Map::default();
    map.add(BLOCKS, &[("m", "text"), ("p", "text_model.")])?;
    map.add(TEXT, &[("p", "text_model."), ("projection", "text_model.head")])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(SIGLIP_IMAGE, &[("p", "vision_model."), ("w", &width.to_string())])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

pub(super) fn chinese_clip(source: &Source) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let (tower, vars) = super::text::tower(text, source.dir, "chinese_clip")?;
    let config = ModelConfig {
        embed_dim: source.config.int("projection_dim", 512)?,
        text: Some(TextConfig {
            pooling: Pooling::First,
            projection: ProjectionConfig::Linear { bias: false },
            ..tower
        }),
        image: Some(clip_vision(vision)?),
        audio: None,
        htsat: None,
        video: None,
        logit_bias: false,
    };
    let mut map = Map::default();
    super::text::add_bert(&mut map, "text_model.", &vars)?;
    map.add("text.projection.weight = text_projection.weight", &[])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(IMAGE, &[("p", "vision_model.")])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

pub(super) fn plan(source: &Source, config: ModelConfig, map: Map) -> Result<Plan> {
    let weights = Weights::open(source.dir)?;
    let processors = Processors {
        image: super::image_processor(source, &config)?,
        text: super::text_processor(source.dir, source.family, &config)?,
        audio: super::audio_processor(source, &config)?,
    };
    Ok(Plan { config, map, weights, processors })
}

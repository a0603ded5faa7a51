//! X-CLIP (Ni et al. 2022) as Hugging Face saves it: CLIP on videos.
//!
//! - **stem**: CLIP's
//! - **blocks**: CLIP's, and in each block of images the frames of a clip exchange messages; blocks over the frames' vectors; texts look at the video
//! - **norms**: CLIP's
//! - **pooling**: the class token of a frame, the mean over frames; texts at the highest id
//! - **projection**: linear, without a bias; one logit scale
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`, a clip's frames spread evenly; CLIP's tokenizer
//! - **map**: CLIP's, and `xclip_video.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 9.5e-7

use super::clip::{BLOCKS, IMAGE, TEXT, clip_text, clip_vision};
use super::common::{BASE, LOGITS, blocks, plan};
use super::source::{Checkpoint, Plan, activation};
use crate::Result;
use crate::config::PromptConfig;
use crate::config::{FinalNorm, ImageConfig, ModelConfig, Pooling, TextConfig, TransformerConfig, VitConfig};
use crate::config::{FramePooling, VideoConfig};
use unisono_nn::Map;

const XCLIP: &str = include_str!("../../maps/xclip_video.map");

pub(super) fn xclip(source: &Checkpoint) -> Result<Plan> {
    let (text, vision) = (source.config.object("text_config"), source.config.object("vision_config"));
    let dim = source.config.int("projection_dim", 512)?;
    let image = clip_vision(vision)?;
    let width = vision.int("mit_hidden_size", 512)?;
    let integration = TransformerConfig {
        mlp_ratio: vision.ratio("mit_intermediate_size", 2048, width)?,
        depth: vision.int("mit_num_hidden_layers", 1)?,
        heads: vision.int("mit_num_attention_heads", 8)?,
        width,
        final_norm: FinalNorm::None,
        ..blocks(vision, BASE, "quick_gelu", 1e-5)?
    };
    let video = VideoConfig {
        frames: vision.int("num_frames", 8)?,
        pooling: FramePooling::Integration { transformer: integration },
        prompts: Some(PromptConfig {
            depth: source.config.int("prompt_layers", 2)?,
            heads: source.config.int("prompt_num_attention_heads", 8)?,
            activation: activation(source.config, "prompt_hidden_act", "quick_gelu")?,
            norm_eps: text.float("layer_norm_eps", 1e-5)?,
            visual_norm_eps: vision.float("layer_norm_eps", 1e-5)?,
        }),
        ..VideoConfig::default()
    };
    let config = ModelConfig {
        // Its library pools at the highest id, whatever end token is configured.
        text: Some(TextConfig { pooling: Pooling::Highest, ..clip_text(text)? }),
        image: Some(ImageConfig::from(VitConfig {
            transformer: TransformerConfig { messages: true, ..image.transformer.clone() },
            ..image
        })),
        video: Some(video),
        ..ModelConfig::new(dim)
    };
    let mut map = Map::default();
    map.add(BLOCKS, &[("m", "text"), ("p", "text_model.")])?;
    map.add(TEXT, &[("p", "text_model."), ("projection", "text_projection")])?;
    map.add(BLOCKS, &[("m", "image"), ("p", "vision_model.")])?;
    map.add(&IMAGE.replace("pre_layrnorm", "pre_layernorm"), &[("p", "vision_model.")])?;
    map.add(BLOCKS, &[("m", "video"), ("p", "mit.")])?;
    map.add(XCLIP, &[])?;
    map.add(LOGITS, &[("pair", "text_image")])?;
    plan(source, config, map)
}

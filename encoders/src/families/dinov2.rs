//! DINOv2 (Oquab et al. 2023), with registers (Darcet et al. 2024) or without, as Hugging Face saves it.
//!
//! - **stem**: one convolution whose kernel is its stride; a class token, then registers. Positions are resized from the trained grid to the processor's, bicubic
//! - **blocks**: pre-norm, GELU, or gated by SiLU (SwiGLU) in the giant one; layer scale
//! - **norms**: layer norms, 1e-6; the last one over all tokens
//! - **pooling**: the class token
//! - **projection**: none
//! - **classifier**: linear, over the class token and the mean of the patches
//! - **processor**: Hugging Face's file, read by `ImageProcessor::from_hugging_face`
//! - **map**: `dinov2_image.map`, `classifier.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 4.8e-7

use super::classifier::{self, Place};
use super::common::{VIT_ATTENTION, alone, plan, prefix, qkv_bias};
use super::source::{Checkpoint, Plan, activation};
use crate::Result;
use crate::config::{
    Activation, ClassifierInput, ModelConfig, Pooling, ProjectionConfig, StemConfig, TransformerConfig,
    VitConfig,
};
use unisono_nn::Map;
use unisono_processors::{ImageProcessor, Size};

const DINOV2: &str = include_str!("../../maps/dinov2_image.map");

pub(super) fn dinov2(source: &Checkpoint) -> Result<Plan> {
    let json = source.config;
    let registers = source.family == "dinov2_with_registers";
    let patch = json.pair("patch_size", if registers { 16 } else { 14 })?;
    let trained = json.pair("image_size", 224)?;
    // Trained at one size, used at another: the processor's.
    let size = match source.processor("image_processor")? {
        Some(file) => ImageProcessor::from_hugging_face(file.json(), Size { sides: trained })?.size.sides,
        None => trained,
    };

    let (width, act) = (json.int("hidden_size", 768)?, activation(json, "hidden_act", "gelu")?);
    let ratio = json.float("mlp_ratio", 4.0)?;
    let gated = json.bool("use_swiglu_ffn", false)?;
    let hidden = (width as f64 * ratio) as i64;
    // The gate takes a third of the width, rounded up to a multiple of 8.
    let hidden = if gated { (hidden * 2 / 3 + 7) / 8 * 8 } else { hidden };
    let tokens = if registers { json.int("num_register_tokens", 4)? } else { 0 };
    let config = alone(VitConfig {
        size: Size { sides: size },
        stem: StemConfig::Patch { size: patch, stride: None },
        flexible: false,
        prefix: 1 + tokens,
        transformer: TransformerConfig {
            mlp_ratio: hidden as f64 / width.max(1) as f64,
            activation: if gated { Activation::Silu } else { act },
            gated,
            layer_scale: Some(json.float("layerscale_value", 1.0)?),
            norm_eps: json.float("layer_norm_eps", 1e-6)?,
            ..TransformerConfig::new(
                width,
                json.int("num_hidden_layers", 12)?,
                json.int("num_attention_heads", 12)?,
            )
        },
        pooling: Pooling::First,
        projection: ProjectionConfig::None,
    });
    let p = prefix(source, &["", "dinov2.", "dinov2_with_registers."], "embeddings.cls_token")?;
    let class = format!("add({p}embeddings.cls_token, rows({p}embeddings.position_embeddings, 0, 1))");
    let (rows, columns) = ((size[0] / patch[0].max(1)).to_string(), (size[1] / patch[1].max(1)).to_string());
    let bias = qkv_bias(json, VIT_ATTENTION)?;
    let vars = [
        ("bias", bias.as_str()),
        ("p", p.as_str()),
        ("rows", &rows),
        ("columns", &columns),
        ("fc1", if gated { "weights_in" } else { "fc1" }),
        ("fc2", if gated { "weights_out" } else { "fc2" }),
        ("resize", if registers { "resize_aa" } else { "resize" }),
        (
            "prefix",
            &if registers { format!("cat({class}, {p}embeddings.register_tokens)") } else { class.clone() },
        ),
    ];
    let mut map = Map::default();
    map.add(DINOV2, &vars)?;
    let classifier = classifier::read(source, &Place::image(ClassifierInput::FirstMean), &mut map)?;
    plan(source, ModelConfig { classifier, ..config }, map)
}

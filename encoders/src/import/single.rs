//! Encoders of one modality: ViT, DINOv2, AST, Whisper's encoder.

use super::clip::{BASE, blocks, plan};
use super::{Json, Map, Plan, Source, activation};
use crate::config::{
    Activation, AudioConfig, ImageConfig, ModelConfig, Pooling, ProjectionConfig, StemConfig,
    TransformerConfig,
};
use crate::{Error, Result};
use unisono_nn::weights::Weights;
use unisono_processors::ImageProcessor;
use unisono_processors::Size;

const VIT_BLOCKS: &str = include_str!("../../maps/vit_blocks.map");
const VIT: &str = include_str!("../../maps/vit_image.map");
const DINOV2: &str = include_str!("../../maps/dinov2_image.map");
const AST: &str = include_str!("../../maps/ast_audio.map");
const WHISPER: &str = include_str!("../../maps/whisper_audio.map");

/// The prefix under which a checkpoint with a head keeps its encoder.
fn prefix(source: &Source, known: &[&str], probe: &str) -> Result<String> {
    let weights = Weights::open(source.dir)?;
    let found = known.iter().find(|p| weights.has(&format!("{p}{probe}")));
    found.map(|p| (*p).to_owned()).ok_or_else(|| {
        Error::format(weights.path(), format!("no {probe}: not the weights of a {} encoder", source.family))
    })
}

fn missing_bias(source: &Source) -> Result<&'static str> {
    Ok(if source.config.bool("qkv_bias", true)? { "" } else { "?" })
}

fn image(config: ImageConfig) -> ModelConfig {
    ModelConfig {
        embed_dim: config.transformer.width,
        image: Some(config),
        text: None,
        audio: None,
        htsat: None,
        video: None,
        logit_bias: false,
    }
}

pub(super) fn vit(source: &Source) -> Result<Plan> {
    let json = source.config;
    let config = image(ImageConfig {
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
    map.add(VIT_BLOCKS, &[("m", "image"), ("p", &p), ("q", missing_bias(source)?)])?;
    map.add(VIT, &[("p", &p)])?;
    plan(source, config, map)
}

pub(super) fn dinov2(source: &Source) -> Result<Plan> {
    let json = source.config;
    let patch = json.pair("patch_size", 14)?;
    let trained = json.pair("image_size", 224)?;
    // Trained at one size, used at another: the processor's.
    let size = match source.json("preprocessor_config.json")? {
        Some(value) => {
            let path = source.dir.join("preprocessor_config.json");
            ImageProcessor::from_hugging_face(Json::new(&path, &value), Size { sides: trained })?.size.sides
        }
        None => trained,
    };

    let width = json.int("hidden_size", 768)?;
    let ratio = json.float("mlp_ratio", 4.0)?;
    let gated = json.bool("use_swiglu_ffn", false)?;
    let hidden = (width as f64 * ratio) as i64;
    // The gate takes a third of the width, rounded up to a multiple of 8.
    let hidden = if gated { (hidden * 2 / 3 + 7) / 8 * 8 } else { hidden };
    let registers = source.family == "dinov2_with_registers";
    let tokens = if registers { json.int("num_register_tokens", 4)? } else { 0 };
    let config = image(ImageConfig {
        size: Size { sides: size },
        stem: StemConfig::Patch { size: patch, stride: None },
        flexible: false,
        prefix: 1 + tokens,
        transformer: TransformerConfig {
            mlp_ratio: hidden as f64 / width.max(1) as f64,
            activation: if gated { Activation::Silu } else { activation(json, "hidden_act", "gelu")? },
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
    let vars = [
        ("p", p.as_str()),
        ("q", missing_bias(source)?),
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
    plan(source, config, map)
}

pub(super) fn ast(source: &Source) -> Result<Plan> {
    let json = source.config;
    let patch = json.int("patch_size", 16)?;
    let strides = [json.int("time_stride", 10)?, json.int("frequency_stride", 10)?];
    let transformer = blocks(json, BASE, "gelu", 1e-12)?;
    let config = ModelConfig {
        embed_dim: transformer.width,
        audio: Some(AudioConfig {
            mels: json.int("num_mel_bins", 128)?,
            max_frames: json.int("max_length", 1024)?,
            stem: StemConfig::Patch { size: [patch, patch], stride: Some(strides) },
            grid: true,
            prefix: 2,
            transformer,
            pooling: Pooling::Prefix,
            projection: ProjectionConfig::None,
        }),
        text: None,
        image: None,
        htsat: None,
        video: None,
        logit_bias: false,
    };
    let p = prefix(source, &["", "audio_spectrogram_transformer."], "embeddings.cls_token")?;
    let mut map = Map::default();
    map.add(VIT_BLOCKS, &[("m", "audio"), ("p", &p), ("q", missing_bias(source)?)])?;
    map.add(AST, &[("p", &p)])?;
    plan(source, config, map)
}

pub(super) fn whisper(source: &Source) -> Result<Plan> {
    let json = source.config;
    let width = json.int("d_model", 384)?;
    let positions = json.int("max_source_positions", 1500)?;
    let config = ModelConfig {
        embed_dim: width,
        audio: Some(AudioConfig {
            mels: json.int("num_mel_bins", 80)?,
            max_frames: 2 * positions,
            stem: StemConfig::Frames { strides: vec![1, 2], activation: Activation::Gelu },
            grid: false,
            prefix: 0,
            transformer: TransformerConfig {
                mlp_ratio: json.ratio("encoder_ffn_dim", 1536, width)?,
                activation: activation(json, "activation_function", "gelu")?,
                ..TransformerConfig::new(
                    width,
                    json.int("encoder_layers", 4)?,
                    json.int("encoder_attention_heads", 6)?,
                )
            },
            pooling: Pooling::Mean,
            projection: ProjectionConfig::None,
        }),
        text: None,
        image: None,
        htsat: None,
        video: None,
        logit_bias: false,
    };
    let p = prefix(source, &["", "model."], "encoder.conv1.weight")?;
    let mut map = Map::default();
    map.add(WHISPER, &[("p", &p)])?;
    plan(source, config, map)
}

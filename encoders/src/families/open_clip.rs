//! OpenCLIP's own format: `open_clip_config.json` beside `open_clip_model.safetensors`.
//!
//! - **stem**: CLIP's, or timm's ViT; texts: its own tokens, or a BERT of Hugging Face's
//! - **blocks**: pre-norm, GELU or quick GELU, layer scale where it is set; texts causal or not
//! - **norms**: CLIP's; the last one over all tokens for timm's
//! - **pooling**: class token, mean, SigLIP's query or CoCa's queries; texts at the end token, the last one, a class token, or BERT's
//! - **projection**: linear or two layers; a logit scale, and a bias where SigLIP's loss was used
//! - **processor**: `preprocess_cfg`, by `ImageProcessor::from_open_clip`; OpenCLIP's cleaning of texts
//! - **map**: `open_clip_blocks.map`, `open_clip_text.map`, `open_clip_image.map`, `timm_image.map`, `bert_text.map`, `logits.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.4e-6

use super::source::{Plan, special_id};
use super::{borrowed, timm};
use crate::config::{
    Activation, ClassToken, FinalNorm, ModelConfig, Pooling, ProjectionConfig, StemConfig, TextConfig,
    TransformerConfig, VitConfig,
};
use crate::{Error, Processors, Result};
use serde_json::Value;
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::{Cleaning, ImageProcessor, Json, Keys, Reads, Size, TextProcessor, TextRules};

const LOGITS: &str = include_str!("../../maps/logits.map");
const BLOCKS: &str = include_str!("../../maps/open_clip_blocks.map");
const TEXT: &str = include_str!("../../maps/open_clip_text.map");
const IMAGE: &str = include_str!("../../maps/open_clip_image.map");
/// What need not be read of the file.
const KEYS: &str = include_str!("../../keys/open_clip.keys");

pub(super) fn plan(dir: &Path) -> Result<Plan> {
    let path = dir.join("open_clip_config.json");
    let value: Value = unisono_processors::read_json(&path)?;
    let reads = Reads::default();
    let whole = Json::new(&path, &value).counted(&reads);
    // Older files hold the model's configuration alone.
    let model = if whole.has("model_cfg") { whole.object("model_cfg") } else { whole };
    let weights = Weights::open_open_clip(dir)?;
    let dim = model.int("embed_dim", 512)?;
    let quick = model.bool("quick_gelu", false)?;
    let (text, vision) = (model.object("text_cfg"), model.object("vision_cfg"));
    let mut map = Map::default();
    // What a tower of another library is configured by is its name; the keys of the library's own are passed over, and the other way round.
    let image = if vision.get("timm_model_name").is_some() {
        vision.pass_over(&OWN_IMAGE);
        timm::image(vision, &weights, &mut map)?
    } else {
        vision.pass_over(&TIMM_IMAGE);
        image(vision, dim, quick, &weights, &mut map)?
    };
    let (text, padding) = if text.get("hf_model_name").is_some() {
        text.pass_over(&OWN_TEXT);
        borrowed::text(dir, text, dim, &weights, &mut map)?
    } else {
        text.pass_over(&BORROWED_TEXT);
        (own_text(text, quick, &weights, &mut map)?, None)
    };
    let logit_bias = weights.has("logit_bias");
    map.add(LOGITS, &[("pair", "text_image")])?;
    if model.has("multimodal_cfg") {
        // CoCa's decoder writes captions; it is no part of the shared space.
        map.add("ignore text_decoder.*", &[])?;
    }
    let processor = ImageProcessor::from_open_clip(whole.object("preprocess_cfg"), image.size)?;
    let config =
        ModelConfig { text: Some(text), image: Some(image.into()), logit_bias, ..ModelConfig::new(dim) };
    let text_processor = text_processor(dir, model.object("text_cfg"), &config, padding)?;
    whole.finish(&Keys::new(&[KEYS])?, "")?;
    let processors = Processors { image: Some(processor), text: text_processor, ..Processors::default() };
    Ok(Plan { config, map, weights, processors })
}

/// What tells a tower of the library's own.
const OWN_IMAGE: [&str; 16] = [
    "layers",
    "width",
    "head_width",
    "mlp_ratio",
    "patch_size",
    "ls_init_value",
    "attentional_pool",
    "attn_pooler_queries",
    "attn_pooler_heads",
    "no_ln_pre",
    "pos_embed_type",
    "final_ln_after_pool",
    "pool_type",
    "act_kwargs",
    "norm_kwargs",
    "block_type",
];
const TIMM_IMAGE: [&str; 3] = ["timm_pool", "timm_proj", "timm_proj_bias"];
const OWN_TEXT: [&str; 16] = [
    "vocab_size",
    "width",
    "heads",
    "layers",
    "mlp_ratio",
    "ls_init_value",
    "embed_cls",
    "pad_id",
    "eos_id",
    "no_causal_mask",
    "pool_type",
    "proj_bias",
    "proj_type",
    "act_kwargs",
    "norm_kwargs",
    "block_type",
];
const BORROWED_TEXT: [&str; 2] = ["hf_proj_type", "hf_pooler_type"];

/// The library cleans every text, then takes the tokenizer that the file names, or its own. It pads every text to the context length; where the
/// padding is seen, by attention or pooling, it is a part of the contract.
fn text_processor(
    dir: &Path,
    json: Json,
    config: &ModelConfig,
    padding: Option<i64>,
) -> Result<Option<TextProcessor>> {
    let Some(text) = &config.text else { return Ok(None) };
    let borrowed = !json.text("hf_tokenizer_name", "")?.is_empty();
    let settings = json.object("tokenizer_kwargs");
    let clean = match settings.text("clean", if borrowed { "whitespace" } else { "lower" })? {
        "lower" => Cleaning::Lower,
        "whitespace" => Cleaning::Whitespace,
        "canonicalize" => Cleaning::Canonicalize,
        _ => return Err(settings.wrong("clean", "lower, whitespace or canonicalize").into()),
    };
    let strips = settings.bool("strip_sep_token", false)?;
    if !json.text("tokenizer_mode", "")?.is_empty() {
        return Err(json
            .wrong("tokenizer_mode", "none: another mode puts other tokens around a text")
            .into());
    }
    let context = usize::try_from(text.context_length).unwrap_or(1);
    let rules = TextRules { clean, padding, ..TextRules::default() };
    // The library's own tokenizer does not look into the folder. A smaller vocabulary is not its own.
    let made = match borrowed {
        false if text.vocab_size >= TextProcessor::CLIP_TOKENS => {
            Some(TextProcessor::open_clip(context, text.vocab_size, rules)?)
        }
        _ => TextProcessor::from_checkpoint(dir, "open_clip", context, text.vocab_size, rules)?,
    };
    let Some(made) = made else { return Ok(None) };
    let named = |which: &str, usual: &[&str]| special_id(dir, "open_clip", which, usual);
    let pad = if borrowed { named("pad_token", &["<pad>", "[PAD]"])?.unwrap_or(0) } else { 0 };
    if let Some(class) = text.class_token.filter(|c| c.pad != pad) {
        let expected = format_args!("{pad}, which the tokenizer pads with");
        return Err(json.wrong("pad_id", format_args!("{expected}, not {}", class.pad)).into());
    }
    // Every text ends with this token, so the first of them is found whatever follows.
    let closes = made.encode("a")?.last() == Some(&pad);
    let seen = match &text.pooling {
        _ if text.class_token.is_some() => false,
        Pooling::Last => true,
        Pooling::Highest => pad > 0 && !closes,
        Pooling::End(id) => *id == pad && !closes,
        _ => false,
    };
    let attends = json.bool("no_causal_mask", false)?;
    let stripped = if strips { named("sep_token", &["[SEP]", "</s>"])? } else { None };
    if strips && stripped.is_none() {
        return Err(settings.wrong("strip_sep_token", "false: the tokenizer has no such token").into());
    }
    let fixed_pad = (attends || seen).then_some(pad);
    Ok(Some(made.with_rules(TextRules { fixed_pad, stripped, ..rules })))
}

/// Settings that change the arithmetic and that no published checkpoint here has.
fn refuse(json: Json, keys: &[&str]) -> Result<()> {
    for key in keys {
        let set = json.get(key).is_some_and(|v| !matches!(v, Value::Bool(false)));
        if set {
            return Err(Error::format(json.path, format!("{key} is not supported")));
        }
    }
    Ok(())
}

const CUSTOM: [&str; 6] =
    ["qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc"];

fn own_blocks(json: Json, sizes: [i64; 3], quick: bool) -> Result<TransformerConfig> {
    refuse(json, &CUSTOM)?;
    if json.text("block_type", "default")? != "default" {
        return Err(json.wrong("block_type", "default").into());
    }
    let [width, depth, heads] = sizes;
    let act = json.object("act_kwargs").text("approximate", "none")?;
    Ok(TransformerConfig {
        mlp_ratio: (json.float("mlp_ratio", 4.0)? * width as f64).floor() / width.max(1) as f64,
        activation: match (quick, act) {
            (true, _) => Activation::QuickGelu,
            (_, "tanh") => Activation::GeluTanh,
            _ => Activation::Gelu,
        },
        norm_eps: json.object("norm_kwargs").float("eps", 1e-5)?,
        layer_scale: json.get("ls_init_value").map(|_| json.float("ls_init_value", 1.0)).transpose()?,
        ..TransformerConfig::new(width, depth, heads)
    })
}

fn image(json: Json, dim: i64, quick: bool, weights: &Weights, map: &mut Map) -> Result<VitConfig> {
    if json.get("layers").is_some_and(Value::is_array) {
        return Err(Error::format(
            json.path,
            "vision_cfg.layers: ResNet towers are not supported, only Transformers",
        ));
    }
    if json.text("pos_embed_type", "learnable")? == "none" {
        return Err(Error::format(json.path, "vision_cfg.pos_embed_type: expected learnable or sin_cos_2d"));
    }
    let width = json.int("width", 768)?;
    let heads = width / json.int("head_width", 64)?.max(1);
    let queries = match json.get("attentional_pool") {
        None | Some(Value::Bool(false)) => false,
        Some(Value::Bool(true)) => true,
        Some(other) => {
            return Err(Error::format(
                json.path,
                format!("attentional_pool: {other} is not supported, only true"),
            ));
        }
    };
    let after = json.bool("final_ln_after_pool", false)?;
    let p = "visual.";
    let kind = json.text("pool_type", "tok")?;
    let (heads_of_pool, count) = (json.int("attn_pooler_heads", 8)?, json.int("attn_pooler_queries", 256)?);
    if queries && kind != "tok" {
        return Err(json
            .wrong("pool_type", "tok beside attentional_pool: its first query is the image's")
            .into());
    }
    if queries && json.object("norm_kwargs").float("eps", 1e-5)? != 1e-5 {
        return Err(json
            .object("norm_kwargs")
            .wrong("eps", "0.00001 beside attentional_pool, whose norms have no other")
            .into());
    }
    let pooling = if queries {
        Pooling::Queries { width: dim, heads: heads_of_pool, count }
    } else {
        match kind {
            "tok" => Pooling::First,
            "avg" => Pooling::Mean,
            other => {
                return Err(Error::format(
                    json.path,
                    format!("pool_type: expected tok or avg, found {other:?}"),
                ));
            }
        }
    };
    let split = weights.has("visual.attn_pool.attn.q_proj_weight");
    let at = |what: &str| format!("{p}attn_pool.attn.{what}");
    let w = dim.to_string();
    let (q, kv) = if split {
        (at("q_proj_weight"), format!("cat({}, {})", at("k_proj_weight"), at("v_proj_weight")))
    } else {
        let whole = at("in_proj_weight");
        (format!("rows({whole}, 0, {w})"), format!("rows({whole}, {w})"))
    };
    map.add(BLOCKS, &[("m", "image"), ("p", p)])?;
    map.add(IMAGE, &[("p", p), ("w", &w), ("q_weight", &q), ("kv_weight", &kv)])?;
    Ok(VitConfig {
        size: Size { sides: json.pair("image_size", 224)? },
        stem: StemConfig::Patch { size: json.pair("patch_size", 16)?, stride: None },
        flexible: false,
        prefix: 1,
        transformer: TransformerConfig {
            input_norm: !json.bool("no_ln_pre", false)?,
            final_norm: if after { FinalNorm::Pooled } else { FinalNorm::Tokens },
            ..own_blocks(json, [width, json.int("layers", 12)?, heads], quick)?
        },
        pooling,
        projection: ProjectionConfig::Linear { bias: false },
    })
}

fn own_text(json: Json, quick: bool, weights: &Weights, map: &mut Map) -> Result<TextConfig> {
    refuse(json, &["use_pad_mask"])?;
    let p = if weights.has("text.token_embedding.weight") { "text." } else { "" };
    let class = json.bool("embed_cls", false)?;
    let bias = json.bool("proj_bias", false)?;
    let none = json.text("proj_type", "linear")? == "none";
    let end = json.int("eos_id", 2)?;
    let pooling = match json.text("pool_type", "argmax")? {
        _ if class => Pooling::Last,
        "argmax" => Pooling::Highest,
        "eos" => Pooling::End(end),
        "first" => Pooling::First,
        "last" => Pooling::Last,
        other => {
            return Err(Error::format(
                json.path,
                format!("text_cfg.pool_type: expected argmax, eos, first or last, found {other:?}"),
            ));
        }
    };
    let projection =
        if bias { format!("{p}text_projection.weight") } else { format!("t({p}text_projection)") };
    map.add(BLOCKS, &[("m", "text"), ("p", p)])?;
    map.add(TEXT, &[("p", p), ("projection", &projection)])?;
    let sizes = [json.int("width", 512)?, json.int("layers", 12)?, json.int("heads", 8)?];
    let pad = json.int("pad_id", 0)?;
    let transformer = TransformerConfig {
        causal: !json.bool("no_causal_mask", false)?,
        final_norm: if class { FinalNorm::Pooled } else { FinalNorm::Tokens },
        ..own_blocks(json, sizes, quick)?
    };
    let (vocab, context) = (json.int("vocab_size", 49408)?, json.int("context_length", 77)?);
    Ok(TextConfig {
        pooling,
        class_token: class.then_some(ClassToken { pad, shifted: !json.bool("correct_cls_mask", false)? }),
        projection: if none { ProjectionConfig::None } else { ProjectionConfig::Linear { bias } },
        ..TextConfig::new(vocab, context, transformer)
    })
}

#[cfg(test)]
mod tests;

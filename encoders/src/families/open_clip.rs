//! OpenCLIP's own format: `open_clip_config.json` beside `open_clip_model.safetensors`.
//!
//! - **stem**: CLIP's, or timm's ViT; texts: its own tokens, or a BERT of Hugging Face's
//! - **blocks**: pre-norm, GELU or quick GELU, layer scale where it is set; texts causal or not
//! - **norms**: CLIP's; the last one over all tokens for timm's
//! - **pooling**: class token, mean, SigLIP's query or CoCa's queries; texts at the end token, the last one, a class token, or BERT's
//! - **projection**: linear or two layers; a logit scale, and a bias where SigLIP's loss was used
//! - **processor**: `preprocess_cfg`, by `ImageProcessor::from_open_clip`; OpenCLIP's cleaning of texts
//! - **map**: `open_clip_blocks.map`, `open_clip_text.map`, `open_clip_image.map`, `timm_image.map`, `bert_text.map`, `logits.map`
//! - **largest golden difference**: at most 2e-6, which its golden test holds it to; measured 1.2e-6

use super::bert::Rows;
use super::source::Plan;
use crate::config::{
    Activation, ClassToken, FinalNorm, ImageConfig, ModelConfig, NormPlace, Pooling, ProjectionConfig,
    StemConfig, TextConfig, TransformerConfig,
};
use crate::{Error, Processors, Result};
use serde_json::Value;
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::Json;
use unisono_processors::Size;
use unisono_processors::{Cleaning, ImageProcessor, TextProcessor, TextRules};

const LOGITS: &str = include_str!("../../maps/logits.map");
const BLOCKS: &str = include_str!("../../maps/open_clip_blocks.map");
const TEXT: &str = include_str!("../../maps/open_clip_text.map");
const IMAGE: &str = include_str!("../../maps/open_clip_image.map");
const TIMM: &str = include_str!("../../maps/timm_image.map");

pub(super) fn plan(dir: &Path) -> Result<Plan> {
    let path = dir.join("open_clip_config.json");
    let value: Value = unisono_processors::read_json(&path)?;
    let whole = Json::new(&path, &value);
    // Older files hold the model's configuration alone.
    let model = if whole.get("model_cfg").is_some() { whole.object("model_cfg") } else { whole };
    let weights = Weights::open_open_clip(dir)?;
    let dim = model.int("embed_dim", 512)?;
    let quick = model.bool("quick_gelu", false)?;
    let (text, vision) = (model.object("text_cfg"), model.object("vision_cfg"));
    let mut map = Map::default();
    let image = if vision.get("timm_model_name").is_some() {
        timm(vision, &weights, &mut map)?
    } else {
        image(vision, dim, quick, &weights, &mut map)?
    };
    let text = if text.get("hf_model_name").is_some() {
        borrowed_text(text, dim, &weights, &mut map)?
    } else {
        own_text(text, quick, &weights, &mut map)?
    };
    let logit_bias = weights.has("logit_bias");
    map.add(LOGITS, &[("pair", "text_image")])?;
    if model.get("multimodal_cfg").is_some() {
        // CoCa's decoder writes captions; it is no part of the shared space.
        map.add("ignore text_decoder.*", &[])?;
    }
    let processor = ImageProcessor::from_open_clip(whole.object("preprocess_cfg"), image.size)?;
    let config = ModelConfig {
        embed_dim: dim,
        text: Some(text),
        image: Some(image),
        audio: None,
        video: None,
        logit_bias,
    };
    let text_processor = text_processor(dir, model.object("text_cfg"), &config)?;
    let processors = Processors { image: Some(processor), text: text_processor, audio: None };
    Ok(Plan { config, map, weights, processors })
}

/// OpenCLIP cleans every text first; towers without a causal mask attend to the padding.
fn text_processor(dir: &Path, json: Json, config: &ModelConfig) -> Result<Option<TextProcessor>> {
    let Some(text) = &config.text else { return Ok(None) };
    let borrowed = json.get("hf_tokenizer_name").is_some();
    let default = if borrowed { "whitespace" } else { "lower" };
    let clean = match json.object("tokenizer_kwargs").text("clean", default)? {
        "lower" => Cleaning::Lower,
        "whitespace" => Cleaning::Whitespace,
        "canonicalize" => Cleaning::Canonicalize,
        other => {
            let expected = "tokenizer_kwargs.clean: expected lower, whitespace or canonicalize";
            return Err(Error::format(json.path, format!("{expected}, found {other:?}")));
        }
    };
    let attends = json.bool("no_causal_mask", false)?;
    let fixed_pad = if attends { Some(super::source::pad_id(dir)?) } else { None };
    let context = usize::try_from(text.context_length).unwrap_or(1);
    let rules = TextRules { clean, fixed_pad };
    Ok(TextProcessor::from_checkpoint(dir, "open_clip", context, text.vocab_size, rules)?)
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

fn image(json: Json, dim: i64, quick: bool, weights: &Weights, map: &mut Map) -> Result<ImageConfig> {
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
    let pooling = if queries {
        Pooling::Queries {
            width: dim,
            heads: json.int("attn_pooler_heads", 8)?,
            count: json.int("attn_pooler_queries", 256)?,
        }
    } else {
        match json.text("pool_type", "tok")? {
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
    Ok(ImageConfig {
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

/// Head counts of timm's Vision Transformers by the size in their names; others have heads of 64.
const TIMM_HEADS: [(&str, i64); 4] = [("so400m", 16), ("giantopt", 16), ("huge", 16), ("so150m", 12)];

/// timm's names that compute GELU by its approximation.
fn timm_tanh(name: &str) -> bool {
    name.contains("siglip")
        && (name.contains("giantopt")
            || name.contains("so400m_patch16")
            || name.contains("base_patch32")
            || (name.contains("large") && name.ends_with("512")))
}

/// A Vision Transformer of timm: sizes are read off the weights, since its configuration is only a name.
fn timm(json: Json, weights: &Weights, map: &mut Map) -> Result<ImageConfig> {
    let name = json.text("timm_model_name", "")?;
    let p = "visual.";
    let shape = |n: &str| weights.shape(&format!("{p}trunk.{n}"));
    let kernel = shape("patch_embed.proj.weight");
    let fc1 = shape("blocks.0.mlp.fc1.weight");
    let (Some(&[width, 3, patch_h, patch_w]), Some(&[hidden, _])) = (kernel, fc1) else {
        return Err(Error::format(
            json.path,
            format!("timm model {name:?} is no Vision Transformer with patches; only those are supported"),
        ));
    };
    let depth = (0..).take_while(|l| shape(&format!("blocks.{l}.norm1.weight")).is_some()).count() as i64;
    let named = TIMM_HEADS.iter().find(|(part, _)| name.contains(part)).map(|(_, heads)| *heads);
    let heads = named.unwrap_or(width / json.int("head_width", 64)?.max(1));
    let class = shape("cls_token").is_some();
    if shape("reg_token").is_some() || shape("blocks.0.attn.q_norm.weight").is_some() {
        return Err(Error::format(
            json.path,
            format!("timm model {name:?}: registers and query norms are not supported"),
        ));
    }
    let pooling = match json.text("timm_pool", "avg")? {
        "map" => Pooling::Map,
        "token" | "tok" => Pooling::First,
        "avg" | "" if !class || json.text("timm_pool", "avg")? == "avg" => Pooling::Mean,
        "" => Pooling::First,
        other => {
            return Err(Error::format(
                json.path,
                format!("timm_pool: expected map, avg or token, found {other:?}"),
            ));
        }
    };
    let after = shape("fc_norm.weight").is_some();
    let projection = match json.text("timm_proj", "linear")? {
        "none" => ProjectionConfig::None,
        "linear" => ProjectionConfig::Linear { bias: json.bool("timm_proj_bias", false)? },
        "mlp" => {
            let hidden = weights.shape("visual.head.mlp.fc1.weight").map_or(0, |s| s[0]);
            ProjectionConfig::Mlp { hidden, activation: Activation::Gelu, bias: true }
        }
        other => {
            return Err(Error::format(
                json.path,
                format!("timm_proj: expected linear, mlp or none, found {other:?}"),
            ));
        }
    };
    let table = format!("{p}trunk.pos_embed");
    let vars = [
        ("p", p.to_owned()),
        ("prefix", format!("add({p}trunk.cls_token, rows({table}, 0, 1))")),
        ("position", if class { format!("rows({table}, 1)") } else { table }),
        ("norm", if after { "fc_norm".to_owned() } else { "norm".to_owned() }),
    ];
    map.add(TIMM, &vars.each_ref().map(|(k, v)| (*k, v.as_str())))?;
    Ok(ImageConfig {
        size: Size { sides: json.pair("image_size", 224)? },
        stem: StemConfig::Patch { size: [patch_h, patch_w], stride: None },
        flexible: false,
        prefix: i64::from(class),
        transformer: TransformerConfig {
            mlp_ratio: hidden as f64 / width.max(1) as f64,
            activation: if timm_tanh(name) { Activation::GeluTanh } else { Activation::Gelu },
            norm_eps: 1e-6,
            input_norm: shape("norm_pre.weight").is_some(),
            final_norm: if after { FinalNorm::Pooled } else { FinalNorm::Tokens },
            layer_scale: shape("blocks.0.ls1.gamma").map(|_| 1e-5),
            ..TransformerConfig::new(width, depth, heads)
        },
        pooling,
        projection,
    })
}

fn own_text(json: Json, quick: bool, weights: &Weights, map: &mut Map) -> Result<TextConfig> {
    refuse(json, &["use_pad_mask"])?;
    let p = if weights.has("text.token_embedding.weight") { "text." } else { "" };
    let class = json.bool("embed_cls", false)?;
    let bias = json.bool("proj_bias", false)?;
    let none = json.text("proj_type", "linear")? == "none";
    let pooling = match json.text("pool_type", "argmax")? {
        _ if class => Pooling::Last,
        "argmax" => Pooling::Highest,
        "eos" => Pooling::End(json.int("eos_id", 2)?),
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
    Ok(TextConfig {
        vocab_size: json.int("vocab_size", 49408)?,
        context_length: json.int("context_length", 77)?,
        transformer: TransformerConfig {
            causal: !json.bool("no_causal_mask", false)?,
            final_norm: if class { FinalNorm::Pooled } else { FinalNorm::Tokens },
            ..own_blocks(json, sizes, quick)?
        },
        pooling,
        token_dropout: 0.0,
        class_token: class.then_some(ClassToken { pad, shifted: !json.bool("correct_cls_mask", false)? }),
        pooler: false,
        projection: if none { ProjectionConfig::None } else { ProjectionConfig::Linear { bias } },
    })
}

/// A text tower of Hugging Face inside OpenCLIP: the configuration only names it, so sizes are read off the weights.
fn borrowed_text(json: Json, dim: i64, weights: &Weights, map: &mut Map) -> Result<TextConfig> {
    let name = json.text("hf_model_name", "")?;
    let p = "text.transformer.";
    let shape = |n: &str| weights.shape(&format!("{p}{n}"));
    let (Some(&[vocab, width]), Some(&[positions, _]), Some(&[hidden, _])) = (
        shape("embeddings.word_embeddings.weight"),
        shape("embeddings.position_embeddings.weight"),
        shape("encoder.layer.0.intermediate.dense.weight"),
    ) else {
        return Err(Error::format(
            json.path,
            format!("text tower {name:?} is none of BERT, RoBERTa and XLM-R; only those are supported"),
        ));
    };
    let depth = (0..)
        .take_while(|l| shape(&format!("encoder.layer.{l}.intermediate.dense.weight")).is_some())
        .count();
    let roberta = name.contains("roberta");
    let first = if roberta { 2 } else { 0 };
    let pooling = match json.text("hf_pooler_type", "mean_pooler")? {
        "mean_pooler" => Pooling::Mean,
        "cls_pooler" | "cls_last_hidden_state_pooler" => Pooling::First,
        other => {
            return Err(Error::format(
                json.path,
                format!("hf_pooler_type: expected mean_pooler or cls_pooler, found {other:?}"),
            ));
        }
    };
    let projection = match json.text("hf_proj_type", "mlp")? {
        "linear" => ProjectionConfig::Linear { bias: false },
        "mlp" => {
            let hidden = (width + dim) / 2;
            ProjectionConfig::Mlp { hidden, activation: Activation::Gelu, bias: false }
        }
        other => {
            return Err(Error::format(
                json.path,
                format!("hf_proj_type: expected linear or mlp, found {other:?}"),
            ));
        }
    };
    let context = json.int("context_length", 77)?.min(positions - first);
    let rows = Rows { first, end: first + context };
    super::bert::add_bert(map, p, &rows)?;
    map.add("text.projection.weight = text.proj.weight", &[])?;
    map.add("text.projection.fc1.weight = text.proj.0.weight", &[])?;
    map.add("text.projection.fc2.weight = text.proj.2.weight", &[])?;
    let heads = json.int("heads", (width / 64).max(1))?;
    Ok(TextConfig {
        vocab_size: vocab,
        context_length: context,
        transformer: TransformerConfig {
            mlp_ratio: hidden as f64 / width.max(1) as f64,
            norm: NormPlace::Post,
            input_norm: true,
            final_norm: FinalNorm::None,
            norm_eps: if roberta { 1e-5 } else { 1e-12 },
            ..TransformerConfig::new(width, depth as i64, heads)
        },
        pooling,
        token_dropout: 0.0,
        class_token: None,
        pooler: json.text("hf_pooler_type", "mean_pooler")? == "cls_pooler"
            && shape("pooler.dense.weight").is_some(),
        projection,
    })
}

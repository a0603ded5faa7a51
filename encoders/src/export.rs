//! CLIP-shaped models in the formats that other libraries load: Hugging Face's `CLIPModel` and OpenCLIP. A model of another shape is
//! refused with what stands in the way, not bent.

use crate::config::{
    Activation, FinalNorm, ImageConfig, NormKind, NormPlace, Pooling, ProjectionConfig, StemConfig,
    TextConfig, TransformerConfig, VitConfig,
};
use crate::{Error, Model, Result};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use unisono_nn::Map;
use unisono_nn::tensors;
use unisono_processors::{Cleaning, Fit, ImageProcessor, Interpolation, Rounding, TextProcessor};

const CLIP: &str = include_str!("../maps/to_clip.map");
const CLIP_BLOCKS: &str = include_str!("../maps/to_clip_blocks.map");
const OPEN_CLIP: &str = include_str!("../maps/to_open_clip.map");
const OPEN_CLIP_BLOCKS: &str = include_str!("../maps/to_open_clip_blocks.map");

/// A format to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// This project's own model directory.
    Unisono,
    /// Hugging Face's `CLIPModel`.
    HfClip,
    /// OpenCLIP's `open_clip_config.json` and `open_clip_model.safetensors`.
    OpenClip,
}

impl std::str::FromStr for Format {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "unisono" => Ok(Self::Unisono),
            "hf-clip" => Ok(Self::HfClip),
            "open-clip" => Ok(Self::OpenClip),
            _ => Err(format!("unknown format {s:?}: expected unisono, hf-clip or open-clip")),
        }
    }
}

/// Writes `model` to `dir` in `format`. Returns what the format cannot say and a user of it must know, a line each.
///
/// # Errors
/// A model of a shape that the format does not have, no space, no permission.
pub fn write(model: &Model, dir: &Path, format: Format) -> Result<Vec<String>> {
    match format {
        Format::Unisono => model.save(dir).map(|()| Vec::new()),
        Format::HfClip => hf_clip(model, dir),
        Format::OpenClip => open_clip(model, dir),
    }
}

fn cannot(format: &str, what: &str, found: impl std::fmt::Display) -> Error {
    Error::Input(format!("{format} has no place for this model: {what}, found {found}"))
}

struct Clip<'a> {
    text: &'a TextConfig,
    image: &'a VitConfig,
    patch: i64,
    /// The id of the token that closes every text; `None` where the highest id marks the end.
    end: Option<i64>,
}

/// What both formats ask of a model.
fn shape<'a>(model: &'a Model, format: &str) -> Result<Clip<'a>> {
    let c = model.config();
    let (Some(text), Some(image)) = (&c.text, &c.image) else {
        let has = model.modalities().iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
        return Err(cannot(format, "expected a text and an image tower", has));
    };
    let ImageConfig::Transformer(image) = image else {
        return Err(cannot(format, "expected a Transformer for images", "convolutions alone"));
    };
    if c.audio.is_some() {
        return Err(cannot(format, "expected a text and an image tower only", "an audio tower besides"));
    }
    if c.video.is_some() || image.transformer.messages {
        return Err(cannot(
            format,
            "expected towers for texts and images only",
            "a table for videos besides",
        ));
    }
    if c.reading.is_some() {
        return Err(cannot(format, "expected towers only", "a classifier whose labels are read"));
    }
    if c.classifier.is_some() {
        return Err(cannot(format, "expected towers only", "a classifier besides"));
    }
    let patch = match image.stem {
        StemConfig::Patch { size: [h, w], stride: None } if h == w => h,
        _ => return Err(cannot(format, "expected a stem of square patches", "another")),
    };
    for (name, t) in [("text", &text.transformer), ("image", &image.transformer)] {
        let modern = t.kv_heads.is_some() || t.qk_norm || t.rotary.is_some() || !t.bias;
        let plain = t.norm == NormPlace::Pre && t.norm_kind == NormKind::Layer && !modern;
        if !plain || t.gated || t.relative.is_some() || t.final_norm == FinalNorm::None {
            return Err(cannot(
                format,
                "expected plain pre-norm blocks with a final norm",
                format!("another {name} tower"),
            ));
        }
    }
    if image.prefix != 1 || image.flexible || image.pooling != Pooling::First {
        let found = format!("{} prefix tokens and pooling {:?}", image.prefix, image.pooling);
        return Err(cannot(
            format,
            "expected one class token (image.prefix = 1) and pooling \"first\"",
            found,
        ));
    }
    let linear = ProjectionConfig::Linear { bias: false };
    if text.projection != linear
        || image.projection != linear
        || text.pooler
        || text.class_token.is_some()
        || !text.modules.is_empty()
    {
        return Err(cannot(format, "expected linear projections without bias", "others"));
    }
    let end = match &text.pooling {
        Pooling::Highest => None,
        Pooling::End(id) => Some(*id),
        Pooling::Last => Some(closing(model)?.ok_or_else(|| {
            cannot(format, "expected a tokenizer that closes every text with one token", "none")
        })?),
        other => return Err(cannot(format, "expected pooling at the end token", format!("{other:?}"))),
    };
    Ok(Clip { text, image, patch, end })
}

/// The token that closes every text.
fn closing(model: &Model) -> Result<Option<i64>> {
    let Some(p) = &model.processors().text else { return Ok(None) };
    let (a, b) = (p.encode("a")?, p.encode("b")?);
    Ok(a.last().filter(|l| b.last() == Some(l) && a.iter().filter(|i| i == l).count() == 1).copied())
}

fn act(t: &TransformerConfig) -> &'static str {
    match t.activation {
        Activation::Relu => "relu",
        Activation::Gelu => "gelu",
        Activation::GeluTanh => "gelu_pytorch_tanh",
        Activation::QuickGelu => "quick_gelu",
        Activation::Silu => "silu",
        Activation::Relu6 => "relu6",
        Activation::Tanh => "tanh",
    }
}

fn tensors_of(model: &Model, map: &Map, clip: &Clip) -> Result<Vec<(String, tch::Tensor)>> {
    let depths = [clip.text.transformer.depth, clip.image.transformer.depth];
    Ok(map.render(model.params(), &[("text", depths[0]), ("image", depths[1])])?)
}

fn hf_clip(model: &Model, dir: &Path) -> Result<Vec<String>> {
    let format = "CLIPModel";
    let clip = shape(model, format)?;
    let (t, v) = (&clip.text.transformer, &clip.image.transformer);
    if !t.causal || v.causal {
        return Err(cannot(format, "expected a causal text tower", "a bidirectional one"));
    }
    if !v.input_norm || t.input_norm || t.layer_scale.is_some() || v.layer_scale.is_some() {
        let what = "expected image.transformer.input_norm = true, none on texts, and no layer scale";
        return Err(cannot(format, what, "another setting"));
    }
    if clip.image.size.sides[0] != clip.image.size.sides[1] {
        return Err(cannot(format, "expected square images", clip.image.size));
    }
    let mut map = Map::default();
    for (theirs, m, w) in [("text_model", "text", t.width), ("vision_model", "image", v.width)] {
        let (w, w2) = (w.to_string(), (2 * w).to_string());
        map.add(CLIP_BLOCKS, &[("theirs", theirs), ("m", m), ("w", &w), ("w2", &w2)])?;
    }
    map.add(CLIP, &[])?;
    let all = tensors_of(model, &map, &clip)?;
    let tower = |t: &TransformerConfig| {
        json!({"hidden_size": t.width, "intermediate_size": t.hidden(), "num_hidden_layers": t.depth,
            "num_attention_heads": t.heads, "hidden_act": act(t), "layer_norm_eps": t.norm_eps, "attention_dropout": 0.0,
            "projection_dim": model.config().embed_dim})
    };
    let with = |mut base: Value, more: Value| {
        if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
            base.extend(more);
        }
        base
    };
    // 2 stands for "the highest id" in this format; an end token of that id would be misread.
    if clip.end == Some(2) {
        return Err(cannot(
            format,
            "expected an end token of another id than 2, which means the highest id there",
            2,
        ));
    }
    let text = json!({"vocab_size": clip.text.vocab_size, "max_position_embeddings": clip.text.context_length,
        "eos_token_id": clip.end.unwrap_or(2), "bos_token_id": null, "pad_token_id": null, "model_type": "clip_text_model"});
    let vision = json!({"image_size": clip.image.size.sides[0], "patch_size": clip.patch, "num_channels": 3,
        "model_type": "clip_vision_model"});
    let config = json!({"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": model.config().embed_dim,
        "logit_scale_init_value": 2.6592, "dtype": "float32", "text_config": with(tower(t), text),
        "vision_config": with(tower(v), vision)});
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let mut notes = tokenizer(model, dir)?;
    if model.processors().text.as_ref().is_some_and(|p| p.rules() != unisono_processors::TextRules::default())
    {
        notes.push("texts are cleaned or padded before the tokenizer here, which its file cannot say".into());
    }
    if let Some(p) = &model.processors().image {
        unisono_files::write_json(&dir.join("preprocessor_config.json"), &hf_processor(p, &mut notes))?;
    }
    unisono_files::write_json(&dir.join("config.json"), &config)?;
    tensors::write(&dir.join("model.safetensors"), &all, HashMap::from([("format".into(), "pt".into())]))?;
    Ok(notes)
}

/// The tokenizer as `PreTrainedTokenizerFast` reads it.
fn tokenizer(model: &Model, dir: &Path) -> Result<Vec<String>> {
    let Some(p) = &model.processors().text else { return Ok(Vec::new()) };
    unisono_files::write(&dir.join("tokenizer.json"), p.to_json()?)?;
    let mut notes = Vec::new();
    let pad = padding(p);
    if pad.is_none() {
        notes.push("the tokenizer has no special token that could pad texts: none is named, so padded batches are refused there".into());
    }
    let config = json!({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": p.context_length(), "pad_token": pad});
    unisono_files::write_json(&dir.join("tokenizer_config.json"), &config)?;
    Ok(notes)
}

/// The token that fills texts up: one that is special already. Named as one, a word or a mark would be cut out of every text that has it.
fn padding(p: &TextProcessor) -> Option<String> {
    let tokenizer = p.tokenizer();
    let special = |id: i64| {
        let token = tokenizer.id_to_token(u32::try_from(id).ok()?)?;
        tokenizer.get_added_vocabulary().is_special_token(&token).then_some(token)
    };
    // What this model pads with, then what it would be in a tokenizer that was trained here, then what closes a text, as CLIP has it.
    let closing = p.encode("a").ok().and_then(|ids| ids.last().copied());
    [p.rules().fixed_pad, Some(0), closing].into_iter().flatten().find_map(special)
}

/// OpenCLIP's name of what happens to a text before its tokenizer, and a note where it has none.
fn cleaning(p: &TextProcessor, notes: &mut Vec<String>) -> &'static str {
    match p.rules().clean {
        Cleaning::Lower => "lower",
        Cleaning::Whitespace => "whitespace",
        Cleaning::Canonicalize => "canonicalize",
        Cleaning::None | Cleaning::Siglip | Cleaning::Lowercase => {
            notes.push("OpenCLIP repairs texts and joins their white space before the tokenizer, which is not done here".into());
            "whitespace"
        }
    }
}

fn hf_processor(p: &ImageProcessor, notes: &mut Vec<String>) -> Value {
    let [h, w] = p.size.sides;
    let resample = match p.interpolation {
        Interpolation::Nearest => 0,
        Interpolation::Lanczos => 1,
        Interpolation::Bilinear => 2,
        Interpolation::Bicubic => 3,
        Interpolation::Box => 4,
        Interpolation::Hamming => 5,
    };
    let exact = match p.fit {
        Fit::Stretch => true,
        Fit::Crop => p.rounding == Rounding::Down && !p.even_margin,
        _ => false,
    };
    if !exact {
        notes.push(format!(
            "images are prepared by \"{:?}\" here, which CLIPImageProcessor does not have: its own crop stands in the file",
            p.fit
        ));
    }
    let size = if p.fit == Fit::Stretch {
        json!({"height": h, "width": w})
    } else {
        json!({"shortest_edge": p.edge.map_or(h.min(w), i64::from)})
    };
    json!({"image_processor_type": "CLIPImageProcessor", "do_resize": true, "size": size, "resample": resample,
        "do_center_crop": p.fit != Fit::Stretch, "crop_size": {"height": h, "width": w}, "do_rescale": true,
        "rescale_factor": 1.0 / 255.0, "do_normalize": true, "image_mean": p.mean, "image_std": p.std, "do_convert_rgb": true})
}

fn open_clip(model: &Model, dir: &Path) -> Result<Vec<String>> {
    let format = "OpenCLIP";
    let clip = shape(model, format)?;
    let (t, v) = (&clip.text.transformer, &clip.image.transformer);
    if t.input_norm || v.causal {
        return Err(cannot(
            format,
            "expected no norm before the text blocks and bidirectional images",
            "another setting",
        ));
    }
    let quick = t.activation == Activation::QuickGelu;
    if quick != (v.activation == Activation::QuickGelu)
        || [t, v].iter().any(|c| {
            matches!(c.activation, Activation::Relu | Activation::Relu6 | Activation::Silu | Activation::Tanh)
        })
    {
        return Err(cannot(
            format,
            "expected GELU or one quick GELU for both towers",
            format!("{}, {}", act(t), act(v)),
        ));
    }
    let mut map = Map::default();
    map.add(OPEN_CLIP_BLOCKS, &[("p", "text."), ("m", "text")])?;
    map.add(OPEN_CLIP_BLOCKS, &[("p", "visual."), ("m", "image")])?;
    map.add(OPEN_CLIP, &[])?;
    let all = tensors_of(model, &map, &clip)?;
    let common = |c: &TransformerConfig| {
        let mut value = json!({"width": c.width, "layers": c.depth, "mlp_ratio": c.hidden() as f64 / c.width as f64,
            "norm_kwargs": {"eps": c.norm_eps}});
        if let Some(map) = value.as_object_mut() {
            if c.activation == Activation::GeluTanh {
                map.insert("act_kwargs".into(), json!({"approximate": "tanh"}));
            }
            if let Some(init) = c.layer_scale {
                map.insert("ls_init_value".into(), json!(init));
            }
        }
        value
    };
    let (mut text, mut vision) = (common(t), common(v));
    if let (Some(text), Some(vision)) = (text.as_object_mut(), vision.as_object_mut()) {
        text.extend([
            ("context_length".into(), json!(clip.text.context_length)),
            ("vocab_size".into(), json!(clip.text.vocab_size)),
            ("heads".into(), json!(t.heads)),
            ("no_causal_mask".into(), json!(!t.causal)),
            ("pool_type".into(), json!(if clip.end.is_some() { "eos" } else { "argmax" })),
        ]);
        if let Some(end) = clip.end {
            text.insert("eos_id".into(), json!(end));
        }
        vision.extend([
            ("image_size".into(), serde_json::to_value(clip.image.size).unwrap_or_default()),
            ("head_width".into(), json!(v.width / v.heads)),
            ("patch_size".into(), json!(clip.patch)),
            ("no_ln_pre".into(), json!(!v.input_norm)),
        ]);
    }
    let mut notes = Vec::new();
    if let (Some(p), Some(text)) = (&model.processors().text, text.as_object_mut()) {
        // Any name makes `local-dir:` take the files beside this one; without one texts go through OpenAI's vocabulary.
        text.insert("hf_tokenizer_name".into(), json!("."));
        text.insert("tokenizer_kwargs".into(), json!({"clean": cleaning(p, &mut notes)}));
    }
    let mut cfg = json!({"embed_dim": model.config().embed_dim, "quick_gelu": quick, "custom_text": true, "vision_cfg": vision,
        "text_cfg": text});
    if let (true, Some(map)) = (model.config().logit_bias, cfg.as_object_mut()) {
        map.insert("init_logit_bias".into(), json!(-10.0));
    }
    std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    notes.extend(tokenizer(model, dir)?);
    let preprocess = model.processors().image.as_ref().map(|p| open_clip_processor(p, &mut notes));
    unisono_files::write_json(
        &dir.join("open_clip_config.json"),
        &json!({"model_cfg": cfg, "preprocess_cfg": preprocess}),
    )?;
    let path = dir.join("open_clip_model.safetensors");
    tensors::write(&path, &all, HashMap::from([("format".into(), "pt".into())]))?;
    Ok(notes)
}

fn open_clip_processor(p: &ImageProcessor, notes: &mut Vec<String>) -> Value {
    let (mode, exact) = match p.fit {
        Fit::Stretch => ("squash", true),
        Fit::Pad => ("longest", p.background[0] == p.background[1] && p.background[1] == p.background[2]),
        _ => ("shortest", p.edge.is_none_or(|e| i64::from(e) == p.size.sides[0])),
    };
    let filter = if p.interpolation == Interpolation::Bilinear { "bilinear" } else { "bicubic" };
    if !exact || !matches!(p.interpolation, Interpolation::Bilinear | Interpolation::Bicubic) {
        notes.push("OpenCLIP's transforms cannot prepare images exactly as here: the nearest settings stand in the file".into());
    }
    json!({"size": p.size.sides, "mode": "RGB", "mean": p.mean, "std": p.std, "interpolation": filter, "resize_mode": mode,
        "fill_color": p.background[0]})
}

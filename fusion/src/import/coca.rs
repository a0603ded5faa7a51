//! CoCa (Yu et al. 2022) as OpenCLIP saves it: its text tower is the lower half of its decoder.

use super::plan::Plan;
use crate::config::{CrossPlace, FusionConfig, Generation, LanguageHead, MemoryConfig, StackConfig, Tokens};
use crate::{Error, Result};
use serde_json::Value;
use std::path::Path;
use unisono_encoders::Modality;
use unisono_encoders::config::{Activation, TransformerConfig};
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::read_json;
use unisono_processors::{Cleaning, TextProcessor, TextRules};
use unisono_processors::{Json, Keys, Reads};

const ENDS: &str = include_str!("../../maps/coca.map");
const BLOCK: &str = include_str!("../../maps/coca_block.map");
const CROSS: &str = include_str!("../../maps/coca_cross.map");

fn config_file(dir: &Path) -> Result<Value> {
    let value: Value = read_json(&dir.join("open_clip_config.json"))?;
    // Older files hold the model's configuration alone.
    Ok(value.get("model_cfg").cloned().unwrap_or(value))
}

/// The checkpoint has a decoder.
pub(super) fn is(dir: &Path) -> Result<bool> {
    Ok(config_file(dir)?.get("multimodal_cfg").is_some_and(|c| !c.is_null()))
}

pub(super) fn plan(dir: &Path) -> Result<Plan> {
    let path = dir.join("open_clip_config.json");
    let value = config_file(dir)?;
    let reads = Reads::default();
    let json = Json::new(&path, &value).counted(&reads);
    let (lower, upper) = (json.object("text_cfg"), json.object("multimodal_cfg"));
    let weights = Weights::open_open_clip(dir)?;
    let width = lower.int("width", 512)?;
    let same = [("width", 512), ("heads", 8)];
    for (key, default) in same {
        let (a, b) = (lower.int(key, default)?, upper.int(key, default)?);
        if a != b {
            let message = format!("multimodal_cfg.{key}: expected text_cfg's {a}, found {b}");
            return Err(unisono_encoders::Error::format(&path, message).into());
        }
    }
    let (below, above) = (lower.int("layers", 12)?, upper.int("layers", 12)?);
    let length = lower.int("context_length", 77)?;
    let vocab = lower.int("vocab_size", 49408)?;
    let mut map = Map::default();
    let (w, l) = (width.to_string(), length.to_string());
    map.add(ENDS, &[("length", &l)])?;
    for n in 0..below + above {
        let ours = n.to_string();
        let theirs = if n < below {
            format!("text.transformer.resblocks.{n}")
        } else {
            format!("text_decoder.resblocks.{}", n - below)
        };
        map.add(BLOCK, &[("n", &ours), ("p", &theirs)])?;
        if n >= below {
            let theirs = format!("text_decoder.cross_attn.{}", n - below);
            map.add(CROSS, &[("n", &ours), ("p", &theirs), ("w", &w)])?;
        }
    }
    let quick = json.bool("quick_gelu", false)?;
    let rules = TextRules { clean: Cleaning::Lower, ..TextRules::default() };
    let context = usize::try_from(length).unwrap_or(1);
    let named = !lower.text("hf_tokenizer_name", "")?.is_empty();
    let text = match vocab >= TextProcessor::CLIP_TOKENS && !named {
        true => Some(TextProcessor::open_clip(context, vocab, rules)?),
        false => TextProcessor::from_checkpoint(dir, "open_clip", context, vocab, rules)?,
    };
    // The library writes these two down nowhere: they are the last two of CLIP's vocabulary.
    let id = |token: &str| text.as_ref().and_then(|t| t.tokenizer().token_to_id(token)).map(i64::from);
    let start = id("<|startoftext|>").or_else(|| id("<start_of_text>")).unwrap_or(vocab - 2);
    let end = id("<|endoftext|>").or_else(|| id("<end_of_text>")).unwrap_or(vocab - 1);
    let memory = weights.shape("text_decoder.cross_attn.0.ln_1_kv.weight").and_then(<[i64]>::first).copied();
    let memory = memory.ok_or_else(|| Error::Config("a CoCa decoder without cross-attention".into()))?;
    let config = FusionConfig {
        memory: MemoryConfig::Tower { modality: Modality::Image, skip: 1 },
        encoder: None,
        decoder: Some(StackConfig {
            vocab_size: vocab,
            context_length: length,
            transformer: TransformerConfig {
                mlp_ratio: (lower.float("mlp_ratio", 4.0)? * width as f64).floor() / width.max(1) as f64,
                activation: if quick { Activation::QuickGelu } else { Activation::Gelu },
                causal: true,
                ..TransformerConfig::new(width, below + above, lower.int("heads", 8)?)
            },
            memory_width: Some(memory),
            cross: CrossPlace::After,
            unimodal: below,
            head: Some(LanguageHead::Own),
        }),
        matching: false,
        last_token: false,
        answers: false,
        tokens: Tokens { start, end: vec![end], pad: lower.int("pad_id", 0)?, first: Some(start) },
        // The library's defaults: at most 30 tokens, at least 5.
        generation: Generation { max_length: 30, min_length: 5, end: vec![end], ..Generation::default() },
        words: Vec::new(),
        speech: None,
    };
    // The rest of the file is the towers'.
    upper.finish(&Keys::new(&[super::plan::CONFIG])?, "coca")?;
    Ok(Plan { config, map, weights, text })
}

//! Whisper (Radford et al. 2023) as Hugging Face saves it.

use super::plan::Plan;
use crate::Result;
use crate::config::{
    CrossPlace, FusionConfig, Generation, LanguageHead, MemoryConfig, SpeechConfig, StackConfig, Tokens,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use unisono_encoders::Modality;
use unisono_encoders::config::TransformerConfig;
use unisono_encoders::families::activation;
use unisono_nn::Map;
use unisono_nn::weights::Weights;
use unisono_processors::read_json;
use unisono_processors::{Json, Keys, Reads};
use unisono_processors::{TextProcessor, TextRules};

const MAP: &str = include_str!("../../maps/whisper.map");

pub(super) fn plan(dir: &Path) -> Result<Plan> {
    let path = dir.join("config.json");
    let value: Value = read_json(&path)?;
    let (reads, saved_reads) = (Reads::default(), Reads::default());
    let json = Json::new(&path, &value).counted(&reads);
    let saved_path = dir.join("generation_config.json");
    let saved_value: Value =
        if saved_path.exists() { read_json(&saved_path)? } else { Value::Object(Default::default()) };
    let saved = Json::new(&saved_path, &saved_value).counted(&saved_reads);
    let weights = Weights::open(dir)?;
    let p = if weights.has("model.decoder.embed_tokens.weight") { "model." } else { "" };
    let mut map = Map::default();
    map.add(MAP, &[("p", p)])?;
    let width = json.int("d_model", 384)?;
    let vocab = json.int("vocab_size", 51865)?;
    let positions = json.int("max_target_positions", 448)?;
    if json.bool("scale_embedding", false)? {
        let message = "scale_embedding: expected false, as all published models have it";
        return Err(unisono_encoders::Error::format(&path, message).into());
    }
    let context = usize::try_from(positions).unwrap_or(1);
    let text = TextProcessor::from_checkpoint(dir, "whisper", context, vocab, TextRules::default())?;
    let token = |name: &str| text.as_ref().and_then(|t| t.tokenizer().token_to_id(name)).map(i64::from);
    let map_of = |key: &str| -> BTreeMap<String, i64> {
        let object = saved.get(key).and_then(Value::as_object);
        let pairs = object.into_iter().flatten();
        pairs.filter_map(|(k, v)| Some((k.trim_matches(['<', '|', '>']).to_owned(), v.as_i64()?))).collect()
    };
    let list = |key: &str| -> Result<Vec<i64>> {
        let of = if saved.get(key).is_some() { saved } else { json };
        Ok(of.ints(key, 1 << 16)?.unwrap_or_default())
    };
    let id = |key: &str| saved.get(key).map(|_| saved.int(key, 0)).transpose();
    let tasks = map_of("task_to_id");
    let end = saved.int("eos_token_id", json.int("eos_token_id", 50256)?)?;
    let start = saved.int("decoder_start_token_id", json.int("decoder_start_token_id", 50257)?)?;
    let no_timestamps = match id("no_timestamps_token_id")? {
        Some(id) => id,
        // English models have 50362, multilingual ones 50363, the third large one 50364.
        None => token("<|notimestamps|>").unwrap_or(vocab - 1502),
    };
    let transformer = TransformerConfig {
        mlp_ratio: json.ratio("decoder_ffn_dim", 1536, width)?,
        activation: activation(json, "activation_function", "gelu")?,
        ..TransformerConfig::new(
            width,
            json.int("decoder_layers", 4)?,
            json.int("decoder_attention_heads", 6)?,
        )
    };
    let generation = Generation {
        max_length: usize::try_from(saved.int("max_length", positions)?).unwrap_or(context).min(context),
        end: vec![end],
        suppress: list("suppress_tokens")?,
        begin_suppress: list("begin_suppress_tokens")?,
        ..Generation::default()
    };
    let speech = SpeechConfig {
        languages: map_of("lang_to_id"),
        transcribe: tasks.get("transcribe").copied(),
        translate: tasks.get("translate").copied(),
        no_timestamps,
        previous: id("prev_sot_token_id")?
            .or_else(|| token("<|startofprev|>"))
            .or_else(|| token("<|startoflm|>").map(|id| id + 1)),
        max_initial_timestamp: id("max_initial_timestamp_index")?,
        frames: usize::try_from(2 * json.int("max_source_positions", 1500)?).unwrap_or(3000),
        stride: 2,
    };
    let tokens = Tokens { start, end: vec![end], pad: saved.int("pad_token_id", end)?, first: None };
    let config = decoder(vocab, positions, transformer, tokens, generation, speech);
    super::plan::finish(json, "whisper")?;
    saved.finish(&Keys::new(&[super::plan::GENERATION])?, "whisper")?;
    Ok(Plan { config, map, weights, text })
}

/// Whisper's decoder over the tokens of its encoder.
pub(super) fn decoder(
    vocab_size: i64,
    context_length: i64,
    transformer: TransformerConfig,
    tokens: Tokens,
    generation: Generation,
    speech: SpeechConfig,
) -> FusionConfig {
    FusionConfig {
        memory: MemoryConfig::Tower { modality: Modality::Audio, skip: 0 },
        encoder: None,
        decoder: Some(StackConfig {
            vocab_size,
            context_length,
            memory_width: Some(transformer.width),
            transformer: TransformerConfig { causal: true, ..transformer },
            cross: CrossPlace::Inside,
            unimodal: 0,
            head: Some(LanguageHead::Tied),
        }),
        matching: false,
        last_token: false,
        answers: false,
        tokens,
        generation,
        words: Vec::new(),
        speech: Some(speech),
    }
}

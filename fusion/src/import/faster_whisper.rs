//! Whisper's decoder as faster-whisper keeps it. What its `config.json` leaves out, the tokenizer says: ids go by their names.

use super::plan::Plan;
use super::whisper;
use crate::Result;
use crate::config::{Generation, SpeechConfig, Tokens};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use unisono_encoders::families::FasterWhisper;
use unisono_nn::Map;
use unisono_processors::{Json, TextProcessor, TextRules, read_json};

const MAP: &str = include_str!("../../maps/faster_whisper.map");
/// Ids of models of English alone, by which the reference knows them: the tokens of languages and tasks are in their tokenizers too.
const ENGLISH: i64 = 51_864;
/// A text's first time is within its first second: fifty times of two hundredths.
const FIRST_TIME: i64 = 50;

pub(super) fn plan(dir: &Path) -> Result<Plan> {
    let path = dir.join("config.json");
    let value: Value = read_json(&path)?;
    let json = Json::new(&path, &value);
    let kept = FasterWhisper::open(dir)?;
    let vocab = kept.size("decoder/embeddings/weight", 0)?;
    let positions = kept.size("decoder/position_encodings/encodings", 0)?;
    let heard = kept.size("encoder/position_encodings/encodings", 0)?;
    let transformer = kept.blocks("decoder")?;
    let mut map = Map::default();
    map.add(MAP, &[])?;

    let context = usize::try_from(positions).unwrap_or(1);
    let text = TextProcessor::from_checkpoint(dir, "whisper", context, vocab, TextRules::default())?;
    let Some(text) = text else {
        let message = "no tokenizer.json here, which faster-whisper's models have had since 2023; convert the model again";
        return Err(unisono_encoders::Error::format(dir, message).into());
    };
    let tokenizer = text.tokenizer();
    let token = |name: &str| tokenizer.token_to_id(name).map(i64::from);
    let needed = |name: &str| {
        let message = || format!("expected the token {name}, found none");
        token(name).ok_or_else(|| unisono_encoders::Error::format(&dir.join("tokenizer.json"), message()))
    };
    let list = |key: &str| -> Result<Vec<i64>> { Ok(json.ints(key, 1 << 16)?.unwrap_or_default()) };
    let mut languages = BTreeMap::new();
    for id in list("lang_ids")? {
        let name = u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id));
        let Some(name) = name else {
            return Err(json.wrong("lang_ids", "ids of the tokenizer's tokens").into());
        };
        languages.insert(name.trim_matches(['<', '|', '>']).to_owned(), id);
    }
    let many = vocab != ENGLISH;
    let task = |name: &str| if many { token(name) } else { None };

    let (start, end) = (needed("<|startoftranscript|>")?, needed("<|endoftext|>")?);
    let generation = Generation {
        max_length: context,
        end: vec![end],
        suppress: list("suppress_ids")?,
        begin_suppress: list("suppress_ids_begin")?,
        ..Generation::default()
    };
    let speech = SpeechConfig {
        transcribe: task("<|transcribe|>"),
        translate: task("<|translate|>"),
        languages: if many { languages } else { BTreeMap::new() },
        no_timestamps: needed("<|notimestamps|>")?,
        previous: token("<|startofprev|>"),
        max_initial_timestamp: Some(FIRST_TIME),
        frames: usize::try_from(heard.saturating_mul(2)).unwrap_or(3000),
        stride: 2,
    };
    let tokens = Tokens { start, end: vec![end], pad: end, first: None };
    let config = whisper::decoder(vocab, positions, transformer, tokens, generation, speech);
    Ok(Plan { config, map, weights: kept.weights, text: Some(text) })
}

//! What sentence-transformers keeps beside an encoder: its modules, how texts are pooled, how long they may be.

use super::source::Checkpoint;
use crate::config::Pooling;
use crate::{Error, Result};
use serde_json::Value;
use std::path::{Component, Path};
use unisono_processors::{Json, Keys, Reads, optional_json};

/// What need not be read of its files.
const KEYS: &str = include_str!("../../keys/sentence_transformers.keys");

/// The names that its versions gave the settings of the encoder.
const SETTINGS: [&str; 7] = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
];

/// Reads a file of the folder whole: `read` takes what it needs, the rest must be known to change nothing.
fn with<T>(path: &Path, value: &Value, section: &str, read: impl FnOnce(Json) -> Result<T>) -> Result<T> {
    let reads = Reads::default();
    let json = Json::new(path, value).counted(&reads);
    let found = read(json)?;
    json.finish(&Keys::new(&[KEYS])?, section)?;
    Ok(found)
}

/// Tokens of the longest text, where its files say so: `max_seq_length`, or the tokenizer's `model_max_length` where that is left out.
pub(super) fn limit(source: &Checkpoint) -> Result<Option<i64>> {
    for name in SETTINGS {
        let path = source.dir.join(name);
        let Some(value) = optional_json(&path)? else { continue };
        let found = with(&path, &value, "transformer", |json| {
            Ok(json.has("max_seq_length").then(|| json.int("max_seq_length", 1)).transpose()?)
        })?;
        if found.is_some() {
            return Ok(found);
        }
        break;
    }
    let path = source.dir.join("tokenizer_config.json");
    let tokenizer = optional_json(&path)?.filter(|_| source.dir.join("modules.json").exists());
    // Where there is no limit the library writes 10 to the 30th.
    let most = tokenizer.as_ref().and_then(|t| t.get("model_max_length")).and_then(Value::as_f64);
    Ok(most.filter(|m| (1.0..f64::from(1 << 20)).contains(m)).map(|m| m as i64))
}

/// What `modules.json` says; `None` when there is none.
pub(super) fn pooling(source: &Checkpoint) -> Result<Option<Pooling>> {
    let Some(modules) = source.json("modules.json")? else { return Ok(None) };
    prompts(source)?;
    let path = source.dir.join("modules.json");
    let mut pooling = None;
    for module in modules.as_array().into_iter().flatten() {
        let (kind, folder) = with(&path, module, "module", |json| {
            Ok((json.text("type", "")?.to_owned(), json.text("path", "")?.to_owned()))
        })?;
        let folder = folder.as_str();
        match kind.rsplit('.').next().unwrap_or_default() {
            "Transformer" if folder.is_empty() || folder == "." => {}
            "Transformer" => {
                return Err(Json::new(&path, module)
                    .wrong("path", "\"\": an encoder in this folder itself")
                    .into());
            }
            "Normalize" => {}
            "Pooling" => {
                // A name from a stranger's file must not lead out of the folder.
                if !Path::new(folder).components().all(|c| matches!(c, Component::Normal(_))) {
                    return Err(Json::new(&path, module).wrong("path", "a folder below this one").into());
                }
                let at = source.dir.join(folder).join("config.json");
                let value: Value = unisono_processors::read_json(&at)?;
                pooling = Some(with(&at, &value, "pooling", mode)?);
            }
            other => {
                return Err(Error::format(
                    &path,
                    format!("module {other:?} is not supported; expected Transformer, Pooling and Normalize"),
                ));
            }
        }
    }
    Ok(pooling)
}

/// A prompt that is put before every text is refused: it would be missing here.
fn prompts(source: &Checkpoint) -> Result<()> {
    let path = source.dir.join("config_sentence_transformers.json");
    let Some(value) = optional_json(&path)? else { return Ok(()) };
    with(&path, &value, "model", |json| {
        let (prompts, name) = (json.object("prompts"), json.text("default_prompt_name", "")?);
        for key in prompts.value.as_object().into_iter().flatten().map(|(key, _)| key) {
            if !prompts.text(key, "")?.is_empty() && key == name {
                return Err(json
                    .wrong("default_prompt_name", "none: prompts are not put before texts here")
                    .into());
            }
        }
        Ok(())
    })
}

/// Its ways to pool, as its files have named them.
const MODES: [(&str, &str, Option<Pooling>); 6] = [
    ("pooling_mode_mean_tokens", "mean", Some(Pooling::Mean)),
    ("pooling_mode_cls_token", "cls", Some(Pooling::First)),
    ("pooling_mode_lasttoken", "lasttoken", Some(Pooling::Last)),
    ("pooling_mode_max_tokens", "max", None),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", None),
    ("pooling_mode_weightedmean_tokens", "weightedmean", None),
];

fn mode(json: Json) -> Result<Pooling> {
    // The key of today, or a switch for each way: absent, the mean's is on.
    let named = json.text("pooling_mode", "")?;
    let any = json.value.as_object().into_iter().flatten().any(|(k, _)| k.starts_with("pooling_mode"));
    let mut on = Vec::new();
    for (switch, name, pooling) in MODES {
        if json.bool(switch, name == "mean" && !any)? || named == name {
            on.push((name, pooling));
        }
    }
    match on.as_slice() {
        [(_, Some(pooling))] => Ok(*pooling),
        _ => {
            let names: Vec<&str> = on.iter().map(|(name, _)| *name).collect();
            let found = if on.is_empty() { named.to_owned() } else { names.join(" and ") };
            let message = format!("pooling_mode: expected one of mean, cls and lasttoken, found {found:?}");
            Err(Error::format(json.path, message))
        }
    }
}

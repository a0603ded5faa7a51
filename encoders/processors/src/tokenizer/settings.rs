//! `tokenizer_config.json`: what its library makes of a tokenizer besides the steps in `tokenizer.json`. Its classes build some of those steps
//! anew from these settings, so a setting that a step contradicts is refused.

use crate::{Error, Json, Keys, Reads, Result};
use serde_json::{Value, json};

/// What need not be read of the file.
const KEYS: &str = include_str!("../../keys/tokenizer.keys");

/// Refuses a key that is not known.
///
/// # Errors
/// The key, by its name.
pub(super) fn check(config: Json) -> Result<()> {
    let reads = Reads::default();
    let json = config.counted(&reads);
    for key in ["add_bos_token", "add_eos_token"] {
        json.bool(key, false)?;
    }
    json.finish(&Keys::new(&[KEYS])?, "")
}

/// The tokenizer's `file` as the settings have it: special tokens around each text where they say so.
///
/// # Errors
/// A setting that a step of the file contradicts.
pub(super) fn applied(config: Json, mut file: Value) -> Result<Value> {
    for (key, kind, theirs) in [
        ("do_lower_case", "BertNormalizer", "lowercase"),
        ("strip_accents", "BertNormalizer", "strip_accents"),
        ("tokenize_chinese_chars", "BertNormalizer", "handle_chinese_chars"),
        ("add_prefix_space", "ByteLevel", "add_prefix_space"),
    ] {
        let Some(says) = config.get(key) else { continue };
        for part in ["normalizer", "pre_tokenizer"] {
            if let Some(does) = step(&file[part], kind).and_then(|s| s.get(theirs)).filter(|d| *d != says) {
                let message =
                    format!("{key}: expected {does}, as {part} of tokenizer.json has it, found {says}");
                return Err(Error::format(config.path, message));
            }
        }
    }
    let class = config.text("tokenizer_class", "")?;
    let generic = ["Gemma", "Siglip2", "Llama", "TokenizersBackend", "PreTrainedTokenizer"]
        .iter()
        .any(|c| class.starts_with(c));
    if generic && (config.has("add_bos_token") || config.has("add_eos_token")) {
        file["post_processor"] = around(config, &file)?;
    }
    Ok(file)
}

/// The first step of a kind.
fn step<'a>(part: &'a Value, kind: &str) -> Option<&'a Value> {
    if part["type"] == kind {
        return Some(part);
    }
    let list = part.get("normalizers").or_else(|| part.get("pretokenizers"))?.as_array()?;
    list.iter().find(|s| s["type"] == kind)
}

/// A template with the beginning and end that the settings ask for.
fn around(config: Json, file: &Value) -> Result<Value> {
    let token = |wanted: &str, name: &str| -> Result<Option<(String, Value)>> {
        if !config.bool(wanted, false)? {
            return Ok(None);
        }
        let value = config.get(name).map(|t| t.get("content").unwrap_or(t));
        let Some(text) = value.and_then(Value::as_str) else { return Ok(None) };
        let added = file["added_tokens"].as_array().into_iter().flatten().find(|t| t["content"] == text);
        let id = added.map(|t| &t["id"]).or_else(|| file["model"]["vocab"].get(text));
        match id {
            Some(id) => Ok(Some((text.to_owned(), json!({"id": text, "ids": [id], "tokens": [text]})))),
            None => Err(config.wrong(name, "a token of tokenizer.json")),
        }
    };
    let (first, last) = (token("add_bos_token", "bos_token")?, token("add_eos_token", "eos_token")?);
    let special = |t: &Option<(String, Value)>| {
        t.iter().map(|(n, _)| json!({"SpecialToken": {"id": n, "type_id": 0}})).collect::<Vec<_>>()
    };
    let text = |id: &str| vec![json!({"Sequence": {"id": id, "type_id": 0}})];
    let known: serde_json::Map<String, Value> = first.iter().chain(&last).cloned().collect();
    let single = [special(&first), text("A"), special(&last)].concat();
    let pair = [text("A"), text("B")].concat();
    Ok(json!({"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": known}))
}

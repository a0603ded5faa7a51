//! The steps of a `tokenizer.json`: how they nest, and what the patterns and tables in them say.

use super::charsmap::Charsmap;
use super::patterns::{self, Pattern};
use crate::Result;
use base64::Engine;
use serde_json::{Map, Value};

/// Steps of a normaliser, pre-tokenizer, post-processor or decoder.
const STEPS: usize = 64;

/// A key and what is wrong with its value.
pub(crate) type Wrong = (String, String);

pub(crate) fn is<T>(key: &str, message: impl Into<String>) -> Result<T, Wrong> {
    Err((key.to_owned(), message.into()))
}

/// A part's steps: itself, and those that it lists. Only objects are steps: the library would read a list as one, too.
pub(crate) fn steps<'a>(part: &str, value: &'a Value) -> Result<Vec<&'a Map<String, Value>>, Wrong> {
    let (mut found, mut open) = (Vec::new(), vec![value]);
    while let Some(value) = open.pop().filter(|v| !v.is_null()) {
        let Some(step) = value.as_object() else {
            return is(part, format!("expected objects, found {value:.80}"));
        };
        found.push(step);
        if found.len() > STEPS {
            return is(part, format!("more than {STEPS} steps"));
        }
        let lists = ["normalizers", "pretokenizers", "processors", "decoders"]
            .iter()
            .filter_map(|key| step.get(*key));
        for list in lists {
            let Some(all) = list.as_array() else { return is(part, "expected a list of steps") };
            open.extend(all);
        }
    }
    Ok(found)
}

/// The pattern that a step looks for.
pub(crate) fn pattern(part: &str, step: &Map<String, Value>) -> Result<Option<Pattern>, Wrong> {
    let Some(value) = step.get("pattern") else { return Ok(None) };
    let plain = value.get("String").or(Some(value)).and_then(Value::as_str);
    let found = match (value.get("Regex").and_then(Value::as_str), plain) {
        (Some(regex), _) => Pattern::new(regex),
        (None, Some(text)) if text.len() <= patterns::LONGEST => Ok(Pattern::text(text)),
        (None, Some(text)) => {
            Err(format!("a text of {} bytes, expected at most {}", text.len(), patterns::LONGEST))
        }
        (None, None) => Err("expected {\"String\": text} or {\"Regex\": pattern}".into()),
    };
    found.map(Some).or_else(|e| is(&format!("{part}.pattern"), e))
}

pub(crate) fn map(base64: &str) -> Result<Charsmap, String> {
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(base64).map_err(|e| format!("no base64: {e}"))?;
    Charsmap::new(&bytes)
}

//! How long a text may be for a stranger's tokenizer, whose steps may make it longer and whose patterns may take long over it.

use super::patterns::Pattern;
use super::steps::{Wrong, is, map, pattern, steps};
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

/// Longer texts are refused: no context holds a thousandth of them, and they are a mistake (a file's content for its name).
const MOST_BYTES: usize = 256 << 10;
/// Bytes that a text may have become before it is cut into tokens.
const GROWN: f64 = (16 << 20) as f64;
/// A tokenizer that cannot take texts of so many bytes is refused.
const LEAST: usize = 4096;

/// Bytes of the longest text that `tokenizer` is given: it may not become longer than 16 MiB, nor its patterns take long over it.
pub(crate) fn longest(tokenizer: &Tokenizer) -> Result<usize, Wrong> {
    let of = |part: &str, json: serde_json::Result<Value>| json.or_else(|e| is(part, e.to_string()));
    let normalizer = of("normalizer", serde_json::to_value(tokenizer.get_normalizer()))?;
    let cutter = of("pre_tokenizer", serde_json::to_value(tokenizer.get_pre_tokenizer()))?;
    let (mut times, mut more, mut most) = (1f64, 0f64, MOST_BYTES);
    for (part, value) in [("normalizer", &normalizer), ("pre_tokenizer", &cutter)] {
        for step in steps(part, value)? {
            let pattern = pattern(part, step)?;
            let content = step.get("content").and_then(Value::as_str).map_or(0, str::len) as f64;
            let (factor, adds) = growth(step, pattern.as_ref(), content);
            (times, more) = (times * factor, more + adds);
            most = most.min(pattern.map_or(usize::MAX, |p| p.longest));
        }
    }
    // What one step adds, those behind it make longer.
    let more = more * times;
    let fits = ((GROWN - more) / times).max(0.0) as usize;
    if fits < LEAST {
        let becomes = format!("{times:.0} times as long and {more:.0} bytes longer");
        return is(
            "normalizer",
            format!("texts become up to {becomes}; expected at most 16 MiB of {LEAST} bytes"),
        );
    }
    Ok(most.min(fits))
}

/// How many times as many bytes a step makes of a text at most, and how many more.
fn growth(step: &Map<String, Value>, pattern: Option<&Pattern>, content: f64) -> (f64, f64) {
    if let Some(map) = step.get("precompiled_charsmap").and_then(Value::as_str) {
        return (map_growth(map), 0.0);
    }
    if let Some(text) = step.get("prepend").and_then(Value::as_str) {
        return (1.0, text.len() as f64);
    }
    if let (Some(pattern), true) = (pattern, step.contains_key("content")) {
        // A pattern that matches nothing at all matches between any two bytes.
        let factor =
            if pattern.least == 0 { 1.0 + content } else { (content / pattern.least as f64).max(1.0) };
        return (factor, content);
    }
    match step.get("type").and_then(Value::as_str).unwrap_or_default() {
        // U+FDFA becomes eighteen characters.
        "NFKC" | "NFKD" => (11.0, 0.0),
        "NFC" | "NFD" => (3.0, 0.0),
        "Lowercase" => (1.5, 0.0),
        // Decomposed, spaces around ideographs, lower case.
        "BertNormalizer" | "Bert" => (6.0, 0.0),
        "ByteLevel" => (2.0, 2.0),
        "Metaspace" => (4.0, 4.0),
        _ => (1.0, 0.0),
    }
}

fn map_growth(base64: &str) -> f64 {
    map(base64).map_or(f64::INFINITY, |m| m.growth())
}

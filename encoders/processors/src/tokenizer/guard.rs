//! What a stranger's `tokenizer.json` may ask of the library that runs it. The library believes the file: a normaliser's table that lies, a
//! template whose tokens are not there, pieces that are shorter than their prefix end in a panic, a chain of replacements makes gigabytes of
//! a word. So all of that is looked at first, in the JSON value that the tokenizer is then made from.

use super::lengths::longest;
use super::pieces::unigram;
use super::steps::{Wrong, is, map, pattern, steps};
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::path::Path;
use tokenizers::Tokenizer;

/// Bytes of a text within a step: a replacement, a prefix, a special token.
const WORDS: usize = 4096;
/// Tokens put around a text.
const AROUND: usize = 1024;
/// Added tokens, and their bytes together.
const ADDED: (usize, usize) = (1 << 17, 4 << 20);
/// Bytes of a subword's prefix or ending, which stands in front of every character.
const AFFIX: usize = 64;
/// Characters of a word that pieces are looked for in: the time is their square.
const WORD: u64 = 256;

/// Makes the tokenizer that `value`, read at `path`, describes.
///
/// # Errors
/// No tokenizer, or one that would cost too much or panic, by its key.
pub(crate) fn make(path: &Path, mut value: Value) -> Result<Tokenizer> {
    let wrong = |(key, message): Wrong| Error::format(path, format!("{key}: {message}"));
    // Cutting and padding are this crate's: some files were saved with settings of a training run.
    if let Some(map) = value.as_object_mut() {
        map.insert("truncation".into(), Value::Null);
        map.insert("padding".into(), Value::Null);
    }
    check(&value).map_err(wrong)?;
    let tokenizer: Tokenizer = serde_json::from_value(value)
        .map_err(|e| Error::format(path, format!("expected a tokenizers JSON file: {e}")))?;
    longest(&tokenizer).map_err(wrong)?;
    Ok(tokenizer)
}

fn check(file: &Value) -> Result<(), Wrong> {
    for part in ["normalizer", "pre_tokenizer", "post_processor", "decoder"] {
        for step in steps(part, &file[part])? {
            words(part, step)?;
            pattern(part, step)?;
            match step.get("precompiled_charsmap") {
                None if step.get("type").and_then(Value::as_str) == Some("Precompiled") => {
                    return is(&format!("{part}.precompiled_charsmap"), "expected base64 text, found none");
                }
                None => {}
                Some(Value::String(text)) => {
                    map(text).or_else(|e| is(&format!("{part}.precompiled_charsmap"), e))?;
                }
                Some(_) => return is(&format!("{part}.precompiled_charsmap"), "expected base64 text"),
            }
            if step.get("length").and_then(Value::as_u64) == Some(0) {
                return is(&format!("{part}.length"), "expected 1 or more, found 0");
            }
        }
    }
    for step in steps("post_processor", &file["post_processor"])? {
        template(step)?;
    }
    added(&file["added_tokens"])?;
    model(&file["model"])
}

/// Texts of a step, which stand in what it makes.
fn words(part: &str, step: &Map<String, Value>) -> Result<(), Wrong> {
    for (key, value) in step.iter().filter(|(k, _)| *k != "precompiled_charsmap") {
        let found = value.as_str().map_or(0, str::len);
        if found > WORDS {
            return is(
                &format!("{part}.{key}"),
                format!("a text of {found} bytes, expected at most {WORDS}"),
            );
        }
    }
    Ok(())
}

/// `single` and `pair` of a template: the library looks their tokens up without asking whether they are there.
fn template(step: &Map<String, Value>) -> Result<(), Wrong> {
    let known = step.get("special_tokens").and_then(Value::as_object);
    for (side, sequences) in [("single", &["A"][..]), ("pair", &["A", "B"])] {
        let key = format!("post_processor.{side}");
        let (mut around, mut texts) = (0, 0);
        let pieces = step.get(side).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for piece in pieces {
            let of = |kind: &str| piece.get(kind).and_then(|p| p.get("id")).and_then(Value::as_str);
            match (of("Sequence"), of("SpecialToken")) {
                (Some(id), None) if sequences.contains(&id) => texts += 1,
                (Some(id), None) => {
                    return is(&key, format!("names text {id:?}, expected {}", sequences.join(" or ")));
                }
                (None, Some(id)) => {
                    let token = known.and_then(|k| k.get(id));
                    let length =
                        |list: &str| token.and_then(|t| t.get(list)).and_then(Value::as_array).map(Vec::len);
                    match (length("ids"), length("tokens")) {
                        (Some(ids), Some(tokens)) if ids == tokens => around += ids,
                        _ => {
                            return is(
                                &key,
                                format!("token {id:?} is not in special_tokens with as many ids as tokens"),
                            );
                        }
                    }
                }
                _ => {
                    return is(
                        &key,
                        format!("expected a Sequence or a SpecialToken with its id, found {piece:.80}"),
                    );
                }
            }
        }
        if around > AROUND || texts > 2 {
            return is(
                &key,
                format!(
                    "{around} tokens around a text that stands {texts} times, expected at most {AROUND} and 2"
                ),
            );
        }
    }
    Ok(())
}

fn added(tokens: &Value) -> Result<(), Wrong> {
    let all = tokens.as_array().map_or(&[][..], Vec::as_slice);
    let lengths = all.iter().map(|t| t.get("content").and_then(Value::as_str).map_or(0, str::len));
    let (longest, bytes) = lengths.fold((0, 0), |(m, n), l| (l.max(m), n + l));
    if all.len() > ADDED.0 || bytes > ADDED.1 || longest > WORDS {
        let found = format!("{} tokens of {bytes} bytes, the longest of {longest}", all.len());
        return is(
            "added_tokens",
            format!("{found}; expected at most {} of {}, {WORDS} each", ADDED.0, ADDED.1),
        );
    }
    Ok(())
}

fn model(model: &Value) -> Result<(), Wrong> {
    if !model.is_object() {
        return is("model", "expected an object");
    }
    let affix = |key: &str| model.get(key).and_then(Value::as_str).unwrap_or_default();
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if affix(key).len() > AFFIX {
            return is(
                &format!("model.{key}"),
                format!("{} bytes, expected at most {AFFIX}", affix(key).len()),
            );
        }
    }
    if affix("unk_token").len() > WORDS {
        return is(
            "model.unk_token",
            format!("{} bytes, expected at most {WORDS}", affix("unk_token").len()),
        );
    }
    if let Some(found) = model.get("max_input_chars_per_word")
        && !found.as_u64().is_some_and(|n| (1..=WORD).contains(&n))
    {
        return is("model.max_input_chars_per_word", format!("expected 1 to {WORD}, found {found}"));
    }
    // The library takes the prefix off the second piece of a merge by its length.
    let prefix = affix("continuing_subword_prefix");
    for merge in
        model.get("merges").and_then(Value::as_array).into_iter().flatten().filter(|_| !prefix.is_empty())
    {
        let second = match merge {
            Value::Array(pair) => pair.get(1).and_then(Value::as_str),
            other => other.as_str().and_then(|t| t.split(' ').nth(1)),
        };
        if second.is_some_and(|s| !s.is_char_boundary(prefix.len())) {
            return is("model.merges", format!("a piece that is shorter than its prefix {prefix:?}"));
        }
    }
    match model.get("vocab").and_then(Value::as_array) {
        Some(pieces) => unigram(pieces),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::charsmap::tests::one;
    use base64::Engine;
    use serde_json::json;

    fn file(part: &str, value: Value) -> Value {
        let mut file = json!({"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
            "decoder": null, "model": {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"}});
        file[part] = value;
        file
    }

    fn refused(part: &str, value: Value) -> String {
        make(Path::new("tokenizer.json"), file(part, value)).unwrap_err().to_string()
    }

    fn replace(from: &str, to: &str) -> Value {
        json!({"type": "Replace", "pattern": {"String": from}, "content": to})
    }

    fn sequence(all: &[Value]) -> Value {
        json!({"type": "Sequence", "normalizers": all})
    }

    #[test]
    fn normalisers_that_swell_texts_are_refused() {
        let doubling: Vec<Value> = (0..20).map(|_| replace("a", "aa")).collect();
        let map = |bytes: Vec<u8>| {
            json!({"type": "Precompiled",
            "precompiled_charsmap": base64::engine::general_purpose::STANDARD.encode(bytes)})
        };
        for (name, value, words) in [
            ("doubling", sequence(&doubling), "1048576 times as long"),
            (
                "nested",
                sequence(&[sequence(&doubling[..10]), sequence(&doubling[10..])]),
                "1048576 times as long",
            ),
            (
                "empty",
                sequence(&[replace("", &"x".repeat(4000)), replace("", "xxxx")]),
                "20005 times as long",
            ),
            (
                "without a type",
                sequence(&[
                    json!({"pattern": {"String": ""}, "content": "x".repeat(4096)}),
                    replace("x", "xx"),
                ]),
                "times",
            ),
            ("as a list", json!([{"String": ""}, "x"]), "expected objects"),
            ("long", replace("a", &"x".repeat(5000)), "a text of 5000 bytes"),
            ("prepended", json!({"type": "Prepend", "prepend": "x".repeat(5000)}), "a text of 5000 bytes"),
            ("many", sequence(&vec![replace("a", "b"); 65]), "more than 64 steps"),
            ("in a table", map(one(0, &format!("{}\0", "x".repeat(5000)))), "5000 times as long"),
            (
                "regex",
                json!({"type": "Replace", "pattern": {"Regex": "(a+)\\1"}, "content": "b"}),
                "normalizer.pattern: references back",
            ),
        ] {
            let said = refused("normalizer", value);
            assert!(said.starts_with("tokenizer.json: normalizer") && said.contains(words), "{name}: {said}");
        }
        let some = make(Path::new("a"), file("normalizer", sequence(&doubling[..8]))).unwrap();
        // Sixteen bytes more, which may become 4,096.
        assert_eq!(longest(&some).unwrap(), (16 << 20) / 256 - 16);
    }

    #[test]
    fn what_would_panic_in_the_library_is_refused() {
        let map = |text: &str| json!({"type": "Precompiled", "precompiled_charsmap": text});
        let at = "normalizer.precompiled_charsmap: ";
        for (text, words) in [
            ("", "it is empty"),
            ("AAAA", "it is empty"),
            ("AAAAAA==", "0 entries"),
            ("////fw==", "a table of"),
            ("é", "no base64"),
        ] {
            let said = refused("normalizer", map(text));
            assert!(said.contains(at) && said.contains(words), "{said}");
        }
        assert!(
            refused("normalizer", json!({"type": "Precompiled", "precompiled_charsmap": 3})).contains(at)
        );
        assert!(
            refused("pre_tokenizer", json!({"type": "FixedLength", "length": 0}))
                .contains("expected 1 or more")
        );
        let template = |single: Value| {
            json!({"type": "TemplateProcessing", "single": single, "pair": [{"Sequence": {"id": "A", "type_id": 0}},
            {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {"[S]": {"id": "[S]", "ids": vec![0; 2000], "tokens": vec!["a"; 2000]},
            "[T]": {"id": "[T]", "ids": [0, 1], "tokens": ["a"]}}})
        };
        for (single, words) in [
            (json!([{"SpecialToken": {"id": "[X]", "type_id": 0}}]), "\"[X]\" is not in special_tokens"),
            (
                json!([{"SpecialToken": {"id": "[T]", "type_id": 0}}]),
                "\"[T]\" is not in special_tokens with as many ids",
            ),
            (json!([{"SpecialToken": ["[X]", 0]}]), "expected a Sequence or a SpecialToken"),
            (json!([{"Sequence": {"id": "B", "type_id": 0}}]), "names text \"B\", expected A"),
            (json!([{"SpecialToken": {"id": "[S]", "type_id": 0}}]), "2000 tokens around a text"),
        ] {
            let said = refused("post_processor", template(single.clone()));
            assert!(said.contains("post_processor.single: ") && said.contains(words), "{said}");
            let nested = json!({"type": "Sequence", "processors": [template(single)]});
            assert!(refused("post_processor", nested).contains(words));
        }
        let merges = json!({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "b"]], "continuing_subword_prefix": "##"});
        assert!(refused("model", merges).contains("shorter than its prefix"));
    }

    #[test]
    fn models_that_cost_too_much_are_refused() {
        for (value, words) in [
            (
                json!({"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 1_000_000_000}),
                "max_input_chars_per_word: expected 1 to 256",
            ),
            (
                json!({"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "x".repeat(100_000)}),
                "end_of_word_suffix: 100000",
            ),
            (
                json!({"type": "Unigram", "unk_id": 0, "vocab": [["a".repeat(2000), 0.0]]}),
                "a piece of 2000 bytes",
            ),
            (
                json!({"type": "Unigram", "unk_id": 0, "vocab": (0..4500).map(|i| json!([format!("{i:04}{}", "a".repeat(1000)), 0.0]))
                .collect::<Vec<_>>()}),
                "different beginnings",
            ),
            (json!([1]), "model: expected an object"),
        ] {
            let said = refused("model", value);
            assert!(said.contains(words), "{words}: {said}");
        }
        let token = |content: &str| {
            json!({"id": 0, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": false})
        };
        let long = json!(vec![token(&"x".repeat(4000)); 1100]);
        assert!(refused("added_tokens", long).contains("added_tokens: 1100 tokens of 4400000 bytes"));
    }
}

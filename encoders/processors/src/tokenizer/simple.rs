//! OpenCLIP's own tokenizer: the byte pairs of OpenAI's CLIP, which the library carries, so that its folders need no files for it. Its special
//! tokens are spelt in another way than in the files of those who converted it: `<start_of_text>` in a text is one, `<|startoftext|>` is not.

use super::guard;
use crate::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::OnceLock;
use tokenizers::Tokenizer;

/// The merges of CLIP's vocabulary, a pair a line (OpenAI, MIT), written by `fixtures/token_ids.py`.
const MERGES: &str = include_str!("../../../data/clip_merges.txt");

/// What begins and ends every text.
const ENDS: [&str; 2] = ["<start_of_text>", "<end_of_text>"];

/// Words, as its regular expression cuts texts.
const WORDS: &str =
    r"(?i)<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The character that stands for a byte: itself where it is printable, else one after all of those.
fn letters() -> Vec<char> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let plain = (0..=255u8).filter(|b| printable(*b)).map(char::from);
    let others = (0..=255u8).filter(|b| !printable(*b)).count() as u32;
    plain.chain((0..others).filter_map(|n| char::from_u32(256 + n))).collect()
}

/// The tokenizer.
pub(super) fn tokenizer() -> Result<Tokenizer> {
    let letters = letters();
    let pieces = letters.iter().map(char::to_string);
    let ends = letters.iter().map(|c| format!("{c}</w>"));
    let merged = MERGES.lines().map(|l| l.replacen(' ', "", 1));
    let all = pieces.chain(ends).chain(merged).chain(ENDS.map(str::to_owned));
    let vocab: Map<String, Value> = all.enumerate().map(|(id, piece)| (piece, json!(id))).collect();
    let merges: Vec<Value> =
        MERGES.lines().filter_map(|l| l.split_once(' ')).map(|(a, b)| json!([a, b])).collect();
    let [first, last] = ENDS.map(|end| vocab[end].clone());
    let special = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
    let value = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": true}, bytes]},
        "post_processor": {"type": "TemplateProcessing", "single": [special(ENDS[0]), text("A"), special(ENDS[1])],
            "pair": [text("A"), text("B")], "special_tokens": {
                ENDS[0]: {"id": ENDS[0], "ids": [first], "tokens": [ENDS[0]]}, ENDS[1]: {"id": ENDS[1], "ids": [last], "tokens": [ENDS[1]]}}},
        "decoder": {"type": "Sequence", "decoders": [bytes, {"type": "Replace", "pattern": {"String": "</w>"}, "content": " "}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges}});
    guard::make(Path::new("OpenCLIP's own tokenizer"), value)
}

/// Ids of a cleaned text that spells out special tokens as words of their own; `None` where it does not.
pub(super) fn with_special(tokenizer: &Tokenizer, text: &str) -> Result<Option<Vec<i64>>> {
    static CUT: OnceLock<Option<regex::Regex>> = OnceLock::new();
    let Some(words) = CUT.get_or_init(|| regex::Regex::new(WORDS).ok()) else { return Ok(None) };
    if !ENDS.iter().any(|end| text.contains(end)) {
        return Ok(None);
    }
    let id = |token: &str| tokenizer.token_to_id(token).map(i64::from);
    let mut ids: Vec<i64> = id(ENDS[0]).into_iter().collect();
    for word in words.find_iter(text) {
        match ENDS.contains(&word.as_str()) {
            true => ids.extend(id(word.as_str())),
            false => {
                let encoding = tokenizer.encode_fast(word.as_str(), false).map_err(Error::tokenizer)?;
                ids.extend(encoding.get_ids().iter().map(|i| i64::from(*i)));
            }
        }
    }
    ids.extend(id(ENDS[1]));
    Ok(Some(ids))
}

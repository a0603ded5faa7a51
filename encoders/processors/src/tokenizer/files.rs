//! Tokenizers from the files that checkpoints carry: `tokenizer.json`, CLIP's and RoBERTa's `vocab.json` with `merges.txt`, BERT's and
//! MPNet's `vocab.txt`, SentencePiece models. The older formats hold a vocabulary only; what their libraries add in code is put
//! together here as the `tokenizer.json` that those libraries would write.

use super::settings;
use super::{guard, sentencepiece};
use crate::{Error, Json, Result, optional_json};
use serde_json::{Value, json};
use std::path::Path;
use tokenizers::Tokenizer;
use unisono_files::Budget;

/// How a family's vocabulary is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Clip,
    Roberta,
    Bert,
    Mpnet,
    XlmRoberta,
    Siglip,
    Whisper,
}

impl Kind {
    /// By the tokenizer's class where `tokenizer_config.json` names one, else by the model's family.
    fn find(class: &str, family: &str) -> Option<Self> {
        let class = class.trim_end_matches("Fast");
        let by_class = match class {
            "CLIPTokenizer" => Some(Self::Clip),
            "RobertaTokenizer" | "ClapTokenizer" => Some(Self::Roberta),
            "BertTokenizer" | "DistilBertTokenizer" | "ChineseCLIPTokenizer" => Some(Self::Bert),
            "MPNetTokenizer" => Some(Self::Mpnet),
            "XLMRobertaTokenizer" => Some(Self::XlmRoberta),
            "SiglipTokenizer" => Some(Self::Siglip),
            "WhisperTokenizer" => Some(Self::Whisper),
            _ => None,
        };
        by_class.or(match family {
            "clip" | "open_clip" => Some(Self::Clip),
            "roberta" | "clap" => Some(Self::Roberta),
            "bert" | "distilbert" | "chinese_clip" | "blip" => Some(Self::Bert),
            "mpnet" => Some(Self::Mpnet),
            "xlm-roberta" => Some(Self::XlmRoberta),
            "siglip" => Some(Self::Siglip),
            "whisper" => Some(Self::Whisper),
            _ => None,
        })
    }
}

/// The tokenizer in `dir`; `None` where it has none of the files.
///
/// # Errors
/// A file that is not what its name says.
pub fn read(dir: &Path, family: &str) -> Result<Option<Tokenizer>> {
    let config_path = dir.join("tokenizer_config.json");
    let config = optional_json(&config_path)?.unwrap_or(Value::Null);
    let config = Json::new(&config_path, &config);
    settings::check(config)?;
    let path = dir.join("tokenizer.json");
    if path.exists() {
        let value = parse(&path, &unisono_files::read(&path, &Budget::VOCABULARY)?)?;
        return guard::make(&path, settings::applied(config, value)?).map(Some);
    }
    let class = config.text("tokenizer_class", "")?;
    let bytes = |path: &Path| unisono_files::read(path, &Budget::VOCABULARY);
    let file = |name: &str| Some(dir.join(name)).filter(|p| p.exists());
    let kind = Kind::find(class, family);
    let (path, value) = if let (Some(vocab), Some(merges)) = (file("vocab.json"), file("merges.txt")) {
        let value = match kind {
            Some(Kind::Clip) => clip(&vocab, &merges)?,
            Some(Kind::Whisper) => whisper(&vocab, &merges, file("added_tokens.json"))?,
            _ => roberta(&vocab, &merges, config)?,
        };
        (vocab, value)
    } else if let Some(vocab) = file("vocab.txt") {
        let value = match kind {
            Some(Kind::Mpnet) => word_pieces(&vocab, config, ["<s>", "</s>"])?,
            _ => word_pieces(&vocab, config, ["[CLS]", "[SEP]"])?,
        };
        (vocab, value)
    } else if let Some(model) =
        ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"].iter().find_map(|n| file(n))
    {
        let value = match kind {
            Some(Kind::XlmRoberta) => xlm_roberta(&model, &bytes(&model)?)?,
            Some(Kind::Siglip) => siglip(&model, &bytes(&model)?, config)?,
            _ => {
                return Err(Error::format(
                    &model,
                    format!(
                        "a SentencePiece model of tokenizer class {class:?}; known are XLMRobertaTokenizer and \
                         SiglipTokenizer. Save it as tokenizer.json where Python runs: \
                         AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR)"
                    ),
                ));
            }
        };
        (model, value)
    } else {
        return Ok(None);
    };
    guard::make(&path, value).map(Some)
}

/// The tokenizer of a `tokenizer.json`.
///
/// # Errors
/// Not there, too large, or no tokenizer that can be run safely.
pub(super) fn read_json(path: &Path) -> Result<Tokenizer> {
    parse_json(path, &unisono_files::read(path, &Budget::VOCABULARY)?)
}

/// What [`read_json`] does with the bytes of `path`.
pub(super) fn parse_json(path: &Path, bytes: &[u8]) -> Result<Tokenizer> {
    guard::make(path, parse(path, bytes)?)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Value> {
    Budget::VOCABULARY.json(path, bytes)?;
    let value = serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    value.map_err(|e| Error::format(path, format!("expected a tokenizers JSON file: {e}")))
}

/// Both tokenizers of a SentencePiece model with these `bytes`.
pub fn from_sentencepiece(path: &Path, bytes: &[u8]) {
    let config = Json::new(path, &Value::Null);
    for made in [xlm_roberta(path, bytes), siglip(path, bytes, config)] {
        let _ = made.and_then(|value| guard::make(path, value)).map(|t| t.encode_fast("a red bus", true));
    }
}

fn added(vocab: &Value, tokens: &[&str], left_strip: &str) -> Vec<Value> {
    let mut found: Vec<Value> = tokens
        .iter()
        .filter_map(|t| {
            let id = vocab.get(*t)?.as_i64()?;
            Some(json!({"id": id, "content": t, "single_word": false, "lstrip": *t == left_strip,
                "rstrip": false, "normalized": false, "special": true}))
        })
        .collect();
    found.sort_by_key(|t| t["id"].as_i64());
    found
}

fn id(path: &Path, vocab: &Value, token: &str) -> Result<i64> {
    vocab.get(token).and_then(Value::as_i64).ok_or_else(|| {
        Error::format(
            path,
            format!("no token {token}, which every text begins or ends with; not this family's vocabulary"),
        )
    })
}

/// What turns tokens back into text, by the model's kind and the words' ending.
fn decoder(model: &Value) -> Value {
    let bytes =
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    match (model["type"].as_str(), model["end_of_word_suffix"].as_str()) {
        (Some("BPE"), Some("</w>")) => json!({"type": "Sequence", "decoders": [bytes,
            {"type": "Replace", "pattern": {"String": "</w>"}, "content": " "}]}),
        (Some("BPE"), _) => bytes,
        (Some("WordPiece"), _) => json!({"type": "WordPiece", "prefix": "##", "cleanup": true}),
        (Some("Unigram"), _) => {
            json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true})
        }
        _ => Value::Null,
    }
}

fn whole(added: Vec<Value>, normalizer: Value, pre: Value, post: Value, model: Value) -> Value {
    let decoder = decoder(&model);
    json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, "model": model})
}

/// How two texts stand in one sequence.
#[derive(Clone, Copy)]
enum Pairs {
    /// One after the other.
    Joined,
    /// BERT's: the second one, with the token behind it, is of the second segment.
    Segments,
    /// RoBERTa's: two ends between them, one segment.
    Doubled,
}

fn between(path: &Path, vocab: &Value, [first, last]: [&str; 2], pairs: Pairs) -> Result<Value> {
    let (a, b) = (id(path, vocab, first)?, id(path, vocab, last)?);
    let text = |id: &str, segment: u8| json!({"Sequence": {"id": id, "type_id": segment}});
    let token = |id: &str, segment: u8| json!({"SpecialToken": {"id": id, "type_id": segment}});
    let pair = match pairs {
        Pairs::Joined => vec![text("A", 0), text("B", 0)],
        Pairs::Segments => vec![token(first, 0), text("A", 0), token(last, 0), text("B", 1), token(last, 1)],
        Pairs::Doubled => {
            let middle = [token(last, 0), token(last, 0)];
            [vec![token(first, 0), text("A", 0)], middle.to_vec(), vec![text("B", 0), token(last, 0)]]
                .concat()
        }
    };
    Ok(json!({"type": "TemplateProcessing",
        "single": [token(first, 0), text("A", 0), token(last, 0)], "pair": pair,
        "special_tokens": {first: {"id": first, "ids": [a], "tokens": [first]}, last: {"id": last, "ids": [b], "tokens": [last]}}}))
}

/// `vocab.json` and the merges of `merges.txt`.
fn byte_pairs(vocab: &Path, merges: &Path, suffix: &str, unknown: Value) -> Result<(Value, Value)> {
    let table: Value = unisono_files::read_json(vocab, &Budget::VOCABULARY)?;
    let text = unisono_files::read_text(merges, &Budget::VOCABULARY)?;
    Budget::VOCABULARY.of(merges).values(text.bytes().filter(|b| *b == b'\n').count() as u64)?;
    let pairs: Vec<Value> = text
        .lines()
        .filter(|l| !l.starts_with("#version") && !l.is_empty())
        .map(|l| {
            l.split_once(' ')
                .map(|(a, b)| json!([a, b]))
                .ok_or_else(|| Error::format(merges, format!("expected two pieces a line, found {l:.80?}")))
        })
        .collect::<Result<_>>()?;
    let model = json!({"type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": "",
        "end_of_word_suffix": suffix, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": table, "merges": pairs});
    Ok((table, model))
}

fn clip(vocab: &Path, merges: &Path) -> Result<Value> {
    let ends = ["<|startoftext|>", "<|endoftext|>"];
    let (table, model) = byte_pairs(vocab, merges, "</w>", json!(ends[1]))?;
    let words =
        r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    let normalizer = json!({"type": "Sequence", "normalizers": [{"type": "NFC"},
        {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]});
    let pre = json!({"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
        {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}]});
    Ok(whole(added(&table, &ends, ""), normalizer, pre, between(vocab, &table, ends, Pairs::Joined)?, model))
}

/// GPT-2's bytes; languages, tasks and times stand in a file of their own. Nothing is put around a text: what begins it depends on the task.
fn whisper(vocab: &Path, merges: &Path, more: Option<std::path::PathBuf>) -> Result<Value> {
    let (table, model) = byte_pairs(vocab, merges, "", Value::Null)?;
    let mut special = added(&table, &["<|endoftext|>"], "");
    if let Some(path) = more {
        let tokens: Value = crate::read_json(&path)?;
        for (token, id) in tokens.as_object().into_iter().flatten() {
            special.push(json!({"id": id, "content": token, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true}));
        }
        special.sort_by_key(|t| t["id"].as_i64());
    }
    let pre =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    Ok(whole(special, Value::Null, pre, Value::Null, model))
}

fn roberta(vocab: &Path, merges: &Path, config: Json) -> Result<Value> {
    let (table, model) = byte_pairs(vocab, merges, "", Value::Null)?;
    let pre = json!({"type": "ByteLevel", "add_prefix_space": config.bool("add_prefix_space", false)?, "trim_offsets": true,
        "use_regex": true});
    let special = added(&table, &["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "");
    Ok(whole(special, Value::Null, pre, between(vocab, &table, ["<s>", "</s>"], Pairs::Doubled)?, model))
}

fn word_pieces(path: &Path, config: Json, ends: [&str; 2]) -> Result<Value> {
    let text = unisono_files::read_text(path, &Budget::VOCABULARY)?;
    Budget::VOCABULARY.of(path).values(text.bytes().filter(|b| *b == b'\n').count() as u64)?;
    // Lines end at line feeds only: some vocabularies hold other separators as tokens.
    let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n');
    let table: serde_json::Map<String, Value> =
        lines.enumerate().map(|(i, l)| (l.trim_end_matches('\r').to_owned(), json!(i))).collect();
    let table = Value::Object(table);
    // Where nothing is said, accents go with capital letters.
    let strip = config.has("strip_accents").then(|| config.bool("strip_accents", false)).transpose()?;
    let normalizer = json!({"type": "BertNormalizer", "clean_text": true,
        "handle_chinese_chars": config.bool("tokenize_chinese_chars", true)?,
        "strip_accents": strip,
        "lowercase": config.bool("do_lower_case", true)?});
    let special: &[&str] = if ends[0] == "<s>" {
        &["<s>", "<pad>", "</s>", "[UNK]", "<mask>"]
    } else {
        &["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    };
    let mask = if ends[0] == "<s>" { "<mask>" } else { "" };
    let model = json!({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": table});
    let pre = json!({"type": "BertPreTokenizer"});
    let pairs = if ends[0] == "<s>" { Pairs::Doubled } else { Pairs::Segments };
    Ok(whole(added(&table, special, mask), normalizer, pre, between(path, &table, ends, pairs)?, model))
}

/// The model's own normaliser, if it has one.
fn charsmap(model: &sentencepiece::Model) -> Option<Value> {
    use base64::Engine;
    let map = model.charsmap.as_ref().filter(|m| !m.is_empty())?;
    let text = base64::engine::general_purpose::STANDARD.encode(map);
    Some(json!({"type": "Precompiled", "precompiled_charsmap": text}))
}

fn ids(pieces: &[(String, f64)]) -> Value {
    Value::Object(pieces.iter().enumerate().map(|(i, (p, _))| (p.clone(), json!(i))).collect())
}

/// fairseq's ids: four special tokens before the model's pieces (less its own three), the mask after them.
fn xlm_roberta(path: &Path, bytes: &[u8]) -> Result<Value> {
    let model = sentencepiece::read(path, bytes)?;
    let mut pieces: Vec<(String, f64)> =
        ["<s>", "<pad>", "</s>", "<unk>"].map(|t| (t.to_owned(), 0.0)).to_vec();
    pieces.extend(model.pieces.iter().skip(3).cloned());
    pieces.push(("<mask>".into(), 0.0));
    let table = ids(&pieces);
    let pre = json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}]});
    let special = added(&table, &["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "");
    let unigram = json!({"type": "Unigram", "unk_id": 3, "byte_fallback": false, "vocab": pieces});
    let normalizer = charsmap(&model).unwrap_or(Value::Null);
    Ok(whole(special, normalizer, pre, between(path, &table, ["<s>", "</s>"], Pairs::Doubled)?, unigram))
}

/// SigLIP: lower case, no ASCII punctuation, single spaces; the end token after every text.
fn siglip(path: &Path, bytes: &[u8], config: Json) -> Result<Value> {
    let model = sentencepiece::read(path, bytes)?;
    let table = ids(&model.pieces);
    let end = id(path, &table, "</s>")?;
    let mut steps = Vec::new();
    if config.bool("do_lower_case", true)? {
        steps.push(json!({"type": "Lowercase"}));
    }
    steps.push(json!({"type": "Replace", "pattern": {"Regex": r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]"##}, "content": ""}));
    steps.push(json!({"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}));
    steps.push(json!({"type": "Strip", "strip_left": true, "strip_right": true}));
    steps.extend(charsmap(&model));
    steps.push(json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}));
    let post = json!({"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [end], "tokens": ["</s>"]}}});
    let pre = json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true});
    let unigram = json!({"type": "Unigram", "unk_id": model.unknown, "byte_fallback": model.byte_fallback, "vocab": model.pieces});
    let special = added(&table, &["</s>", "<unk>"], "");
    Ok(whole(special, json!({"type": "Sequence", "normalizers": steps}), pre, post, unigram))
}

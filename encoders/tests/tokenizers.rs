//! Token ids against the libraries (fixtures/token_ids.py): 300 hostile strings in every format of files.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::Value;
use std::path::PathBuf;
use unisono_processors::{Cleaning, TextProcessor, TextRules};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/tokenizers")
}

fn texts(all: &Value) -> Vec<String> {
    let one = |t: &Value| match t.as_str() {
        Some(t) => t.to_owned(),
        None => t[0].as_str().unwrap().repeat(t[1].as_u64().unwrap() as usize),
    };
    all["texts"].as_array().unwrap().iter().map(one).collect()
}

fn all() -> Value {
    serde_json::from_str(&std::fs::read_to_string(fixtures().join("hostile.json")).unwrap()).unwrap()
}

fn processor(name: &str, family: &str, rules: TextRules) -> TextProcessor {
    TextProcessor::from_checkpoint(&fixtures().join(name), family, 77, 1000, rules).unwrap().unwrap()
}

/// Differences, each as one line.
fn differences(
    p: &TextProcessor,
    texts: &[String],
    want: &Value,
    skip: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for (text, want) in texts.iter().zip(want.as_array().unwrap()) {
        let want: Vec<i64> = want.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
        let ids = match p.encode(text) {
            Ok(ids) => ids,
            Err(_) if want.is_empty() => vec![],
            Err(e) => panic!("{text:?}: {e}"),
        };
        if ids != want && !skip(text) {
            let short: String = text.chars().take(30).collect();
            found.push(format!(
                "{short:?}: {:?} want {:?}",
                &ids[..ids.len().min(14)],
                &want[..want.len().min(14)]
            ));
        }
    }
    found
}

#[test]
fn ids_are_those_of_the_libraries() {
    let all = all();
    let texts = texts(&all);
    assert_eq!(texts.len(), 300);
    let mut report = Vec::new();
    for name in ["clip", "roberta", "bert", "bert-cased", "mpnet", "xlm-roberta", "siglip"] {
        let clean = if name == "siglip" { Cleaning::Siglip } else { Cleaning::None };
        let p = processor(name, "", TextRules { clean, ..TextRules::default() });
        let found = differences(&p, &texts, &all["ids"][name], |_| false);
        if !found.is_empty() {
            report.push(format!(
                "{name}: {} of 300\n  {}",
                found.len(),
                found[..found.len().min(12)].join("\n  ")
            ));
        }
    }
    assert!(report.is_empty(), "{}", report.join("\n"));
}

#[test]
fn open_clips_cleaning_gives_open_clips_ids() {
    let all = all();
    let texts = texts(&all);
    let p = processor("clip", "open_clip", TextRules { clean: Cleaning::Lower, ..TextRules::default() });
    // OpenCLIP pads with 0, which is also the id of "!" and no end: the rest of its row.
    let mut want = all["ids"]["open_clip"].clone();
    let end = p.encode("a").unwrap().pop().unwrap();
    for row in want.as_array_mut().unwrap() {
        let row = row.as_array_mut().unwrap();
        let n = row.iter().position(|v| v.as_i64() == Some(end)).unwrap();
        row.truncate(n + 1);
    }
    // OpenCLIP spells its special tokens in another way than the vocabulary files of its checkpoints.
    let special = |t: &str| t.contains("of_text>") || t.contains("<|");
    let found = differences(&p, &texts, &want, special);
    assert!(found.is_empty(), "{} of 300\n{}", found.len(), found.join("\n"));
}

/// Its own tokenizer needs no files, and spells its special tokens in its own way.
#[test]
fn open_clips_own_tokenizer_gives_its_ids() {
    let path = fixtures().join("open_clip.json");
    let own: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut texts = texts(&all());
    texts.extend(own["more"].as_array().unwrap().iter().map(|t| t.as_str().unwrap().to_owned()));
    for (name, clean) in [
        ("lower", Cleaning::Lower),
        ("whitespace", Cleaning::Whitespace),
        ("canonicalize", Cleaning::Canonicalize),
    ] {
        let rules = TextRules { clean, ..TextRules::default() };
        let p = TextProcessor::open_clip(77, TextProcessor::CLIP_TOKENS, rules).unwrap();
        let found = differences(&p, &texts, &own["ids"][name], |_| false);
        assert!(found.is_empty(), "{name}: {} of {}\n{}", found.len(), texts.len(), found.join("\n"));
    }
    let small = TextProcessor::open_clip(77, 1000, TextRules::default()).unwrap_err().to_string();
    assert!(small.contains("49408 tokens, the embedding only 1000 rows"), "{small}");
}

/// Texts as whole folders take them: cleaned, cut, padded, with what the files beside the tokenizer say (`fixtures/checkpoints.py`).
#[test]
fn texts_of_checkpoints_are_their_libraries() {
    for name in ["siglip2-tokens", "openclip-clipa-tokens"] {
        let dir = fixtures().join("../checkpoints").join(name);
        let all: Value =
            serde_json::from_str(&std::fs::read_to_string(dir.join("tokens.json")).unwrap()).unwrap();
        let model = unisono_encoders::Model::load(&dir, tch::Device::Cpu).unwrap();
        let p = model.text_processor().unwrap();
        for (text, want) in texts(&all).iter().zip(all["ids"].as_array().unwrap()) {
            let ids = vec![p.encode(text).unwrap()];
            let (ids, _) = unisono_encoders::batch::token_ids(p, &ids, tch::Device::Cpu).unwrap();
            let want: Vec<i64> = want.as_array().unwrap().iter().map(|v| v.as_i64().unwrap()).collect();
            assert_eq!(Vec::<i64>::try_from(ids.view([-1])).unwrap(), want, "{name}: {text:?}");
        }
    }
}

/// RoBERTa counts positions over what is no padding: a text that spells the padding out would get other positions than here.
#[test]
fn padding_in_a_text_is_refused() {
    let p = processor("roberta", "", TextRules { padding: Some(1), ..TextRules::default() });
    let e = p.encode("a <pad> bus").unwrap_err().to_string();
    assert_eq!(e, "a text with <pad> in it, which the model takes for padding; leave it out");
    assert!(p.encode("a pad bus").is_ok());
}

#[test]
fn settings_that_contradict_the_tokenizer_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let bert = TextProcessor::from_checkpoint(&fixtures().join("bert"), "", 77, 1000, TextRules::default());
    std::fs::write(at("tokenizer.json"), bert.unwrap().unwrap().to_json().unwrap()).unwrap();
    let read = |config: Value| {
        std::fs::write(at("tokenizer_config.json"), config.to_string()).unwrap();
        TextProcessor::from_checkpoint(dir.path(), "", 77, 1000, TextRules::default())
    };
    let said = |config: Value| read(config).unwrap_err().to_string();
    assert!(read(serde_json::json!({"do_lower_case": true, "tokenizer_class": "BertTokenizer"})).is_ok());
    let e = said(serde_json::json!({"do_lower_case": false}));
    assert!(
        e.contains("do_lower_case: expected true, as normalizer of tokenizer.json has it, found false"),
        "{e}"
    );
    let e = said(serde_json::json!({"padding_side": "left"}));
    assert!(e.contains("padding_side: expected \"right\" or null"), "{e}");
    let e = said(serde_json::json!({"a_new_key": 1}));
    assert!(e.contains("tokenizer_config.json: a_new_key: expected no such key"), "{e}");
    // Some classes put their tokens around a text by the settings alone.
    let around = |bos: bool, eos: bool| {
        let config = serde_json::json!({"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": bos, "add_eos_token": eos,
            "bos_token": "[CLS]", "eos_token": {"content": "[SEP]"}});
        read(config).unwrap().unwrap().encode("a").unwrap()
    };
    let bare = around(false, false);
    let [cls, sep] = ["[CLS]", "[SEP]"].map(|t| {
        i64::from(read(serde_json::json!({})).unwrap().unwrap().tokenizer().token_to_id(t).unwrap())
    });
    assert_eq!(around(true, false), [&[cls][..], &bare].concat());
    assert_eq!(around(false, true), [&bare[..], &[sep]].concat());
}

#[test]
fn canonical_texts_are_open_clips() {
    let all = all();
    for (text, want) in texts(&all).iter().zip(all["ids"]["canonicalize"].as_array().unwrap()) {
        let found: String = Cleaning::Canonicalize.apply(text).chars().take(200).collect();
        assert_eq!(found, want.as_str().unwrap(), "{text:?}");
    }
}

#[test]
fn wrongly_decoded_texts_are_repaired_as_ftfy_does() {
    let path = fixtures().join("mojibake.json");
    let all: Vec<(String, String)> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(all.len() > 800);
    let single = |t: &str| t.split_whitespace().collect::<Vec<_>>().join(" ");
    // The entities that are left are resolved afterwards by OpenCLIP.
    let wrong: Vec<String> = all
        .iter()
        .filter(|(text, _)| !text.contains('&'))
        .map(|(text, want)| (text, Cleaning::Whitespace.apply(text), single(want)))
        .filter(|(_, found, want)| found != want)
        .map(|(text, found, want)| format!("{text:?}\n  found {found:?}\n  want  {want:?}"))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        all.len(),
        wrong[..wrong.len().min(20)].join("\n")
    );
    assert_eq!(Cleaning::Whitespace.apply("&lt;b&gt; é &amp;amp; Ã©"), "<b> é & é");
}

#[test]
fn a_vocabulary_beyond_the_embedding_and_a_megabyte_are_refused() {
    let dir = fixtures().join("bert");
    let e = TextProcessor::from_checkpoint(&dir, "", 77, 100, TextRules::default()).unwrap_err().to_string();
    assert!(e.contains("bert") && e.contains("only 100 rows"), "{e}");
    let p = processor("bert", "", TextRules::default());
    let e = p.encode(&"a ".repeat(1 << 19)).unwrap_err().to_string();
    assert!(e.contains("1048576 bytes, at most 262144"), "{e}");
}

#[test]
fn fixed_padding_is_attended_to() {
    let p = processor("siglip", "", TextRules { fixed_pad: Some(1), ..TextRules::default() });
    let ids = vec![p.encode("a red bus").unwrap(), p.encode("hello").unwrap()];
    let (ids, mask) = unisono_encoders::batch::token_ids(&p, &ids, tch::Device::Cpu).unwrap();
    assert_eq!(ids.size(), [2, 77]);
    assert_eq!(ids.int64_value(&[1, 76]), 1);
    assert_eq!(mask.all().int64_value(&[]), 1);
}

/// Whisper's older files: GPT-2's vocabulary and merges, and the special tokens in a file of their own. Ids as transformers gives them.
#[test]
fn whispers_older_files_read_and_write() {
    let (from, dir) = (fixtures().join("roberta"), tempfile::tempdir().unwrap());
    let at = |name: &str| dir.path().join(name);
    let mut vocab: Value =
        serde_json::from_str(&std::fs::read_to_string(from.join("vocab.json")).unwrap()).unwrap();
    let n = vocab.as_object().unwrap().len();
    vocab["<|endoftext|>"] = n.into();
    std::fs::write(at("vocab.json"), vocab.to_string()).unwrap();
    std::fs::copy(from.join("merges.txt"), at("merges.txt")).unwrap();
    let more =
        serde_json::json!({"<|startoftranscript|>": n + 1, "<|en|>": n + 2, "<|notimestamps|>": n + 3});
    std::fs::write(at("added_tokens.json"), more.to_string()).unwrap();
    let p = TextProcessor::from_checkpoint(dir.path(), "whisper", 77, 1000, TextRules::default())
        .unwrap()
        .unwrap();
    let text = "don't stop naïve 世界";
    assert_eq!(p.encode(text).unwrap(), [343, 328, 283, 372, 84, 265, 293, 384, 426, 444, 239]);
    assert_eq!(p.tokenizer().token_to_id("<|en|>"), Some(n as u32 + 2));
    let ids: Vec<u32> = p.encode(&format!(" {text}")).unwrap().iter().map(|i| *i as u32).collect();
    let with: Vec<u32> = [&[n as u32 + 1, n as u32 + 2][..], &ids, &[n as u32][..]].concat();
    assert_eq!(p.tokenizer().decode(&with, true).unwrap(), format!(" {text}"));
}

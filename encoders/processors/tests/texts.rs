//! Texts: cleaning and cutting beside naive ones, and the messages about strangers' files.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use unisono_processors::{
    Cleaning, Error, Json, Modality, TextProcessor, TextRules, optional_json, read_json, tokenizer_of,
};

const WORDS: [&str; 4] = ["red", "blue", "bus", "rose"];

/// Words by their places behind the three special tokens; begun with 0 and ended with 1, unknown ones are 2.
fn file() -> Value {
    let vocab: serde_json::Map<String, Value> = ["<s>", "</s>", "<unk>"]
        .iter()
        .chain(&WORDS)
        .zip(0..)
        .map(|(w, i)| ((*w).to_owned(), json!(i)))
        .collect();
    let special = |name: &str, id: u32| json!({"id": name, "ids": [id], "tokens": [name]});
    json!({
        "version": "1.0", "truncation": {"max_length": 2, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}, "padding": null,
        "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "</s>", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": special("<s>", 0), "</s>": special("</s>", 1)}
        },
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
    })
}

fn read(file: &Value) -> Result<TextProcessor, Error> {
    tokenizer_of(Path::new("tokenizer.json"), file.to_string().as_bytes())
}

fn processor(context: usize, rows: i64) -> Result<TextProcessor, Error> {
    TextProcessor::new(read(&file()).unwrap().tokenizer().clone(), context, rows)
}

fn naive(text: &str) -> Vec<i64> {
    let id = |word: &str| WORDS.iter().position(|w| *w == word).map_or(2, |at| at as i64 + 3);
    std::iter::once(0).chain(text.split_whitespace().map(id)).chain([1]).collect()
}

proptest! {
    #[test]
    fn ids_are_words_and_a_cut_text_keeps_its_end(
        words in prop::collection::vec(prop::sample::select(vec!["red", "blue", "bus", "rose", "green", " ", "\n"]), 0..20),
        context in 1usize..24,
    ) {
        let text = words.join(" ");
        let p = processor(context, 7).unwrap();
        let whole = naive(&text);
        prop_assert_eq!(p.count(&text).unwrap(), whole.len());
        let want: Vec<i64> = match whole.len() > context {
            true => whole[..context - 1].iter().copied().chain([1]).collect(),
            false => whole,
        };
        prop_assert_eq!(p.encode(&text).unwrap(), want);
    }

    #[test]
    fn cleaning_of_plain_letters_is_what_it_is_called(text in "[ -;=-~\\t]{0,40}") {
        // Without entities and tags, of which more is known.
        let text = text.replace('&', "");
        let spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        prop_assert_eq!(Cleaning::None.apply(&text), text.as_str());
        prop_assert_eq!(Cleaning::Lowercase.apply(&text), text.to_lowercase());
        prop_assert_eq!(Cleaning::Lower.apply(&text), Cleaning::Whitespace.apply(&text).to_lowercase());
        let bare = |text: &str| text.chars().filter(|c| !c.is_ascii_punctuation()).collect::<String>();
        prop_assert_eq!(Cleaning::Siglip.apply(&text), spaced(&bare(&text.to_lowercase())));
        // What is undone escape by escape has its own tests.
        if !text.contains('\\') {
            prop_assert_eq!(Cleaning::Whitespace.apply(&text), spaced(&text));
            prop_assert_eq!(Cleaning::Canonicalize.apply(&text), spaced(&bare(&text.replace('_', " "))).to_lowercase());
        }
    }

    #[test]
    fn what_is_clean_stays_as_it_is(text in "\\PC{0,40}") {
        for cleaning in [Cleaning::Whitespace, Cleaning::Lower, Cleaning::Canonicalize, Cleaning::Siglip] {
            let once = cleaning.apply(&text);
            prop_assert!(!once.contains("  ") && once.trim() == once, "{once:?}");
            prop_assert!(!once.chars().any(char::is_control), "{once:?}");
        }
    }
}

#[test]
fn texts_and_vocabularies_have_their_bounds() {
    let said = |e: Error| e.to_string();
    assert_eq!(
        said(processor(8, 6).unwrap_err()),
        "text.vocab_size: the tokenizer has 7 tokens, the embedding only 6 rows"
    );
    let p = processor(0, 7).unwrap();
    assert_eq!((p.context_length(), p.encode("red").unwrap()), (1, vec![1]));
    let long = "red ".repeat(100_000);
    let found = said(p.encode(&long).unwrap_err());
    assert!(found.starts_with("a text of 400000 bytes, at most 262144 are taken"), "{found}");
    assert_eq!(p.count(&long[..200_000]).unwrap(), 50_002);
    // A tokenizer that puts nothing around, and a text with nothing in it.
    let mut bare = file();
    bare["post_processor"] = Value::Null;
    assert!(said(read(&bare).unwrap().encode("").unwrap_err()).contains("a text without tokens"));
    // Its file may number tokens beyond its own count.
    let mut far = file();
    far["model"]["vocab"]["rose"] = json!(4_000_000);
    let p = TextProcessor::new(read(&far).unwrap().tokenizer().clone(), 8, 7).unwrap();
    assert_eq!(p.encode("red").unwrap(), [0, 3, 1]);
    assert!(
        said(p.encode("a rose").unwrap_err())
            .contains("gives token 4000000, the model's embedding has 7 rows")
    );
    // What a file says of cutting is this crate's.
    assert_eq!(read(&file()).unwrap().encode("red blue bus").unwrap(), [0, 3, 4, 5, 1]);
    let rules = TextRules { clean: Cleaning::Lower, ..TextRules::default() };
    let p = processor(8, 7).unwrap().with_rules(rules);
    assert_eq!((p.rules(), p.encode("  RED   Bus ").unwrap()), (rules, vec![0, 3, 5, 1]));
}

#[test]
fn a_strangers_tokenizer_is_refused_by_its_key() {
    let with = |part: &str, value: Value| {
        let mut file = file();
        file[part] = value;
        file
    };
    let step = |kind: &str, key: &str, value: Value| json!({"type": kind, key: value});
    let mut nowhere = file();
    nowhere["post_processor"]["special_tokens"] = json!({});
    let mut other = file();
    other["post_processor"]["single"][1]["Sequence"]["id"] = json!("B");
    for (file, key) in [
        (json!([]), ""),
        (json!({"model": 7}), "model"),
        (with("normalizer", json!("lower")), "normalizer: expected objects"),
        (
            with("normalizer", json!({"type": "Sequence", "normalizers": 7})),
            "normalizer: expected a list of steps",
        ),
        (
            with("normalizer", step("Prepend", "prepend", json!("x".repeat(5000)))),
            "normalizer.prepend: a text of 5000 bytes",
        ),
        (
            with("normalizer", json!({"type": "Precompiled"})),
            "normalizer.precompiled_charsmap: expected base64 text, found none",
        ),
        (
            with("normalizer", step("Precompiled", "precompiled_charsmap", json!("*"))),
            "normalizer.precompiled_charsmap: no base64",
        ),
        (
            with("pre_tokenizer", json!({"type": "FixedLength", "length": 0})),
            "pre_tokenizer.length: expected 1 or more",
        ),
        (
            with(
                "pre_tokenizer",
                json!({"type": "Split", "pattern": 7, "behavior": "Isolated", "invert": false}),
            ),
            "pre_tokenizer.pattern",
        ),
        (nowhere, "post_processor.single: token \"<s>\" is not in special_tokens"),
        (other, "post_processor.single: names text \"B\", expected A"),
    ] {
        let said = read(&file).unwrap_err().to_string();
        assert!(said.starts_with("tokenizer.json: ") && said.contains(key), "{said}: {key}");
        assert!(said.lines().count() == 1 && said.len() < 400, "{said}");
    }
    for bytes in [&b""[..], b"{", b"\xff\xfe\0", b"null", b"[[[[[["] {
        let said = tokenizer_of(Path::new("tokenizer.json"), bytes).unwrap_err().to_string();
        assert!(said.starts_with("tokenizer.json: ") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn what_a_strangers_file_says_cannot_act_on_a_terminal() {
    let sneaky = "a\u{1b}[2Jb\u{202e}\nc";
    let path = Path::new("x.json");
    for e in [
        Error::config(sneaky, sneaky),
        Error::format(path, sneaky),
        Error::Input(sneaky.into()),
        Error::Tokenizer(sneaky.into()),
    ] {
        let said = e.to_string();
        assert!(!said.chars().any(|c| c.is_control() || c == '\u{202e}'), "{said:?}");
        assert!(said.contains("\\u{1b}[2J"), "{said}");
    }
    let value = json!({"a": {"b": sneaky, "list": [1, 2], "on": true, "half": 0.5}});
    let json = Json::new(path, &value).object("a");
    let said = json.int("b", 1).unwrap_err().to_string();
    assert!(said.starts_with("x.json: a.b: expected an integer") && !said.contains('\u{1b}'), "{said}");
    assert_eq!(json.text("b", "").unwrap(), sneaky);
    assert_eq!(
        (json.text("none", "x").unwrap(), json.bool("on", false).unwrap(), json.float("half", 1.0).unwrap()),
        ("x", true, 0.5)
    );
    assert_eq!((json.ints("list", 2).unwrap(), json.ints("none", 2).unwrap()), (Some(vec![1, 2]), None));
    assert!(
        json.bool("half", true)
            .unwrap_err()
            .to_string()
            .ends_with("a.half: expected true or false, found 0.5")
    );
    assert!(json.text("on", "").unwrap_err().to_string().ends_with("a.on: expected a string, found true"));
    assert!(json.ratio("list", 1, 4).is_err());
    assert_eq!(json.ratio("none", 8, 4).unwrap(), 2.0);
    assert!(json.ratio("none", 1000, 4).unwrap_err().to_string().contains("at most 64 times the width 4"));
}

#[test]
fn configurations_are_read_within_bounds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    assert_eq!(optional_json(&path).unwrap(), None);
    assert!(matches!(read_json::<Value>(&path), Err(Error::Files(_))));
    std::fs::write(&path, r#"{"a": 1}"#).unwrap();
    assert_eq!(optional_json(&path).unwrap(), Some(json!({"a": 1})));
    for broken in ["{", "", &"[".repeat(100_000), &format!("[{}1]", "1,".repeat(2_000_000))] {
        std::fs::write(&path, broken).unwrap();
        let said = read_json::<Value>(&path).unwrap_err().to_string();
        assert!(said.contains("config.json: ") && said.lines().count() == 1 && said.len() < 300, "{said}");
    }
    assert!(
        optional_json(dir.path())
            .unwrap_err()
            .to_string()
            .ends_with("expected a regular file, found a folder")
    );
}

#[test]
fn modalities_have_one_name_each() {
    for m in Modality::ALL {
        assert_eq!(m.name().parse::<Modality>(), Ok(m));
        assert_eq!(serde_json::to_value(m).unwrap(), json!(m.to_string()));
    }
    assert!("picture".parse::<Modality>().unwrap_err().contains("expected text, image, audio or video"));
    assert!(Modality::PAIRS.iter().all(|(a, b)| a < b));
}

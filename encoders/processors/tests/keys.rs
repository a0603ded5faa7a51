//! Every key that the libraries write for processors and tokenizers (fixtures/keys.py): read, listed with the reason why it changes nothing, or refused
//! by its name.
#![allow(clippy::unwrap_used, missing_docs)]

use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use unisono_processors::{ImageProcessor, Json, Keys, MelConfig, Result, Size, read_tokenizer};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// What is written into a kind of file, by class.
fn written(file: &str) -> Map<String, Value> {
    let whole = std::fs::read(fixtures().join("keys.json")).unwrap();
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    whole[file].as_object().unwrap().clone()
}

/// What is wrong with how a class's file is read: a value that no key may have is neither refused by the key's name nor listed.
fn walk(class: &str, whole: &Value, keys: &str, read: &dyn Fn(&Value) -> Result<String>) -> Vec<String> {
    let usual = match read(whole) {
        Ok(usual) => usual,
        Err(e) => return vec![format!("{class}: {e}")],
    };
    let (listed, never) = (Keys::new(&[keys]).unwrap(), json!({"never": 1}));
    let mut wrong = Vec::new();
    for key in whole.as_object().unwrap().keys() {
        let mut changed = whole.clone();
        changed[key] = never.clone();
        match read(&changed) {
            Err(e) if e.to_string().contains(key.as_str()) => {}
            Ok(found) if found == usual && listed.reason(key, &never, class).is_some() => {}
            other => wrong.push(format!("{class} {key}: neither read nor listed: {other:?}")),
        }
    }
    let mut more = whole.clone();
    more["a_new_key"] = json!(1);
    match read(&more) {
        Err(e) if e.to_string().contains("a_new_key: expected no such key") => {}
        other => wrong.push(format!("{class}: a new key is passed over: {other:?}")),
    }
    wrong
}

#[test]
fn image_processors_pass_over_nothing() {
    let size = Size { sides: [224, 224] };
    let read = |value: &Value| {
        let made =
            ImageProcessor::from_hugging_face(Json::new(Path::new("preprocessor_config.json"), value), size)?;
        Ok(format!("{made:?}"))
    };
    let classes = written("images");
    assert!(classes.len() >= 15, "{}", classes.len());
    let keys = include_str!("../keys/image.keys");
    let wrong: Vec<String> =
        classes.iter().flat_map(|(class, whole)| walk(class, whole, keys, &read)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn feature_extractors_pass_over_nothing() {
    let read = |value: &Value| {
        let made = MelConfig::from_hugging_face(Json::new(Path::new("preprocessor_config.json"), value))?;
        Ok(format!("{made:?}"))
    };
    let classes = written("audio");
    assert_eq!(classes.len(), 3);
    let keys = include_str!("../keys/audio.keys");
    let wrong: Vec<String> =
        classes.iter().flat_map(|(class, whole)| walk(class, whole, keys, &read)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn tokenizers_settings_pass_over_nothing() {
    let keys = include_str!("../keys/tokenizer.keys");
    let classes = written("tokenizer_config.json");
    assert_eq!(classes.len(), 6);
    let mut wrong = Vec::new();
    for (class, whole) in &classes {
        let (folder, family) = match class.as_str() {
            "CLIPTokenizer" => ("clip", "clip"),
            "RobertaTokenizer" => ("roberta", "roberta"),
            "BertTokenizer" => ("bert", "bert"),
            "MPNetTokenizer" => ("mpnet", "mpnet"),
            "XLMRobertaTokenizer" => ("xlm-roberta", "xlm-roberta"),
            _ => ("siglip", "siglip"),
        };
        let dir = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixtures().join("tokenizers").join(folder)).unwrap() {
            let from = entry.unwrap().path();
            std::fs::copy(&from, dir.path().join(from.file_name().unwrap())).unwrap();
        }
        let read = |value: &Value| {
            std::fs::write(dir.path().join("tokenizer_config.json"), value.to_string()).unwrap();
            let made = read_tokenizer(dir.path(), family)?.unwrap();
            Ok(made.to_string(false).unwrap())
        };
        wrong.extend(walk(class, whole, keys, &read));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

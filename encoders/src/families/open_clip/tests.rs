//! Every key that OpenCLIP writes into its own file (`fixtures/keys.py`): read, listed with the reason why it changes nothing, of a tower of the other kind, or
//! refused by its name.

use super::*;
use serde_json::{Map as Object, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Folders whose towers are, in turn, the library's own, its own with a decoder, timm's image, and Hugging Face's text.
const FOLDERS: [&str; 5] =
    ["openclip-quick", "openclip-clipa", "openclip-coca", "openclip-siglip", "openclip-roberta"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// What the library's classes hold by default, and what its own model configurations have: all keys, with one value each.
fn written() -> Value {
    let whole: Value = serde_json::from_slice(&fs::read(fixtures().join("keys.json")).unwrap()).unwrap();
    let mut all = whole["open_clip_config.json"].clone();
    add(all["model_cfg"].as_object_mut().unwrap(), &whole["open_clip models"]);
    all
}

fn add(to: &mut Object<String, Value>, from: &Value) {
    for (key, value) in from.as_object().unwrap() {
        match to.get_mut(key).and_then(Value::as_object_mut) {
            Some(inner) if value.is_object() => add(inner, value),
            _ => {
                to.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Dotted paths of all values that are no objects, and of all objects.
fn paths(at: &str, value: &Value, leaves: &mut Vec<String>, objects: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        if value.is_object() {
            objects.push(path.clone());
            paths(&path, value, leaves, objects);
        } else {
            leaves.push(path);
        }
    }
}

/// `whole` with `value` at a path, whose objects are made where they are not there.
fn with(whole: &Value, path: &str, value: Value) -> Value {
    let mut changed = whole.clone();
    let mut at = &mut changed;
    for key in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[key];
    }
    *at = value;
    changed
}

/// Whether the file names a tower to which the key says nothing.
fn passed_over(whole: &Value, path: &str) -> bool {
    let names = |cfg: &str, key: &str| whole["model_cfg"][cfg].get(key).is_some_and(Value::is_string);
    let Some((cfg, rest)) = path.strip_prefix("model_cfg.").and_then(|path| path.split_once('.')) else {
        return false;
    };
    let key = rest.split('.').next().unwrap_or(rest);
    match cfg {
        "vision_cfg" if names(cfg, "timm_model_name") => OWN_IMAGE.contains(&key),
        "vision_cfg" => TIMM_IMAGE.contains(&key),
        "text_cfg" if names(cfg, "hf_model_name") => OWN_TEXT.contains(&key),
        "text_cfg" => BORROWED_TEXT.contains(&key),
        _ => false,
    }
}

#[test]
fn every_key_that_the_library_writes_is_read_or_listed_or_refused() {
    let (mut leaves, mut objects) = (Vec::new(), vec![String::new()]);
    paths("", &written(), &mut leaves, &mut objects);
    let keys = Keys::new(&[KEYS]).unwrap();
    let never = json!({"never": 1});
    // A key is listed by itself, or with all that it stands in.
    let listed = |path: &str| {
        let ends = path.match_indices('.').map(|(i, _)| i).chain([path.len()]);
        ends.into_iter().any(|end| keys.reason(&path[..end], &never, "").is_some())
    };
    let (mut wrong, mut decided) = (Vec::new(), BTreeMap::<&str, u32>::new());
    for folder in FOLDERS {
        let dir = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(fixtures().join("checkpoints").join(folder)).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, dir.path().join(from.file_name().unwrap())).unwrap();
        }
        let file = dir.path().join("open_clip_config.json");
        let whole: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let read = |value: &Value| {
            fs::write(&file, value.to_string()).unwrap();
            plan(dir.path()).map(|plan| format!("{:?} {:?}", plan.config, plan.processors))
        };
        let usual = read(&whole).unwrap_or_else(|e| panic!("{folder}: {e}"));
        for path in &leaves {
            let name = path.rsplit('.').next().unwrap();
            let seen = decided.entry(path).or_default();
            match read(&with(&whole, path, never.clone())) {
                Err(e) if e.to_string().contains(name) => *seen += 1,
                Ok(found) if found == usual && listed(path) => *seen += 1,
                Ok(found) if found == usual && passed_over(&whole, path) => {}
                Ok(_) => wrong.push(format!("{folder} {path}: neither read nor listed")),
                Err(e) => wrong.push(format!("{folder} {path}: {e}")),
            }
        }
        for at in objects.iter().filter(|at| !listed(at) && !passed_over(&whole, at)) {
            let path = if at.is_empty() { "a_new_key".into() } else { format!("{at}.a_new_key") };
            match read(&with(&whole, &path, json!(1))) {
                Err(e) if e.to_string().contains("a_new_key: expected no such key") => {}
                other => {
                    wrong.push(format!("{folder} {path}: a new key is passed over: {:?}", other.is_ok()))
                }
            }
        }
    }
    let undecided = decided.iter().filter(|(_, seen)| **seen == 0);
    wrong.extend(undecided.map(|(path, _)| format!("{path}: passed over by every tower")));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(leaves.len() > 90, "{}", leaves.len());
}

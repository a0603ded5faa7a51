//! Every key that sentence-transformers writes, in every file of its modules, is read, listed as harmless, or refused by name.

use super::file::KEYS;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use unisono_processors::{Keys, Role};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// The section of [`KEYS`] that a file of a folder is held against.
fn section(path: &str) -> Option<&'static str> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let class = folder.rsplit('_').next().unwrap_or_default();
    match (path.rsplit('/').next().unwrap_or_default(), class) {
        ("modules.json", _) => Some("module"),
        ("config_sentence_transformers.json", _) => Some("model"),
        ("sentence_bert_config.json", _) => Some("transformer"),
        ("router_config.json", _) => Some("router"),
        ("config.json", "Pooling") => Some("pooling"),
        ("config.json", "Dense") => Some("dense"),
        ("config.json", "LayerNorm") => Some("layer_norm"),
        ("config.json", "Normalize") => Some("normalize"),
        _ => None,
    }
}

fn files(dir: &Path, at: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(dir, &path, found);
        } else {
            found.push(path.strip_prefix(dir).unwrap().to_string_lossy().into_owned());
        }
    }
}

/// Paths of all keys: of a list, those of its first object.
fn pointers(at: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{at}/{key}");
                match value {
                    // Names of modules, routes and prompts are the model's own.
                    Value::Object(_) if key == "parameters" => pointers(&path, value, out),
                    _ => out.push(path),
                }
            }
        }
        Value::Array(all) => all.iter().take(1).for_each(|first| pointers(&format!("{at}/0"), first, out)),
        _ => {}
    }
}

#[test]
fn every_key_that_the_library_writes_is_read_or_listed_or_refused() {
    let keys = Keys::new(&[KEYS]).unwrap();
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for name in ["stack", "asym", "instruct", "embeddings"] {
        let (dir, mut all) = (fixtures().join("sentences").join(name), Vec::new());
        files(&dir, &dir, &mut all);
        let copy = tempfile::tempdir().unwrap();
        for file in &all {
            fs::create_dir_all(copy.path().join(file).parent().unwrap()).unwrap();
            fs::copy(dir.join(file), copy.path().join(file)).unwrap();
        }
        let roles = [Some(Role::Query), Some(Role::Document)];
        let read = || {
            roles
                .iter()
                .map(|role| super::read(copy.path(), *role).map(|p| p.config))
                .collect::<Result<Vec<_>, _>>()
        };
        let usual = read().unwrap();
        for (file, section) in all.iter().filter_map(|f| Some((f, section(f)?))) {
            let path = copy.path().join(file);
            let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let mut found = Vec::new();
            pointers("", &whole, &mut found);
            for pointer in found {
                let key = pointer.rsplit('/').next().unwrap().to_owned();
                seen.entry(section).or_default().insert(key.clone());
                // No key may have this value: it is told by its name, unless the key is listed with a reason whatever it says.
                let (mut changed, never) = (whole.clone(), json!({"never": 1}));
                *changed.pointer_mut(&pointer).unwrap() = never.clone();
                fs::write(&path, changed.to_string()).unwrap();
                let listed = keys.reason(&key, &never, section).is_some();
                match read() {
                    Err(e) if e.to_string().contains(&key) => {}
                    Ok(found) if listed && found == usual => {}
                    Ok(_) => wrong.push(format!("{name} {file} {pointer}: neither read nor listed")),
                    Err(e) => wrong.push(format!("{name} {file} {pointer}: {e}")),
                }
            }
            fs::write(&path, whole.to_string()).unwrap();
        }
        read().unwrap();
    }
    // Nothing that the library's classes write is missing here (`fixtures/keys.py`).
    let written: Value = serde_json::from_slice(&fs::read(fixtures().join("keys.json")).unwrap()).unwrap();
    for (file, value) in written["sentence-transformers"].as_object().unwrap() {
        let Some(section) = section(file) else { continue };
        let mut found = Vec::new();
        pointers("", value, &mut found);
        for key in found.iter().map(|p| p.rsplit('/').next().unwrap()) {
            if !seen[section].contains(key) {
                wrong.push(format!("{section} {key}: in no fixture"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(seen.values().map(BTreeSet::len).sum::<usize>() >= 30, "{seen:?}");
}

//! `unisono model list`, `add`, `show`, `pin` and `remove`, and the store's models in other commands.
#![allow(clippy::unwrap_used)]

#[path = "room/mod.rs"]
#[allow(unused_imports)]
mod room;
mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use serde_json::Value;
use std::fs;
use std::path::Path;
use support::{outcome, s, unisono};

/// Runs it with a store and a hub's cache below `dir`.
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = unisono(args);
    command.env("UNISONO_STORE", dir.join("store")).env("HF_HOME", dir.join("hf")).env("HF_HUB_OFFLINE", "1");
    outcome(command.current_dir(dir))
}

fn json(dir: &Path, args: &[&str]) -> Value {
    let (code, stdout, stderr) = run(dir, args);
    assert_eq!(code, 0, "{stderr}");
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn a_name_and_a_version_are_a_model_in_every_command() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    tiny::model(7, &tiny::TOWERS).save(&dir.join("a")).unwrap();
    tiny::model(8, &tiny::TOWERS).save(&dir.join("b")).unwrap();
    let (code, stdout, stderr) = run(dir, &["model", "add", "a", "--as", "towers"]);
    assert!(code == 0 && stdout.contains("next: unisono serve --model towers@1"), "{stdout}{stderr}");
    let added = json(dir, &["model", "add", "b", "--as", "towers", "--json"]);
    assert_eq!((&added["card"]["version"], &added["known"]), (&"2".into(), &false.into()));
    assert_eq!(json(dir, &["model", "add", "b", "--as", "towers", "--json"])["known"], true);
    let vectors = |model: &str| {
        let (code, _, stderr) =
            run(dir, &["embed", "--model", model, "--fresh", "--out", "v.npy", "--text", "a red bus"]);
        assert_eq!(code, 0, "{stderr}");
        fs::read(dir.join("v.npy")).unwrap()
    };
    assert_eq!(vectors("towers@1"), vectors("a"));
    assert_eq!(vectors("towers@2"), vectors("b"));
    assert_eq!(vectors("towers"), vectors("b"));
    let (code, stdout, _) = run(dir, &["model", "pin", "towers@1"]);
    assert!(code == 0 && stdout == "towers: towers@1 from now on\n", "{stdout}");
    assert_eq!(vectors("towers"), vectors("a"));
    let (code, _, stderr) = run(dir, &["model", "remove", "towers@1"]);
    assert!(code == 1 && stderr.contains("pinned") && stderr.lines().count() == 1, "{stderr}");
    let (code, _, stderr) = run(dir, &["embed", "--model", "towers@9", "--out", "w.npy", "--text", "a"]);
    assert!(code == 1 && stderr.contains("there are 1, 2") && stderr.lines().count() == 1, "{stderr}");
    // What is listed: the store's, and the hub's cache.
    room::cache(&dir.join("hf"), "someone/towers", &dir.join("b"));
    let listed = json(dir, &["model", "list", "--json"]);
    assert_eq!(listed["models"][0]["pinned"], true);
    assert_eq!(listed["models"][1]["able"]["can"], serde_json::json!(["embed"]));
    assert_eq!(
        (&listed["cached"][0]["id"], &listed["cached"][0]["family"]),
        (&"someone/towers".into(), &"unisono".into())
    );
    let (_, table, _) = run(dir, &["model", "list"]);
    for part in ["towers@1", "pinned", "embed text, image, audio", "someone/towers@0123456", "hub"] {
        assert!(table.contains(part), "{part}: {table}");
    }
    assert_eq!(vectors("someone/towers@0123456"), vectors("b"));
    let (code, _, stderr) = run(dir, &["model", "show", "someone/towers@ffffffff"]);
    assert!(code == 1 && stderr.contains("no such revision"), "{stderr}");
    let (code, said, _) = run(dir, &["model", "show", "towers@2", "--check"]);
    assert!(code == 0 && said.contains("every file is what it was"), "{said}");
    fs::write(dir.join("store/towers/2/config.json"), "{}").unwrap();
    let (code, _, stderr) = run(dir, &["model", "show", "towers@2", "--check"]);
    assert!(code == 1 && stderr.contains("config.json: changed; 1 of"), "{stderr}");
    assert_eq!(run(dir, &["model", "pin", "towers", "--latest"]).0, 0);
    for version in ["1", "2"] {
        assert_eq!(run(dir, &["model", "remove", &format!("towers@{version}")]).0, 0);
    }
    assert!(!dir.join("store/towers").exists());
}

#[test]
fn what_cannot_be_a_name_is_wrong_usage() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path();
    tiny::model(7, &tiny::TOWERS).save(&dir.join("a")).unwrap();
    for (args, part) in [
        (&["model", "add", "a", "--as", "../b"][..], "expected NAME or NAME@VERSION"),
        (&["model", "pin", "a"], "expected NAME@VERSION"),
        (&["model", "pin", "a@1", "--latest"], "expected the name alone"),
        (&["model", "remove", "a"], "deleted one by one"),
    ] {
        let (code, _, stderr) = run(dir, args);
        assert!(code == 2 && stderr.contains(part), "{args:?}: {stderr}");
    }
    let (code, _, stderr) = run(dir, &["model", "remove", "a@1"]);
    assert!(code == 1 && stderr.contains("not in the store"), "{stderr}");
    // Nothing was written but the lock, which is gone.
    assert!(!Path::new(s(&dir.join("store"))).exists());
}

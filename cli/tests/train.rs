//! `unisono train` killed while it runs, and resumed.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../train/tests/support/mod.rs"]
mod things;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn train(recipe: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unisono"));
    command
        .arg("train")
        .arg(recipe)
        .arg("--out")
        .arg(out)
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn killed_and_resumed_is_uninterrupted() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    let text = things::recipe_text(&things::things(dir.path()), 60, "[checkpoint]\nevery = 3");
    fs::write(&recipe, text).unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    assert!(train(&recipe, &whole, &[]).status().unwrap().success());
    // Wherever the kill falls, between two checkpoints or while one is written: the result is the same.
    for _ in 0..3 {
        let before = fs::metadata(killed.join("last/training.json")).and_then(|m| m.modified()).ok();
        let mut child = train(&recipe, &killed, &["--resume"]).spawn().unwrap();
        let moved =
            || fs::metadata(killed.join("last/training.json")).and_then(|m| m.modified()).ok() != before;
        while child.try_wait().unwrap().is_none() && !moved() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(train(&recipe, &killed, &["--resume"]).status().unwrap().success());
    for file in ["last/training.safetensors", "last/model.safetensors"] {
        let [a, b] = [&whole, &killed].map(|run| fs::read(run.join(file)).unwrap());
        assert!(a == b, "{file} differs");
    }
}

#[test]
fn a_wrong_recipe_is_one_line_and_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    fs::write(&recipe, "seed = 1\nstepz = 3\n").unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_unisono"))
        .args(["train", recipe.to_str().unwrap(), "--out", "x"])
        .output()
        .unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(
        said.lines().count() == 1 && said.contains("r.toml:2: unknown key `stepz`; did you mean `steps`?"),
        "{said}"
    );
}

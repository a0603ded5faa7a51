//! Limits: every one that a message names is an option of the command that says it, and raising it helps.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use support::{outcome, s, succeeds, unisono};
use unisono_media::limits::NAMES;

/// Commands that read media, besides `train`, whose recipe holds the limits.
const COMMANDS: [&[&str]; 11] = [
    &["embed"],
    &["index", "build"],
    &["search"],
    &["classify"],
    &["caption"],
    &["match"],
    &["ask"],
    &["transcribe"],
    &["eval", "retrieval"],
    &["data", "check"],
    &["scenes"],
];

#[test]
fn every_command_that_reads_media_has_every_limit() {
    for command in COMMANDS {
        let help = succeeds(command.iter().chain(&["--help"]));
        for name in NAMES {
            // Animations are decoded as videos by `scenes` only.
            let there = name != "max_total_pixels" || command == ["scenes"];
            let option = format!("--{} ", name.replace('_', "-"));
            assert_eq!(help.contains(&option), there, "{command:?}: {option}");
        }
    }
    let (code, _, stderr) = outcome(&mut unisono(["embed", "--max-pixels", "many"]));
    assert!(code == 2 && stderr.contains("200M"), "{stderr}");
}

#[test]
fn what_is_refused_names_an_option_that_lets_it_through() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    // A PNG or JPEG would be read at a smaller scale.
    let image = dir.path().join("p.bmp");
    image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 7])).save(&image).unwrap();
    let out = dir.path().join("v.npy");
    let run = |more: &[&str]| {
        let words = ["embed", "--model", s(&model), "--out", s(&out), s(&image)];
        outcome(&mut unisono(words.iter().chain(more)))
    };
    let (code, _, stderr) = run(&["--max-pixels", "1k"]);
    assert!(code == 1 && stderr.contains("raise `--max-pixels` if"), "{stderr}");
    let (code, _, stderr) = run(&["--max-file-bytes", "50B"]);
    assert!(code == 1 && stderr.contains("raise `--max-file-bytes` if"), "{stderr}");
    assert_eq!(run(&["--max-pixels", "1.2k", "--max-file-bytes", "1Mi"]).0, 0);
    // Where no file is read, they are refused.
    let (code, _, stderr) = outcome(&mut unisono(["search", "--index", "x", "words", "--max-pixels", "1M"]));
    assert!(code == 2 && stderr.contains("--max-pixels goes with --image"), "{stderr}");
    let manifest = dir.path().join("m.jsonl");
    fs::write(&manifest, "{\"id\":\"1\",\"image\":\"p.bmp\",\"text\":\"a\"}\n").unwrap();
    let check = ["data", "check", s(&manifest), "--max-pixels", "1k"];
    let (code, stdout, _) = outcome(&mut unisono(check));
    assert!(code == 1 && stdout.contains("raise `--max-pixels` if"), "{stdout}");
}

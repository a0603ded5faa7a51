//! What stands beside data, from one command to the next.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use support::{fails, json, outcome, s, succeeds, unisono};

#[test]
fn what_one_command_writes_the_next_reads() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = tiny::collection(dir.path(), 6);
    let at = |name: &str| dir.path().join(name);
    let (split, kept, packed) = (at("split.jsonl"), at("kept.jsonl"), at("packed"));
    let parts = "fit=0.5,check=0.5";
    let text = succeeds(["data", "split", s(&manifest), "--out", s(&split), "--parts", parts]);
    assert!(
        text.contains("split.jsonl: 12 records\n") && text.contains("kept together: 12 records in 6 sets"),
        "{text}"
    );
    assert!(text.contains("  fit    6 records, 50.0 % (asked for: 50.0 %)\n"), "{text}");
    let text = succeeds(["data", "filter", s(&manifest), "--out", s(&kept), "--lang", "en"]);
    assert!(text.contains("kept.jsonl: 6 of 12 records, 50.0 %\n  fell by language: 6\n"), "{text}");
    let beside = ["--annotations", s(&split), "--only", s(&kept)];
    let seen = succeeds(["data", "inspect", s(&manifest)].into_iter().chain(beside));
    assert!(seen.contains("fit") && seen.contains("check") && !seen.contains("train"), "{seen}");
    // Packed, it is in the data.
    let made = json(
        ["data", "pack", s(&manifest), s(&packed), "--json", "--split", "fit"].into_iter().chain(beside),
    );
    assert_eq!(made["records"], 3);
    let seen = succeeds(["data", "inspect", s(&packed)]);
    assert!(seen.contains("fit") && !seen.contains("check"), "{seen}");
    // Ids are those of the same records.
    fs::write(at("more.jsonl"), "{\"id\":\"r0#en\",\"label\":\"x\"}\n{\"id\":\"none\"}\n").unwrap();
    let more = at("more.jsonl");
    let args = ["data", "check", s(&manifest), "--annotations", s(&more)];
    let (code, _, stderr) = outcome(&mut unisono(args));
    assert!(
        code == 0 && stderr.contains("note: ") && stderr.contains("1 of its 2 ids are of no record"),
        "{stderr}"
    );
    let twice = at("twice");
    fs::write(&twice, "r0#en\nr0#en\n").unwrap();
    let e = fails(["data", "inspect", s(&manifest), "--only", s(&twice)]);
    assert!(e.contains("twice:2: id \"r0#en\" was already used on line 1"), "{e}");
}

#[test]
fn what_would_do_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = tiny::collection(dir.path(), 2);
    let out = dir.path().join("out.jsonl");
    for (args, part) in [
        (&["filter"][..], "expected a condition"),
        (&["filter", "--min-words", "1", "--device", "cpu"], "--device goes with --model"),
        (&["filter", "--min-words", "1", "--batch", "32"], "--batch goes with --model"),
        (&["filter", "--min-words", "1", "--max-skip", "100"], "--max-skip goes with --model"),
        (&["filter", "--detect-lang=en,tlh"], "found \"tlh\""),
        (&["filter", "--lang", "en", "--lang-confidence", "0.5"], "--detect-lang"),
        (&["filter", "--min-words", "1", "--ffmpeg", "f"], "--ffmpeg goes with"),
        (&["filter", "--model", "m", "--pair", "image,text"], "expected --min-similarity or --keep-best"),
        (&["filter", "--model", "m", "--pair", "image,image"], "two different modalities"),
        (&["filter", "--keep-best", "0.5"], "--pair"),
        (&["filter", "--max-aspect", "0.5"], "a number from 1"),
        (&["split", "--parts", "a=0.5"], "are 0.5 together, expected 1"),
        (&["split", "--parts", "a=1", "--by", "label", "--stratify", "label"], "give one of them"),
        (&["mine", "--model", "m", "--pair", "text"], "as image,text"),
        (&["teach", "--model", "m", "--seed", "1"], "--views"),
        (&["teach", "--model", "m", "--views", "0"], "1..=1024"),
    ] {
        let mut command = unisono(["data", args[0], s(&manifest), "--out", s(&out)]);
        let (code, _, stderr) = outcome(command.args(&args[1..]));
        assert!(code == 2 && stderr.contains(part), "{args:?}: {stderr}");
        assert!(!out.exists());
    }
    let mut command = unisono(["data", "split", s(&manifest), "--out", s(&manifest), "--parts", "a=1"]);
    let (code, _, stderr) = outcome(&mut command);
    assert!(code == 2 && stderr.contains("is an input, too"), "{stderr}");
    let e = fails(["data", "split", s(&manifest), "--out", s(&out), "--parts", "a=0.9,b=0.1"]);
    assert!(e.contains("b would have no record"), "{e}");
}

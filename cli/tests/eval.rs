//! `unisono eval retrieval`.
#![allow(clippy::unwrap_used)]

mod support;
#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use support::{json, outcome, s, unisono};

/// The command on a model and a manifest, with more words.
fn eval<'a>(model: &'a Path, data: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["eval", "retrieval", "--model", s(model), "--data", s(data)];
    words.extend(more);
    words
}

/// Refused as wrong usage, in one line, without a result.
fn refused(words: &[&str]) -> String {
    let (code, stdout, stderr) = outcome(&mut unisono(words));
    assert_eq!(code, 2, "{words:?}: {stdout}{stderr}");
    assert!(stdout.is_empty() && stderr.starts_with("error: ") && stderr.lines().count() == 1, "{stderr}");
    stderr
}

fn written(dir: &Path, name: &str, lines: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, lines).unwrap();
    path
}

#[test]
fn the_same_words_under_two_images() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    (0..3).for_each(|i| tiny::image(&dir.path().join(format!("{i}.png")), i));
    let data = written(
        dir.path(),
        "same.jsonl",
        "{\"id\":\"a\",\"image\":\"0.png\",\"text\":\"a plain square\",\"split\":\"test\"}\n\
         {\"id\":\"b\",\"image\":\"1.png\",\"text\":\"a plain square\",\"split\":\"test\"}\n\
         {\"id\":\"c\",\"image\":\"2.png\",\"text\":\"another square\",\"split\":\"test\"}\n",
    );
    let rows = json(eval(&model, &data, &["--json"]));
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let m = &row["metrics"];
        assert_eq!(
            (&m["queries"], &m["left_out"], &m["gallery"]),
            (&3.into(), &0.into(), &3.0.into()),
            "{row}"
        );
        assert!((m["relevant"].as_f64().unwrap() - 5.0 / 3.0).abs() < 1e-9);
        assert!((m["chance_r1"].as_f64().unwrap() - 5.0 / 9.0).abs() < 1e-9);
        assert_eq!((&row["model"], &row["skipped_media"]), (&s(&model).into(), &Value::Array(vec![])));
    }
}

/// Images and audio files of two languages; in `train` only texts and audio files, in `bare` nothing but texts.
fn collection(dir: &Path) -> PathBuf {
    let mut lines = String::new();
    for i in 0..4u8 {
        tiny::image(&dir.join(format!("p{i}.png")), i);
        tiny::audio(&dir.join(format!("s{i}.wav")), i.into());
        let lang = ["en", "de"][usize::from(i % 2)];
        lines += &format!(
            "{{\"id\":\"{i}\",\"text\":[\"number {i}\",\"word{i}\"],\"image\":\"p{i}.png\",\"audio\":\"s{i}.wav\",\"lang\":\"{lang}\",\"split\":\"test\"}}\n\
             {{\"id\":\"t{i}\",\"text\":\"{}\",\"audio\":\"s{i}.wav\",\"lang\":\"{lang}\",\"split\":\"train\"}}\n\
             {{\"id\":\"b{i}\",\"text\":\"bare {i}\",\"split\":\"bare\"}}\n",
            "long ".repeat(usize::from(i) + 1)
        );
    }
    written(dir, "m.jsonl", &lines)
}

#[test]
fn what_cannot_be_had_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (model, data) = (tiny::model_dir(dir.path()), collection(dir.path()));
    let to_image = ["--from", "text", "--to", "image"];
    for (more, says) in [
        (&["--split", "tset"][..], "--split tset: "),
        (&["--split", "tset"], "it has: bare (4), test (4), train (4)"),
        (&["--distractors", "NOSUCH"], "--distractors NOSUCH: "),
        (&["--distractors", "train", "--distractors", "NOSUCH"], "it has: bare (4), test (4), train (4)"),
        (&["--distractors", "test"], "the gallery has that split already"),
        (&["--distractors", "bare", "--distractors", "bare"], "the gallery has that split already"),
        (&["--duration-control", "NOSUCH"], "it has: bare (4), test (4), train (4)"),
        (&["--duration-control", "bare"], "no audio with a caption"),
        (&["--query-lang", "fr"], "no record is of that language; there are: de, en"),
        (&["--query-lang", "en", "--query-lang", "fr"], "--query-lang fr"),
        (&["--gallery-lang", "fr"], "--gallery-lang fr"),
        (&["--split", "bare", "--same-lang"], "no record of split \"bare\" has a \"lang\""),
        (&["--from", "text", "--to", "text", "--query-lang", "en"], "two different modalities"),
    ] {
        let said = refused(&eval(&model, &data, more));
        assert!(said.contains(says), "{more:?}: {said}");
    }
    for (more, says) in [
        (
            &["--duration-control", "train"][..],
            "audio → text and text → audio, and what is measured is text → image",
        ),
        (
            &["--ffmpeg", "/usr/bin/ffmpeg"],
            "it decodes videos and audio files, and what is measured is text → image",
        ),
        (&["--distractors", "bare"], "nothing that joins a gallery of text → image"),
    ] {
        let said = refused(&eval(&model, &data, &[&to_image[..], more].concat()));
        assert!(said.contains(says), "{more:?}: {said}");
    }
    let heard = ["--from", "image", "--to", "audio"];
    for captions in ["--all-captions", "--joined-captions"] {
        let said = refused(&eval(&model, &data, &[&heard[..], &[captions]].concat()));
        assert!(said.contains("no captions take part in image → audio"), "{said}");
    }
    for words in [&["--all-captions", "--joined-captions"][..], &["--from", "text"], &["--batch", "0"]] {
        assert_eq!(outcome(&mut unisono(eval(&model, &data, words))).0, 2, "{words:?}");
    }
    let none = written(dir.path(), "none.jsonl", "{\"id\":\"a\",\"text\":\"x\",\"image\":\"p0.png\"}\n");
    assert!(refused(&eval(&model, &none, &[])).contains("has a \"split\"; write one"));
}

#[test]
fn each_option_changes_what_is_measured() {
    let dir = tempfile::tempdir().unwrap();
    let (model, data) = (tiny::model_dir(dir.path()), collection(dir.path()));
    let row = |more: &[&str]| -> Value {
        let words = eval(&model, &data, &[more, &["--json"]].concat());
        json(words).as_array().unwrap()[0].clone()
    };
    let size = |row: &Value| {
        (row["metrics"]["queries"].as_u64().unwrap(), row["metrics"]["gallery"].as_f64().unwrap())
    };
    let said = ["--from", "audio", "--to", "text"];
    let with = |more: &[&str]| row(&[&said[..], more].concat());
    assert_eq!(size(&with(&[])), (4, 4.0));
    assert_eq!(size(&with(&["--split", "train"])), (4, 4.0));
    assert_eq!(size(&with(&["--distractors", "train"])), (4, 8.0));
    assert_eq!(size(&with(&["--distractors", "train", "--distractors", "bare"])), (4, 12.0));
    assert_eq!(size(&with(&["--query-lang", "de"])), (2, 4.0));
    assert_eq!(size(&with(&["--query-lang", "de", "--gallery-lang", "de"])), (2, 2.0));
    assert_eq!(size(&with(&["--same-lang"])), (4, 2.0));
    assert_eq!(size(&with(&["--same-lang", "--distractors", "train"])), (4, 4.0));
    assert_eq!(size(&with(&["--all-captions"])), (4, 8.0));
    assert_ne!(with(&["--joined-captions"])["metrics"]["mrr"], with(&[])["metrics"]["mrr"]);
    assert!(with(&[]).get("duration_control").is_none());
    assert_eq!(with(&["--duration-control", "train"])["duration_control"]["queries"], 4);
    assert!(with(&["--duration-control", "train"])["duration_language_control"].is_object());
    // An image is of each language that it has records of.
    assert_eq!(size(&row(&["--from", "text", "--to", "image", "--same-lang"])), (4, 2.0));
    // What has nothing to choose from is said.
    let plain = written(
        dir.path(),
        "plain.jsonl",
        &(0..4)
            .map(|n| format!("{{\"id\":\"{n}\",\"text\":\"t{n}\",\"image\":\"p{n}.png\",\"lang\":\"en\",\"split\":\"test\"}}\n"))
            .collect::<String>(),
    );
    for (option, why) in [
        ("--same-lang", "all records are of one language"),
        ("--all-captions", "no record has a second caption"),
        ("--joined-captions", "no record has a second caption"),
    ] {
        let (code, _, stderr) = outcome(&mut unisono(eval(&model, &plain, &[option])));
        assert!(code == 0 && stderr.contains(&format!("note: {option} changes nothing, {why}")), "{stderr}");
    }
    let all = json(eval(&model, &data, &["--json"]));
    assert_eq!(all.as_array().unwrap().len(), 6);
}

#[test]
fn pairs_without_anything_in_common_do_not_end_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let model = tiny::model_dir(dir.path());
    (0..2).for_each(|i| tiny::image(&dir.path().join(format!("{i}.png")), i));
    tiny::audio(&dir.path().join("0.wav"), 0);
    let data = written(
        dir.path(),
        "m.jsonl",
        "{\"id\":\"a\",\"image\":\"0.png\",\"text\":\"one\",\"split\":\"test\"}\n\
         {\"id\":\"b\",\"image\":\"gone.png\",\"text\":\"two\",\"split\":\"test\"}\n\
         {\"id\":\"c\",\"audio\":\"0.wav\",\"text\":\"three\",\"split\":\"test\"}\n",
    );
    let (code, stdout, stderr) = outcome(&mut unisono(eval(&model, &data, &["--json"])));
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap().as_array().unwrap().len(), 4);
    assert_eq!(stderr.matches("is not measured: none of the").count(), 2, "{stderr}");
    // What is left out is named once, and listed with every pair that wanted it.
    assert_eq!(stderr.matches("left out b: ").count(), 1, "{stderr}");
    assert!(stdout.contains("\"skipped_media\"") && stdout.contains("gone.png"), "{stdout}");
    let (code, _, stderr) = outcome(&mut unisono(eval(&model, &data, &["--from", "image", "--to", "audio"])));
    assert_eq!(code, 1);
    assert!(stderr.contains("none of the 1 queries has a relevant item"), "{stderr}");
    let one = written(
        dir.path(),
        "one.jsonl",
        "{\"id\":\"a\",\"image\":\"0.png\",\"text\":\"one\",\"split\":\"test\"}\n",
    );
    let (code, stdout, stderr) = outcome(&mut unisono(eval(&model, &one, &[])));
    assert!(code == 0 && stdout.contains("100.0 [100.0, 100.0]"), "{stdout}");
    assert_eq!(stderr.matches("every item of the gallery is right").count(), 2, "{stderr}");
}

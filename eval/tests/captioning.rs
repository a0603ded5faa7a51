//! Captions by a model of random weights: which items are captioned, and against what they are scored.
#![allow(clippy::unwrap_used)]

#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::Path;
use unisono_datasets::Manifest;
use unisono_encoders::Modality;
use unisono_eval::captioning::{Captioning, CaptioningTask};
use unisono_eval::protocol::Reading;
use unisono_fusion::FusionModel;

fn model() -> FusionModel {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fusion/blip-caption");
    FusionModel::load(&dir, tch::Device::Cpu).unwrap()
}

fn manifest(dir: &Path) -> Manifest {
    for i in 0..6u8 {
        tiny::image(&dir.join(format!("p{i}.png")), i);
    }
    fs::write(dir.join("p4.png"), "no image").unwrap();
    let lines = [
        r#"{"id":"a","image":"p0.png","text":["a cat","animal"],"split":"val","lang":"en"}"#,
        // The same image and the same thing by other records: all that is said of it is true.
        r#"{"id":"b","image":"p0.png","text":"a small cat","split":"val","lang":"en"}"#,
        r#"{"id":"c1","image":"p1.png","text":"a dog","label":"dog","split":"val","lang":"en"}"#,
        r#"{"id":"c2","image":"p2.png","text":"the dog","label":"dog","split":"val","lang":"en"}"#,
        r#"{"id":"d","image":"p3.png","text":"ein Schiff","split":"val","lang":"de"}"#,
        r#"{"id":"e","image":"p4.png","text":"a ship","split":"val","lang":"en"}"#,
        r#"{"id":"f","text":"no image","split":"val","lang":"en"}"#,
        r#"{"id":"g","image":"p5.png","text":"a dog","split":"train","lang":"en"}"#,
        r#"{"id":"h","image":"p3.png","text":"a dog","split":"train","lang":"en"}"#,
    ];
    let path = dir.join("m.jsonl");
    fs::write(&path, lines.join("\n")).unwrap();
    Manifest::load(&path).unwrap()
}

fn protocol(more: &str) -> Captioning {
    let json = format!(r#"{{"name":"c","source":"m","split":"val","from":"image"{more}}}"#);
    serde_json::from_str(&json).unwrap()
}

fn task(m: &Manifest, model: &FusionModel, more: &str) -> CaptioningTask {
    protocol(more).task(m, model, &Reading::default()).unwrap()
}

#[test]
fn items_are_captioned_once_and_scored_against_all_that_is_true() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), model());
    let options = model.config().generation.clone();
    let task = task(&m, &model, r#","lang":["en"]"#);
    assert_eq!(task.len(), 4);
    let mut skipped = Vec::new();
    let (scores, captioned) = task.run(&model, &options, 2, &mut skipped).unwrap();
    assert_eq!(skipped.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["e"]);
    let found: Vec<(&str, Vec<&str>)> = captioned
        .iter()
        .map(|c| (c.id.as_str(), c.references.iter().map(String::as_str).collect()))
        .collect();
    let (cat, dog) = (vec!["a cat", "a small cat"], vec!["a dog", "the dog"]);
    assert_eq!(found, [("a", cat), ("c1", dog.clone()), ("c2", dog)]);
    assert_eq!(scores.items, 3);
    // Any number at a time is the same.
    for batch in [1, 3, 64] {
        let again = task.run(&model, &options, batch, &mut Vec::new()).unwrap();
        assert_eq!(again.1, captioned, "{batch}");
    }
    let outcome = scores.outcome();
    assert_eq!((outcome.value("cider_d"), outcome.items), (Some(scores.cider_d), 3));
}

#[test]
fn a_limit_takes_the_same_items_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), model());
    let ids = |more: &str| -> Vec<String> {
        let options = model.config().generation.clone();
        let made = task(&m, &model, more).run(&model, &options, 8, &mut Vec::new()).unwrap().1;
        made.into_iter().map(|c| c.id).collect()
    };
    let (two, three) = (ids(r#","limit":2"#), ids(r#","limit":3"#));
    assert_eq!(two, ids(r#","limit":2"#));
    assert!(two.len() <= 2 && two.iter().all(|id| three.contains(id)), "{two:?} {three:?}");
}

#[test]
fn baselines_know_the_other_split_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), model());
    let task = task(&m, &model, r#","lang":["en"]"#);
    let mut skipped = Vec::new();
    let found = task.baselines(&m, &model, 4, &mut skipped).unwrap();
    // Every known caption is "a dog": right for two of three.
    for scores in [found.frequent, found.nearest] {
        assert_eq!((scores.items, scores.exact), (3, 2.0 / 3.0));
    }
    assert_eq!(skipped.len(), 1);
}

#[test]
fn what_cannot_be_captioned_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), model());
    let said = |p: Captioning| p.task(&m, &model, &Reading::default()).unwrap_err().to_string();
    let text = Captioning { from: Modality::Text, ..protocol("") };
    assert!(said(text).contains("from = \"image\" or \"audio\", found text"));
    let none = Captioning { split: "test".into(), ..protocol("") };
    assert_eq!(said(none), "captions c: split \"test\" has no image with a caption");
    let none = Captioning { source: "m".into(), lang: vec!["fr".into()], ..protocol("") };
    assert!(said(none).contains("no image with a caption"));
}

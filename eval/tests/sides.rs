//! Sides are embedded as they are decoded: what a model gives them is what it gives them decoded whole.
#![allow(clippy::unwrap_used)]

#[path = "../../jobs/tests/support/mod.rs"]
mod tiny;

use std::fs;
use std::path::Path;
use unisono_datasets::{Manifest, Record, Source};
use unisono_encoders::{Input, Modality, Model, to_vec};
use unisono_eval::memo::Memo;
use unisono_eval::protocol::{Captions, Models, Protocol, Reading, gather};
use unisono_media::MediaLimits;
use unisono_processors::{Medium, Prepared};

const ITEMS: usize = 150;

/// More items than are decoded at once; every seventh image and audio is broken.
fn manifest(dir: &Path) -> Manifest {
    let mut lines = String::new();
    for i in 0..ITEMS {
        let (image, audio) = (dir.join(format!("{i}.png")), dir.join(format!("{i}.wav")));
        tiny::image(&image, i as u8);
        tiny::audio(&audio, (i * 7 % 23) as u32);
        if i % 7 == 3 {
            fs::write(&image, "no image").unwrap();
            fs::write(&audio, "no audio").unwrap();
        }
        let text = "bus ".repeat(i % 5) + &format!("number {i}");
        lines += &format!(
            "{{\"id\":\"{i}\",\"text\":\"{text}\",\"image\":\"{i}.png\",\"audio\":\"{i}.wav\",\"split\":\"test\"}}\n"
        );
    }
    let path = dir.join("m.jsonl");
    fs::write(&path, lines).unwrap();
    Manifest::load(&path).unwrap()
}

/// All of a modality decoded first, then embedded in order of length.
fn whole(model: &Model, records: &[&Record], modality: Modality, rows: usize) -> (Vec<String>, Vec<f32>) {
    let contract = model.contract();
    let medium = |r: &Record| match modality {
        Modality::Text => contract.prepare(Medium::Text(&r.text[0])),
        Modality::Image => contract.prepare(Medium::Image(r.image.as_ref().unwrap())),
        _ => contract.prepare(Medium::Audio(&r.audio[0])),
    };
    let kept: Vec<(String, Prepared)> =
        records.iter().filter_map(|r| Some((r.id.clone(), medium(r).ok()?))).collect();
    let length = |p: &Prepared| match p {
        Prepared::Text(ids) => ids.len(),
        Prepared::Audio(mel, _) => mel.len(),
        _ => 0,
    };
    let mut order: Vec<usize> = (0..kept.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(length(&kept[*i].1)));
    let mut vectors = vec![0f32; kept.len() * tiny::DIM];
    for chunk in order.chunks(rows) {
        let made = model.embed(chunk.iter().map(|i| Input::from(&kept[*i].1)), true).unwrap();
        for (row, at) in to_vec(&made).unwrap().chunks(tiny::DIM).zip(chunk) {
            vectors[at * tiny::DIM..(at + 1) * tiny::DIM].copy_from_slice(row);
        }
    }
    (kept.into_iter().map(|(id, _)| id).collect(), vectors)
}

#[test]
fn streamed_vectors_are_those_of_the_whole_to_the_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), tiny::model(7, &tiny::TOWERS));
    let records = m.split("test");
    for modality in tiny::TOWERS {
        let side = gather(&model, &records, modality, &[], Captions::First, &MediaLimits::default()).unwrap();
        assert_eq!(side.items.len(), ITEMS);
        for rows in [1, 32, 64, 1000] {
            let mut skipped = Vec::new();
            let found = side.embed(&model, rows, &mut skipped).unwrap();
            let (ids, vectors) = whole(&model, &records, modality, rows);
            assert_eq!(found.items.iter().map(|i| i.id.clone()).collect::<Vec<_>>(), ids, "{modality}");
            assert!(found.vectors == vectors, "{modality} {rows}");
            assert!(found.places.iter().zip(&found.items).all(|(at, i)| side.items[*at].id == i.id));
            let heard = modality == Modality::Audio;
            assert!(found.items.iter().all(|i| i.seconds.is_some_and(|s| s > 0.05) == heard), "{modality}");
            let broken: Vec<String> = (0..ITEMS).filter(|i| i % 7 == 3).map(|i| i.to_string()).collect();
            let named: Vec<String> = skipped.iter().map(|s| s.id.clone()).collect();
            assert_eq!(named, if modality == Modality::Text { Vec::new() } else { broken });
        }
    }
}

fn protocol(json: &str) -> Protocol {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_task_measures_again_and_again_and_says_what_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), tiny::model(7, &tiny::TOWERS));
    let models = Models { towers: &model, fusion: None };
    let text = r#"{"kind":"retrieval","name":"t","source":"m","split":"test","from":"text","to":"image"}"#;
    let task = protocol(text).task(&m, models, &Reading::default()).unwrap();
    assert_eq!((task.name(), task.to_string().as_str()), ("t", "150 text ask 150 image"));
    let mut skipped = Vec::new();
    let first = task.measure(models, &mut skipped).unwrap();
    assert_eq!(skipped.len(), 21);
    assert_eq!(first, task.measure(models, &mut Vec::new()).unwrap());
    // A broken image is in no gallery: its text has no right answer, and is not scored.
    assert_eq!((first.items, first.primary.as_str()), (129, "r5"));
    let [r1, r5, r10] = ["r1", "r5", "r10"].map(|m| first.value(m).unwrap());
    assert!(r1 <= r5 && r5 <= r10 && first.metrics["r10"].low.unwrap() <= r10);
    assert_eq!(first.value("cider_d"), None);
}

#[test]
fn what_is_remembered_is_neither_read_nor_embedded_again() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), tiny::model(7, &tiny::TOWERS));
    let (models, memo) = (Models { towers: &model, fusion: None }, Memo::default());
    let reading = Reading { memo: Some(&memo), ..Reading::default() };
    for (from, to) in [("audio", "text"), ("text", "image")] {
        let text = format!(
            r#"{{"kind":"retrieval","name":"t","source":"m","split":"test","from":"{from}","to":"{to}"}}"#
        );
        let plain = protocol(&text).task(&m, models, &Reading::default()).unwrap();
        let first = plain.measure(models, &mut Vec::new()).unwrap();
        let task = protocol(&text).task(&m, models, &reading).unwrap();
        assert_eq!(task.measure(models, &mut Vec::new()).unwrap(), first);
        for i in (0..ITEMS).filter(|i| i % 7 != 3) {
            for ending in ["png", "wav"] {
                // Nothing is left of it but its name and its time.
                let path = dir.path().join(format!("{i}.{ending}"));
                if task.to_string().contains(if ending == "png" { "image" } else { "audio" }) {
                    fs::write(&path, "gone").unwrap();
                }
            }
        }
        assert_eq!(task.measure(models, &mut Vec::new()).unwrap(), first, "{from} {to}");
    }
}

/// Of a model in training whose towers are frozen: the towers run once, and what changes is seen.
#[test]
fn towers_that_stand_still_run_once() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), tiny::model(7, &tiny::TOWERS));
    let (models, memo) = (Models { towers: &model, fusion: None }, Memo::of_towers([Modality::Image].into()));
    let reading = Reading { memo: Some(&memo), ..Reading::default() };
    let text = r#"{"kind":"retrieval","name":"t","source":"m","split":"test","from":"text","to":"image"}"#;
    let plain = protocol(text).task(&m, models, &Reading::default()).unwrap();
    let task = protocol(text).task(&m, models, &reading).unwrap();
    let first = plain.measure(models, &mut Vec::new()).unwrap();
    assert_eq!(task.measure(models, &mut Vec::new()).unwrap(), first);
    let weight = &model.params().get("image.projection.weight").unwrap().tensor;
    tch::no_grad(|| weight.shallow_clone().copy_(&weight.flip([0i64]).sin()));
    let second = plain.measure(models, &mut Vec::new()).unwrap();
    assert_ne!(second, first);
    for i in (0..ITEMS).filter(|i| i % 7 != 3) {
        fs::write(dir.path().join(format!("{i}.png")), "gone").unwrap();
    }
    assert_eq!(task.measure(models, &mut Vec::new()).unwrap(), second);
}

#[test]
fn what_cannot_be_measured_is_known_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (m, model) = (manifest(dir.path()), tiny::model(7, &tiny::TOWERS));
    let models = Models { towers: &model, fusion: None };
    let said = |m: &Manifest, json: &str| {
        protocol(json).task(m, models, &Reading::default()).unwrap_err().to_string()
    };
    let caption = r#"{"kind":"captioning","name":"c","source":"m","split":"test","from":"image"}"#;
    assert!(said(&m, caption).contains("towers write no captions"));
    // A folder that is not where it was: every file is missing.
    let mut gone = m.clone();
    gone.records.iter_mut().for_each(|r| r.image = Some("nowhere/p.png".into()));
    let text = r#"{"kind":"retrieval","name":"t","source":"m","split":"test","from":"text","to":"image"}"#;
    let line = said(&gone, text);
    assert!(line.contains("no image in split") && line.contains("nowhere/p.png"), "{line}");
    assert_eq!(Source::path(&gone), m.path);
}

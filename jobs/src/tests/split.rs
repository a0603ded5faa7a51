//! Small sources, split.

use super::*;
use std::collections::{BTreeMap, BTreeSet};
use unisono_datasets::{Manifest, SourceConfig, open};

fn record(id: usize, change: impl Fn(&mut Record)) -> Record {
    let mut record = Record { id: format!("r{id}"), text: vec![format!("words {id}")], ..Record::default() };
    change(&mut record);
    record
}

fn options(parts: &str) -> SplitOptions {
    let parts = parts.parse().unwrap();
    SplitOptions { parts, seed: 1, whole_labels: false, stratify: None, copies: None, workers: 2 }
}

/// What was written, by id.
fn made(
    source: &dyn Source,
    options: &SplitOptions,
) -> (Divided, BTreeMap<String, (String, Option<String>)>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("s.jsonl");
    let made = split(source, options, &out, &mut |_| Flow::Continue).unwrap();
    let mut found = BTreeMap::new();
    for line in std::fs::read_to_string(&out).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let word = |key: &str| line[key].as_str().map(str::to_owned);
        found.insert(word("id").unwrap(), (word("split").unwrap(), word("group")));
    }
    (made, found)
}

#[test]
fn what_belongs_together_stays_together() {
    let records: Vec<Record> = (0..200)
        .map(|i| {
            record(i, |r| {
                r.group = (i % 3 == 0).then(|| format!("g{}", i % 30));
                r.image = (i % 3 == 1).then(|| format!("{}.png", i % 40).into());
                r.label = Some(format!("l{}", i % 50));
            })
        })
        .collect();
    let source = Manifest { path: "m.jsonl".into(), records };
    for (whole_labels, parts) in [(false, "train=0.8,val=0.1,test=0.1"), (true, "train=0.5,test=0.5")] {
        let (divided, found) = made(&source, &SplitOptions { whole_labels, ..options(parts) });
        assert_eq!(found.len(), 200);
        let mut of: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for record in &source.records {
            let split = found[&record.id].0.as_str();
            let mut add = |key: Option<String>| {
                key.map(|key| of.entry(key).or_default().insert(split));
            };
            add(record.group.clone());
            add(record.image.as_ref().map(|blob| blob.name().display().to_string()));
            add(record.label.clone().filter(|_| whole_labels));
        }
        assert!(of.values().all(|splits| splits.len() == 1), "{of:?}");
        for part in &divided.parts {
            let count = found.values().filter(|(split, _)| *split == part.name).count();
            assert_eq!(count, part.records);
            assert!((count as f64 / 200.0 - part.share).abs() < 0.1, "{divided:?}");
        }
        assert!(divided.together > 0 && divided.copies.is_none());
        // What was written says it to a source.
        assert!(found.values().all(|(_, group)| group.is_none()));
    }
}

#[test]
fn the_order_of_records_is_of_no_account_and_the_seed_is() {
    let mut source = Manifest {
        path: "m.jsonl".into(),
        records: (0..60).map(|i| record(i, |r| r.group = Some(format!("g{}", i / 2)))).collect(),
    };
    let (_, before) = made(&source, &options("a=0.7,b=0.3"));
    source.records.reverse();
    assert_eq!(made(&source, &options("a=0.7,b=0.3")).1, before);
    assert_ne!(made(&source, &SplitOptions { seed: 2, ..options("a=0.7,b=0.3") }).1, before);
}

#[test]
fn each_split_has_its_share_of_each_language() {
    let records =
        (0..300).map(|i| record(i, |r| r.lang = Some(if i < 30 { "eo" } else { "en" }.into()))).collect();
    let source = Manifest { path: "m.jsonl".into(), records };
    let stratify = Some(Stratum::Lang);
    let (_, found) = made(&source, &SplitOptions { stratify, ..options("train=0.8,val=0.2") });
    let rare = (0..30).filter(|i| found[&format!("r{i}")].0 == "val").count();
    assert_eq!(rare, 6);
}

#[test]
fn copies_are_found_and_named_as_groups() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let image = |seed: u32| {
        image::RgbImage::from_fn(60, 48, |x, y| {
            let wave = |k: u32| ((x * (k + seed) + y * (3 + k * seed)) as f32 / 25.0).sin() * 100.0 + 128.0;
            image::Rgb([wave(1) as u8, wave(2) as u8, wave(5) as u8])
        })
    };
    for i in 0..6 {
        image(i).save(at(&format!("{i}.png"))).unwrap();
    }
    image::imageops::flip_horizontal(&image(2)).save(at("turned.png")).unwrap();
    std::fs::copy(at("3.png"), at("copied.png")).unwrap();
    std::fs::write(at("broken.png"), "no image").unwrap();
    let line = |(i, name): (usize, &&str)| {
        let group = if *name == "turned.png" { ",\"group\":\"own\"" } else { "" };
        format!("{{\"id\":\"{i}\",\"image\":\"{name}\"{group}}}\n")
    };
    let names = [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
        "4.png",
        "5.png",
        "turned.png",
        "copied.png",
        "broken.png",
        "3.png",
    ];
    std::fs::write(at("m.jsonl"), names.iter().enumerate().map(line).collect::<String>()).unwrap();
    let source = open(&SourceConfig::new(at("m.jsonl"))).unwrap();
    let (divided, found) =
        made(&*source, &SplitOptions { copies: Some(CheckOptions::default()), ..options("a=0.5,b=0.5") });
    assert_eq!((divided.copies, divided.together, divided.together_records), (Some(3), 2, 5));
    let of = |id: &str| &found[id];
    assert_eq!(of("2"), of("6"));
    assert_eq!((of("3"), of("3")), (of("7"), of("9")));
    assert_eq!(
        (of("2").1.as_deref(), of("3").1.as_deref(), of("0").1.as_deref()),
        (Some("2"), Some("3"), None)
    );
}

#[test]
fn a_split_without_records_is_refused_and_broken_ones_are_left_out() {
    let source = Manifest { path: "m.jsonl".into(), records: (0..4).map(|i| record(i, |_| ())).collect() };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("s.jsonl");
    let said =
        split(&source, &options("a=0.99,b=0.01"), &out, &mut |_| Flow::Continue).unwrap_err().to_string();
    assert!(said.contains("b would have no record: there are 4 that stay together, of 4 records"), "{said}");
    let stopped = split(&source, &options("a=1"), &out, &mut |_| Flow::Stop).unwrap_err();
    assert!(matches!(stopped, Error::Interrupted) && !out.exists());
    std::fs::write(dir.path().join("t.csv"), "id,text,image\na,one,\nb,,https://x.org/y.png\nc,two,\n")
        .unwrap();
    let table = open(&SourceConfig::new(dir.path().join("t.csv"))).unwrap();
    let (divided, found) = made(&*table, &options("a=0.5,b=0.5"));
    assert_eq!((divided.records, divided.skipped.len(), found.len()), (2, 1, 2));
}

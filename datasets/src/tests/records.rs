//! Records of any content through a manifest and back, and records of parts of files.

use super::*;
use crate::cache::MediaCache;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use unisono_media::video::{Ratio, Span, Time};

fn words() -> impl Strategy<Value = String> {
    // What is only white space is no text; an id and a path may be anything but empty.
    "(?s)[a-zé\u{1f68c}\"\\\\ \n\t\u{2028}]{0,12}[a-z!]"
}

fn file() -> impl Strategy<Value = Blob> {
    ("[a-zé _.]{0,8}[a-z]", any::<bool>()).prop_map(|(name, far)| match far {
        true => Blob::file(format!("/far/away/{name}")),
        false => Blob::file(Path::new("/folder").join(name)),
    })
}

fn moment() -> impl Strategy<Value = Time> {
    (0i64..5000, 1u32..2000).prop_map(|(pts, den)| Time { pts, base: Ratio { num: 1, den } })
}

fn record() -> impl Strategy<Value = Record> {
    let some = || prop::option::of(words());
    let span = prop::option::of((moment(), moment())).prop_map(|both| match both {
        Some((a, b)) if a < b => Span { start: Some(a), end: Some(b) },
        Some((a, _)) => Span { start: Some(a), end: None },
        None => Span::WHOLE,
    });
    let files =
        (prop::option::of(file()), prop::collection::vec(file(), 0..4), prop::option::of(file()), span);
    let texts = prop::collection::vec(words(), 1..4);
    let extra = prop::option::of(words()).prop_map(|note| {
        note.map(|note| Map::from_iter([("note".to_owned(), json!([note, 1.5, null]))])).unwrap_or_default()
    });
    (texts, files, some(), some(), some(), some(), extra).prop_map(
        |(text, (image, audio, video, span), label, group, split, lang, extra)| Record {
            id: String::new(),
            text,
            image,
            audio,
            span: if video.is_some() { span } else { Span::WHOLE },
            video,
            label,
            group,
            split,
            lang,
            extra,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_read(mut records in prop::collection::vec(record(), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        for (i, record) in records.iter_mut().enumerate() {
            record.id = format!("{i} \u{1f68c}\"");
        }
        Manifest::write(&path, &records).unwrap();
        let read = Manifest::load(&path).unwrap();
        prop_assert_eq!(&read.records, &records);
        prop_assert_eq!(read.sum().unwrap(), Manifest { path: path.clone(), records: records.clone() }.sum().unwrap());
        // Lines are JSON of their own, whose files within the folder go with it.
        let text = std::fs::read_to_string(&path).unwrap();
        prop_assert_eq!(text.lines().count(), records.len());
        for (line, record) in text.lines().zip(&records) {
            let value: Value = serde_json::from_str(line).unwrap();
            prop_assert_eq!(value["id"].as_str(), Some(record.id.as_str()));
            prop_assert_eq!(value["image"].as_str(), record.image.as_ref().and_then(|b| b.name().to_str()));
        }
        // Each change of a record changes the sum.
        let before = read.sum().unwrap();
        for i in 0..records.len() {
            let mut other = records.clone();
            other[i].text.push("more".into());
            prop_assert_ne!(Manifest { path: path.clone(), records: other }.sum().unwrap(), before.clone());
        }
    }
}

fn of(image: Blob) -> Record {
    Record { id: "a".into(), image: Some(image), ..Record::default() }
}

#[test]
fn a_part_of_a_file_is_no_line_of_a_manifest() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    for blob in [Blob::part("/data/s.tar", 512, 9, "a.png"), Blob::bytes("memory/a.png", *b"bytes")] {
        let name = blob.name().display().to_string();
        let said = Manifest::write(&path, &[of(blob)]).unwrap_err().to_string();
        assert!(said.contains(&format!("{name} is no file of its own")), "{said}");
        assert!(!path.exists());
    }
}

#[test]
fn sums_and_memories_tell_parts_apart() {
    let part = |offset, length| Blob::part("/data/s.tar", offset, length, "a.png");
    let blobs = [
        Blob::file("/data/s.tar/a.png"),
        part(0, 5),
        part(5, 5),
        part(0, 6),
        Blob::bytes("/data/s.tar/a.png", *b"a"),
        Blob::bytes("/data/s.tar/a.png", *b"b"),
    ];
    let sum = |blob: &Blob| Manifest { path: "m".into(), records: vec![of(blob.clone())] }.sum().unwrap();
    let mut sums: Vec<String> = blobs.iter().map(sum).collect();
    assert_eq!(sums[0], sum(&Blob::file("/data/s.tar/a.png")));
    sums.sort();
    sums.dedup();
    assert_eq!(sums.len(), blobs.len());
    let cache = MediaCache::new(100);
    for (i, blob) in blobs.iter().enumerate() {
        let made = cache.get_or_try_insert(blob.identity(), |_| 1, || Ok::<_, ()>(i)).unwrap();
        assert_eq!(*made, i);
    }
    assert_eq!(cache.len(), blobs.len());
    // Known by what they are, not by which value says it.
    let again = cache.get_or_try_insert(part(5, 5).identity(), |_| 1, || Err::<usize, _>("made again"));
    assert_eq!(*again.unwrap(), 2);
}

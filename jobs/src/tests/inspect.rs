//! Small manifests, counted.

use super::*;
use crate::LangDetector;
use std::borrow::Cow;
use std::fs;
use std::path::Path;
use unisono_datasets::{Key, Manifest, Record};

fn two() -> InspectOptions {
    InspectOptions { workers: 2, detector: None }
}

fn look(source: &dyn Source) -> Inspection {
    inspect(source, &two(), &mut |_| Flow::Continue).unwrap()
}

#[test]
fn counts_and_problems() {
    let dir = tempfile::tempdir().unwrap();
    image::RgbImage::new(30, 20).save(dir.path().join("ok.png")).unwrap();
    fs::copy(dir.path().join("ok.png"), dir.path().join("photo.jpg")).unwrap();
    fs::write(dir.path().join("empty.wav"), "").unwrap();
    let path = dir.path().join("m.jsonl");
    let lines = [
        r#"{"id":"1","text":["a b","b"],"image":"ok.png","label":"x","split":"train","lang":"en","group":"g"}"#,
        r#"{"id":"2","image":"ok.png","label":"x","split":"train","group":"g"}"#,
        r#"{"id":"3","image":"photo.jpg","label":"y","split":"test","group":"g"}"#,
        r#"{"id":"4","audio":["empty.wav","gone.wav"]}"#,
    ];
    fs::write(&path, lines.join("\n")).unwrap();
    let manifest = Manifest::load(&path).unwrap();
    let found = look(&manifest);
    assert_eq!(found.total, Counts { records: 4, labels: 3, text: 2, image: 2, audio: 2, video: 0 });
    assert_eq!(
        found.splits["train"],
        Counts { records: 2, labels: 1, text: 2, image: 1, ..Counts::default() }
    );
    assert_eq!(found.splits[""].audio, 2);
    assert_eq!((found.languages["en"], found.languages[""]), (1, 3));
    assert_eq!(
        (found.modalities["text + image"], found.modalities["image"], found.modalities["audio"]),
        (1, 2, 1)
    );
    assert_eq!((found.labels.records, found.labels.distinct), (3, 2));
    assert_eq!(found.labels.most_frequent, [("x".to_owned(), 2), ("y".to_owned(), 1)]);
    assert_eq!((found.captions.words.min, found.captions.words.max), (1.0, 2.0));
    assert_eq!((found.captions.per_record.count, found.captions.per_record.max), (4, 2.0));
    assert_eq!((found.images.width.count, found.images.width.max, found.images.height.min), (2, 30.0, 20.0));
    assert_eq!(found.crossing_groups, [("g".to_owned(), "train".to_owned(), "test".to_owned())]);
    let names: Vec<&str> = found.problems.iter().map(|p| p.id.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["empty.wav", "gone.wav"]);
    assert_eq!((found.misnamed.len(), found.misnamed[0].content), (1, "a PNG image"));
    let stopped = inspect(&manifest, &two(), &mut |_| Flow::Stop);
    assert!(matches!(stopped, Err(Error::Interrupted)));
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x20";

/// A source that is nowhere; every hundredth record cannot be read.
#[derive(Debug)]
struct Made(usize);

impl Source for Made {
    fn path(&self) -> &Path {
        Path::new("made")
    }

    fn len(&self) -> usize {
        self.0
    }

    fn record(&self, index: usize) -> unisono_datasets::Result<Cow<'_, Record>> {
        if index % 100 == 99 {
            return Err(unisono_datasets::Error::Options(format!("made: nothing at {index}")));
        }
        let text = vec!["word ".repeat(index % 7 + 1)];
        Ok(Cow::Owned(Record {
            id: index.to_string(),
            text,
            image: Some(unisono_media::Blob::bytes(
                format!("{index}.png"),
                [PNG, &index.to_le_bytes()].concat(),
            )),
            ..Record::default()
        }))
    }

    fn key(&self, _: usize) -> Key<'_> {
        Key::default()
    }

    fn sum(&self) -> unisono_datasets::Result<String> {
        Ok(String::new())
    }
}

#[test]
fn of_many_records_some_are_measured_and_all_are_counted() {
    let found = look(&Made(30_000));
    assert_eq!((found.total.records, found.problem_count, found.measured_every), (29_700, 300, 3));
    assert!((8_000..12_000).contains(&found.measured_files), "{}", found.measured_files);
    assert_eq!((found.images.width.max, found.images.height.max), (16.0, 32.0));
    assert_eq!((found.captions.words.max, found.captions.words.median), (7.0, 4.0));
    assert!(found.problems[0].reason.contains("nothing at 99"));
}

#[test]
fn languages_that_are_not_named_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    let lines = [
        r#"{"id":"1","text":"Ein Mann fährt mit dem Fahrrad die Straße hinunter."}"#,
        r#"{"id":"2","text":"taxi"}"#,
        r#"{"id":"3","text":"taxi","lang":"fr"}"#,
        r#"{"id":"4","image":"gone.png","label":"no words"}"#,
        r#"{"id":"5","text":"男性が自転車で通りを走っています。"}"#,
    ];
    fs::write(&path, lines.join("\n")).unwrap();
    let manifest = Manifest::load(&path).unwrap();
    assert_eq!(look(&manifest).languages_detected, None);
    let options = InspectOptions { detector: Some(LangDetector::default()), ..two() };
    let found = inspect(&manifest, &options, &mut |_| Flow::Continue).unwrap();
    let of = |tag: &str, n| (tag.to_owned(), n);
    assert_eq!(found.languages_detected, Some([of("", 1), of("de", 1), of("ja", 1)].into()));
    assert_eq!((found.languages["fr"], found.languages[""]), (1, 4));
}

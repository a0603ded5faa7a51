use super::*;
use crate::open::{Columns, Names};
use crate::{Record, SourceKind, open};
use std::fs;
use std::path::PathBuf;

fn laid(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

fn read(dir: &tempfile::TempDir) -> (Arc<dyn Source>, Vec<Record>) {
    let source = open(&SourceConfig::new(dir.path())).unwrap();
    let all: Vec<Record> = (0..source.len()).map(|i| source.record(i).unwrap().into_owned()).collect();
    for (i, record) in all.iter().enumerate() {
        assert_eq!(source.key(i), record.part_key(), "{record:?}");
    }
    assert_eq!(source.key(all.len()), Default::default());
    assert!(source.record(all.len()).is_err());
    (source, all)
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|r| r.id.as_str()).collect()
}

#[test]
fn captions_beside_the_media() {
    let dir = laid(&[
        ("b.jpg", ""),
        ("b.txt", "\u{feff}one\r\n\r\n two \n"),
        (
            "b.json",
            r#"{"caption": "one", "label": "x", "split": "odd", "url": "https://a.example/b.jpg", "key": "b"}"#,
        ),
        ("a/c.wav", ""),
        ("a/c.json", r#"{"text": ["three"], "image": "https://a.example"}"#),
        ("a/d.mp4", ""),
        ("a/d.json", r#"{"seconds": 3}"#),
        ("e.jpg", ""),
        ("e.png", ""),
        ("e.m.jpg", ""),
        ("e.txt", "four"),
        ("README.txt", "no medium"),
        (".hidden.jpg", ""),
    ]);
    let (source, all) = read(&dir);
    assert_eq!(ids(&all), ["a/c.wav", "a/d.mp4", "b.jpg", "e.jpg", "e.m.jpg", "e.png"]);
    assert_eq!(
        (&all[0].text[..], all[0].extra["image"].as_str()),
        (&["three".to_owned()][..], Some("https://a.example"))
    );
    assert_eq!((all[1].text.len(), all[1].video.clone()), (0, Some(dir.path().join("a/d.mp4").into())));
    assert_eq!(
        (&all[2].text[..], all[2].label.as_deref()),
        (&["one".to_owned(), "two".to_owned()][..], Some("x"))
    );
    assert_eq!((all[2].split.as_deref(), all[2].extra["split"].as_str()), (None, Some("odd")));
    // Folders with captions are shards, and no classes.
    assert!(all.iter().all(|r| r.label.is_none() || r.id == "b.jpg"));
    assert_eq!((&all[3].text[..], all[5].text.len()), (&["four".to_owned()][..], 0));
    let before = source.sum().unwrap();
    fs::write(dir.path().join("e.txt"), "longer").unwrap();
    assert_ne!(source.sum().unwrap(), before);
    for (name, content, part) in [
        ("b.txt", "\n", "b.txt: expected captions, one a line, found none"),
        ("b.json", "{", "b.json: a record stands on one line"),
        ("b.json", "[]", "b.json: a record must be a JSON object"),
    ] {
        fs::write(dir.path().join(name), content).unwrap();
        let said = source.record(2).unwrap_err().to_string();
        assert!(said.contains(part) && said.lines().count() == 1, "{said}");
        fs::write(dir.path().join("b.txt"), "x").unwrap();
    }
}

#[test]
fn classes_and_splits_are_folders() {
    let dir = laid(&[
        ("train/cat/1.jpg", ""),
        ("train/dog/big/2.jpg", ""),
        ("train/dog/1.JPEG", ""),
        ("test/cat/1.jpg", ""),
        ("test/9.jpg", ""),
        ("labels.txt", "no caption of a medium"),
    ]);
    let (source, all) = read(&dir);
    assert_eq!(
        ids(&all),
        ["test/9.jpg", "test/cat/1.jpg", "train/cat/1.jpg", "train/dog/1.JPEG", "train/dog/big/2.jpg"]
    );
    let labels: Vec<Option<&str>> = all.iter().map(|r| r.label.as_deref()).collect();
    assert_eq!(labels, [None, Some("cat"), Some("cat"), Some("dog"), Some("dog/big")]);
    assert_eq!(source.splits(), [("test".to_owned(), 2), ("train".to_owned(), 3)].into());
    // One folder is no class.
    let (_, all) = read(&laid(&[("images/a.png", ""), ("images/b.png", "")]));
    assert!(all.iter().all(|r| r.label.is_none() && r.split.is_none()));
}

#[test]
fn tables_of_files_as_hugging_face_has_them() {
    let dir = laid(&[
        (
            "train/metadata.jsonl",
            "{\"file_name\": \"a.png\", \"text\": \"one\"}\n{\"file_name\": \"sub/b.png\", \"text\": [\"x\", \"y\"], \"n\": 1}\n",
        ),
        ("train/a.png", ""),
        ("test/metadata.csv", "file_name,transcription\nc.wav,three\n"),
        ("test/not-listed.png", ""),
    ]);
    let (source, all) = read(&dir);
    assert_eq!(ids(&all), ["test/c.wav", "train/a.png", "train/sub/b.png"]);
    assert_eq!(
        (all[0].text[0].as_str(), &all[0].audio[..]),
        ("three", &[dir.path().join("test/c.wav").into()][..])
    );
    assert_eq!(all[2].image, Some(dir.path().join("train/sub/b.png").into()));
    assert_eq!((all[2].text.len(), &all[2].extra["n"]), (2, &1.into()));
    assert_eq!(source.splits(), [("test".to_owned(), 1), ("train".to_owned(), 2)].into());
    assert_eq!(source.sum().unwrap().len(), 64);
    // One for all: the files' own folders say the split; columns may be named.
    let dir = laid(&[("metadata.csv", "file_name,words\ntrain/a.png,one\nval/b.png,two\n")]);
    let columns = Columns { text: Names(vec!["words".into()]), ..Columns::default() };
    let source = open(&SourceConfig { columns, ..SourceConfig::new(dir.path()) }).unwrap();
    assert_eq!((source.key(1).split, source.record(1).unwrap().text[0].as_str()), (Some("val"), "two"));
    for (files, part) in [
        (&[("metadata.jsonl", "{\"text\": \"x\"}")][..], "metadata.jsonl:1: expected the key \"file_name\""),
        (
            &[("metadata.csv", "file_name,text\na.png,x\na.png,y\n")],
            "metadata.csv:3: id \"a.png\" was already used on line 2",
        ),
        (
            &[("metadata.parquet", "PAR1")],
            "expected metadata.csv or metadata.jsonl beside the media, found parquet",
        ),
        (&[("a.doc", "")], "expected a folder with images, audio files or videos, found \"a.doc\""),
        (&[], "found nothing"),
    ] {
        let dir = laid(files);
        let kind = Some(SourceKind::Folder);
        let said = open(&SourceConfig { kind, ..SourceConfig::new(dir.path()) }).unwrap_err().to_string();
        assert!(said.contains(part) && said.lines().count() == 1, "{said}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_lead_in_no_circles() {
    use std::os::unix::ffi::OsStrExt;
    let dir = laid(&[("a/1.jpg", ""), ("b/2.jpg", "")]);
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
    link("..", "a/up");
    link("../b", "a/other");
    link("/nonexistent/x.jpg", "gone.jpg");
    let (_, all) = read(&dir);
    assert_eq!(ids(&all), ["a/1.jpg", "a/other/2.jpg", "gone.jpg"]);
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff.jpg")), "").unwrap();
    let said = open(&SourceConfig::new(dir.path())).unwrap_err().to_string();
    assert!(said.contains("expected a name in UTF-8"), "{said}");
    assert!(list(&PathBuf::from("/nonexistent/folder")).is_err());
}

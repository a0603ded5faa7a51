use super::*;
use crate::{Error, Manifest, Part, Record, SourceConfig, open};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_media::Blob;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/shards").join(name)
}

pub(super) fn options(out: &Path) -> PackOptions {
    PackOptions {
        out: out.to_owned(),
        format: Format::Tar,
        shard_size: 500_000_000,
        max_skip: 0,
        fresh: false,
    }
}

pub(super) fn part(path: &Path) -> Part {
    Part::all(open(&SourceConfig::new(path)).unwrap())
}

pub(super) fn whole(source: &Part, options: &PackOptions) -> crate::Result<Packed> {
    pack(source, options, &mut |_| ControlFlow::Continue(())).map(Option::unwrap)
}

/// A manifest of texts in a folder.
pub(super) fn texts(dir: &Path, texts: &[&str]) -> Part {
    let lines: String = texts.iter().map(|t| format!("{}\n", json!({"id": t, "text": t}))).collect();
    let path = dir.join("m.jsonl");
    fs::write(&path, lines).unwrap();
    part(&path)
}

pub(super) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a record says, and the bytes of its media.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    record: Record,
    media: Vec<Vec<u8>>,
}

fn said(record: &Record) -> Said {
    let mut media = Vec::new();
    let mut read = |blob: &Blob| {
        let mut bytes = Vec::new();
        crate::reopened(blob).unwrap().open().unwrap().read_to_end(&mut bytes).unwrap();
        media.push(bytes);
        // Every place is another one.
        Blob::from("")
    };
    let mut record = record.clone();
    record.image = record.image.as_ref().map(&mut read);
    record.audio = record.audio.iter().map(&mut read).collect();
    record.video = record.video.as_ref().map(&mut read);
    for value in record.extra.values_mut() {
        if let Ok(blob) = serde_json::from_value::<Blob>(value.clone())
            && value.is_object()
        {
            read(&blob);
            *value = Value::Null;
        }
    }
    Said { record, media }
}

pub(super) fn all(source: &Part) -> Vec<Said> {
    source.records().map(|record| said(&record.unwrap())).collect()
}

/// The bytes that Python's `webdataset` was seen to read; `fixtures/shards.py` says what it reads from them.
#[test]
fn the_golden_shard_is_written_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let source = part(&fixture("manifest.jsonl"));
    let packed = whole(&source, &options(&out)).unwrap();
    let written = fs::read(out.join("shard-00000.tar")).unwrap();
    if std::env::var_os("UNISONO_WRITE_FIXTURES").is_some() {
        fs::write(fixture("packed.tar"), &written).unwrap();
    }
    assert!(written == fs::read(fixture("packed.tar")).unwrap());
    assert_eq!((packed.records, packed.bytes, packed.shards.len()), (4, written.len() as u64, 1));
    assert_eq!(names(&out), ["index.json", "shard-00000.tar"]);
    assert_eq!(all(&part(&out)), all(&source));
    let record = part(&out).record(3).unwrap().into_owned();
    assert_eq!((record.id.as_str(), record.audio.len()), ("../up", 2));
    // A single shard in another folder is anybody's: what is guessed, is.
    fs::copy(out.join("shard-00000.tar"), dir.path().join("alone.tar")).unwrap();
    let alone = part(&dir.path().join("alone.tar"));
    assert_eq!(alone.record(0).unwrap().id, "cat");
    assert_eq!(alone.record(2).unwrap().text.len(), 2);
}

#[test]
fn shards_end_before_they_are_too_large() {
    let dir = tempfile::tempdir().unwrap();
    let source = texts(dir.path(), &["a", "b", "c", "d", "e"]);
    let out = dir.path().join("out");
    let small = PackOptions { shard_size: 1024 + 2 * 1024 + 600, ..options(&out) };
    let packed = whole(&source, &small).unwrap();
    let records: Vec<u64> = packed.shards.iter().map(|s| s.records).collect();
    assert_eq!(records, [2, 2, 1]);
    let listing = Listing::of(&out).unwrap().unwrap();
    assert_eq!((listing.records, listing.shards), (5, packed.shards.clone()));
    assert!(packed.shards.iter().all(|shard| shard.is_whole(&out)));
    assert_eq!(all(&part(&out)), all(&source));
    // One record is never too large for a shard of its own.
    let each = whole(&source, &PackOptions { shard_size: 1, ..options(&dir.path().join("each")) }).unwrap();
    assert_eq!(each.shards.len(), 5);
}

#[test]
fn what_was_finished_before_an_end_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let source = texts(dir.path(), &["a", "b", "c", "d", "e", "f", "g"]);
    let small = |name: &str| PackOptions { shard_size: 3600, ..options(&dir.path().join(name)) };
    let expected = whole(&source, &small("whole")).unwrap();
    let bytes = |name: &str, shard: usize| {
        fs::read(dir.path().join(name).join(format!("shard-{shard:05}.tar"))).unwrap()
    };
    // Stopped before each record; then to the end.
    for stop in 0..7 {
        let name = format!("cut{stop}");
        let stopped = pack(&source, &small(&name), &mut |p| match p.records == stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        assert_eq!(stopped.unwrap(), None);
        assert!(!dir.path().join(&name).join(LISTING).exists());
        let packed = whole(&source, &small(&name)).unwrap();
        // A shard is whole when the record after it was looked at.
        assert_eq!((packed.kept as u64, &packed.shards), (stop.saturating_sub(1) / 2, &expected.shards));
        assert_eq!(names(&dir.path().join(&name)), names(&dir.path().join("whole")));
        assert_eq!(
            fs::read(dir.path().join(&name).join(LISTING)).unwrap(),
            fs::read(dir.path().join("whole").join(LISTING)).unwrap()
        );
        (0..4).for_each(|shard| assert!(bytes(&name, shard) == bytes("whole", shard)));
    }
    // A finished shard that was changed meanwhile is written again, and what came after it.
    let out = dir.path().join("changed");
    let stop =
        |p: PackProgress| if p.records == 6 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    assert_eq!(pack(&source, &small("changed"), &mut { stop }).unwrap(), None);
    fs::write(out.join("shard-00001.tar"), "changed").unwrap();
    fs::write(out.join(".unisono-left.tmp"), "of a killed process").unwrap();
    let packed = whole(&source, &small("changed")).unwrap();
    assert_eq!((packed.kept, packed.shards), (1, expected.shards));
    assert!(!out.join(".unisono-left.tmp").exists());
}

#[test]
fn what_is_there_is_kept_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = texts(dir.path(), &["a", "b"]);
    let out = dir.path().join("out");
    let first = whole(&source, &options(&out)).unwrap();
    let again = whole(&source, &options(&out)).unwrap();
    assert_eq!((again.kept, &again.shards), (1, &first.shards));
    let refused = |source: &Part, options: &PackOptions| whole(source, options).unwrap_err().to_string();
    // Indices beside the shards are ours, too.
    part(&out);
    assert!(names(&out).iter().any(|name| name.ends_with(".index")));
    let other = texts(dir.path(), &["c"]);
    assert!(refused(&other, &options(&out)).contains("holds another source's shards"));
    assert!(
        refused(&source, &PackOptions { shard_size: 5, ..options(&out) })
            .contains("of another size or format")
    );
    fs::write(out.join("shard-00000.tar"), "changed").unwrap();
    assert!(refused(&source, &options(&out)).contains("is not what was packed: give --fresh"));
    let fresh = PackOptions { fresh: true, ..options(&out) };
    assert_eq!(whole(&other, &fresh).unwrap().records, 1);
    fs::write(out.join("thesis.odt"), "").unwrap();
    assert!(refused(&other, &fresh).contains("holds thesis.odt"));
    fs::remove_file(out.join("thesis.odt")).unwrap();
    fs::write(out.join(LISTING), "{\"a stranger's\": true}").unwrap();
    for options in [&fresh, &options(&out)] {
        assert!(refused(&other, options).contains("index.json: is not of this program's making"));
    }
    fs::remove_file(out.join(LISTING)).unwrap();
    assert!(refused(&other, &options(&out)).contains("holds shard-00000.tar"));
    assert!(refused(&other, &PackOptions { shard_size: 0, ..options(&out) }).contains("above 0"));
}

#[test]
fn records_that_cannot_be_packed_are_named_and_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    let line = |id: &str, image: &str| format!("{}\n", json!({"id": id, "image": image}));
    fs::write(dir.path().join("there.png"), "bytes").unwrap();
    fs::write(
        &path,
        [line("a", "none.png"), line("b", "there.png"), line("c", "gone.png"), line("d", "gone.png")]
            .concat(),
    )
    .unwrap();
    let (source, out) = (part(&path), dir.path().join("out"));
    let said = whole(&source, &PackOptions { max_skip: 2, ..options(&out) }).unwrap_err();
    assert!(matches!(&said, Error::TooManySkipped { count: 3, max: 2, id, .. } if id == "d"), "{said}");
    assert!(!out.exists(), "nothing was written");
    let packed = whole(&source, &PackOptions { max_skip: 3, ..options(&out) }).unwrap();
    let ids: Vec<&str> = packed.skipped.iter().map(|s| s.id.as_str()).collect();
    assert_eq!((ids, packed.records), (vec!["a", "c", "d"], 1));
    assert!(packed.skipped[0].reason.contains("none.png"));
    assert_eq!(Listing::of(&out).unwrap().unwrap().skipped, 3);
    fs::write(&path, line("a", "none.png")).unwrap();
    let none =
        whole(&part(&path), &PackOptions { max_skip: 9, ..options(&dir.path().join("none")) }).unwrap_err();
    assert!(none.to_string().contains("no record could be packed; the last is a: "), "{none}");
}

#[test]
fn lists_of_strangers_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let write = |text: &str| fs::write(dir.path().join(LISTING), text).unwrap();
    let shard = |name: &str| json!([{"name": name, "records": 1, "bytes": 1, "sha256": ""}]);
    let list = |version: u64, shards: Value| {
        json!({"unisono": "pack", "format_version": version, "format": "tar", "work": "", "records": 1, "skipped": 0, "shards": shards}).to_string()
    };
    let of = || Listing::of(dir.path()).map_err(|e| e.to_string());
    for name in ["../x.tar", "/x.tar", "", ".x.tar"] {
        write(&list(1, shard(name)));
        assert!(of().unwrap_err().contains("expected names of files beside it"), "{name}");
    }
    write(&list(2, json!([])));
    assert!(of().unwrap_err().contains("expected format_version 1, found 2"));
    write(&list(1, json!(3)));
    assert!(of().is_err());
    for foreign in ["[]", "{}", "{\"unisono\": \"index\"}"] {
        write(foreign);
        assert_eq!(of(), Ok(None));
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,4}", "[ -~é\u{feff}\n]{1,9}", Just("a.b".to_owned()), Just(" ".to_owned())]
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![
        "[a-z]{1,3}",
        Just("caption".to_owned()),
        Just("id".to_owned()),
        Just("__extra__".to_owned()),
        Just("start".to_owned())
    ];
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        word().prop_map(Value::from),
        Just(json!({"a": [1.5, {}]}))
    ];
    proptest::collection::vec((key, value), 0..4).prop_map(|entries| entries.into_iter().collect())
}

fn blob(ending: &'static str) -> impl Strategy<Value = Blob> {
    (proptest::collection::vec(any::<u8>(), 0..700), "[a-z]{1,3}")
        .prop_map(move |(bytes, name)| Blob::bytes(format!("folder/{name}{ending}"), bytes))
}

fn record() -> impl Strategy<Value = Record> {
    let media = (
        proptest::option::of(prop_oneof![blob(".jpg"), blob(".PNG"), blob(""), blob(".tar.gz")]),
        proptest::collection::vec(prop_oneof![blob(".wav"), blob(".ogg")], 0..3),
        proptest::option::of(blob(".mp4")),
    );
    let words = || proptest::option::of(word());
    let names = (words(), words(), words(), words());
    let times =
        prop_oneof![Just((None, None)), Just((Some("1/3"), None)), Just((Some("0.5"), Some("1001/24")))];
    (proptest::collection::vec(word(), 0..3), media, names, times, extra()).prop_map(
        |(text, (image, audio, video), (label, group, split, lang), (start, end), extra)| {
            let mut record =
                Record { text, image, audio, video, label, group, split, lang, extra, ..Record::default() };
            record.text.retain(|t| !t.trim().is_empty());
            if !record.has_modality() {
                record.text.push("something".into());
            }
            if record.video.is_some() {
                record.span.start = start.map(|t| t.parse().unwrap());
                record.span.end = end.map(|t| t.parse().unwrap());
                // Which no record with a video has.
                record.extra.retain(|key, _| key != "start");
            }
            record
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn records_in_are_records_out(records in proptest::collection::vec((word(), record()), 1..8), shard_size in 1u64..9000) {
        let dir = tempfile::tempdir().unwrap();
        let number = |(i, (id, record)): (usize, (String, Record))| Record { id: format!("{id}{i}"), ..record };
        let records: Vec<Record> = records.into_iter().enumerate().map(number).collect();
        let source = Part::all(Arc::new(Manifest { path: "m.jsonl".into(), records }));
        for format in Format::ALL {
            let small = |name: &str| PackOptions {
                shard_size,
                format,
                ..options(&dir.path().join(format!("{format}-{name}")))
            };
            let packed = whole(&source, &small("a")).unwrap();
            let read = part(&small("a").out);
            prop_assert_eq!(all(&read), all(&source));
            for i in 0..source.len() {
                prop_assert_eq!(read.key(i), source.key(i));
            }
            // Packed shards, packed again, are the same shards.
            let again = whole(&read, &small("b")).unwrap();
            prop_assert_eq!(again.shards, packed.shards);
        }
    }
}

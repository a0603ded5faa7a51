use super::tests::{all, names, options, part, texts, whole};
use super::*;
use crate::parquet::{ByteArray, Column, MARK, PACKED, TableWriter};
use crate::{Columns, Names, Part, SourceConfig, SourceKind, open};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use unisono_media::Blob;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/packed").join(name)
}

fn parquet(out: &Path) -> PackOptions {
    PackOptions { format: Format::Parquet, ..options(out) }
}

fn sum(blob: &Blob) -> String {
    let mut bytes = Vec::new();
    crate::reopened(blob).unwrap().open().unwrap().read_to_end(&mut bytes).unwrap();
    unisono_files::hex(&Sha256::digest(&bytes))[..16].to_owned()
}

/// What the columns of a row hold, of a record.
fn row(record: &crate::Record, columns: &[String]) -> Value {
    let base = |blob: &Blob| blob.name().file_name().unwrap().to_str().unwrap().to_owned();
    let file = |blob: &Blob| json!({"bytes": sum(blob), "path": base(blob)});
    let mut extra = record.extra.clone();
    let mut members = Vec::new();
    for (name, value) in &record.extra {
        if value.get("offset").is_some() {
            members
                .push(json!({"name": name, "bytes": sum(&serde_json::from_value(value.clone()).unwrap())}));
            extra.shift_remove(name);
        }
    }
    let audio: Vec<Value> = record.audio.iter().map(file).collect();
    let several = columns.iter().any(|column| column == "video");
    let mut row = json!({});
    for column in columns {
        row[column] = match column.as_str() {
            "id" => json!(record.id),
            "text" => json!(record.text),
            "image" => json!(record.image.as_ref().map(file)),
            "audio" if several => json!(audio),
            "audio" => json!(audio.first()),
            "video" => json!(record.video.as_ref().map(file)),
            "start" => json!(record.span.start.map(|t| t.to_string())),
            "end" => json!(record.span.end.map(|t| t.to_string())),
            "label" => json!(record.label),
            "group" => json!(record.group),
            "split" => json!(record.split),
            "lang" => json!(record.lang),
            "modalities" => json!(crate::tables::own::word(&record.part_key())),
            "extra" => json!((!extra.is_empty()).then(|| Value::from(extra.clone()).to_string())),
            "members" => json!(members),
            other => panic!("{other}"),
        };
    }
    row
}

/// The bytes that pyarrow and `datasets` were seen to read; `fixtures/packed.py` says what they read.
#[test]
fn the_golden_shards_are_written_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let tar = dir.path().join("written.tar");
    fs::copy(fixture("../shards/written.tar"), &tar).unwrap();
    let expected: Value = match fs::read(fixture("expected.json")) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
        Err(_) => Value::Null,
    };
    for (name, path) in
        [("records", fixture("records.jsonl")), ("pairs", fixture("pairs.jsonl")), ("members", tar)]
    {
        let (source, out) = (part(&path), dir.path().join(name));
        let packed = whole(&source, &parquet(&out)).unwrap();
        assert_eq!((packed.records, packed.skipped.len()), (source.len() as u64, 0));
        let written = fs::read(out.join("shard-00000.parquet")).unwrap();
        let golden = fixture(&format!("{name}.parquet"));
        if std::env::var_os("UNISONO_WRITE_FIXTURES").is_some() {
            fs::write(&golden, &written).unwrap();
            continue;
        }
        assert!(written == fs::read(golden).unwrap(), "{name}");
        assert_eq!(names(&out), ["index.json", "shard-00000.parquet"]);
        assert_eq!(all(&part(&out)), all(&source), "{name}");
        let features = expected[name]["features"].as_object().unwrap();
        let columns: Vec<String> = features.keys().cloned().collect();
        let rows: Vec<Value> = source.records().map(|record| row(&record.unwrap(), &columns)).collect();
        assert_eq!(Value::from(rows), expected[name]["rows"], "{name}");
        let known =
            |column: &str| features.get(column).and_then(Value::as_str).unwrap_or_default().to_owned();
        match name {
            "records" => {
                assert!(known("image").starts_with("Image(") && known("video").starts_with("Video("));
                assert!(known("audio").starts_with("List(Audio("), "{}", known("audio"));
            }
            // Records that have one audio file each have no lists, and where all have the same nothing says what they have.
            "pairs" => {
                assert!(known("audio").starts_with("Audio("));
                assert_eq!(columns, ["id", "text", "audio"]);
            }
            _ => assert!(known("members").starts_with("List(")),
        }
    }
}

#[test]
fn a_file_says_by_itself_that_it_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (source, out) = (part(&fixture("records.jsonl")), dir.path().join("out"));
    whole(&source, &parquet(&out)).unwrap();
    // Whatever it is called, and wherever it lies.
    fs::create_dir(dir.path().join("train")).unwrap();
    let file = dir.path().join("train/test-00000-of-00001.parquet");
    fs::copy(out.join("shard-00000.parquet"), &file).unwrap();
    let read = part(&file);
    assert_eq!(all(&read), all(&source));
    for i in 0..source.len() {
        assert_eq!(read.key(i), source.key(i));
    }
    assert!(read.source().notes().is_empty());
    // What is told is meant; the rest stays.
    let columns = Columns { text: Names(vec!["label".into()]), ..Columns::default() };
    let told = open(&SourceConfig { columns, ..SourceConfig::new(&out) }).unwrap();
    assert_eq!(
        (told.record(1).unwrap().text.as_slice(), told.record(1).unwrap().id.as_str()),
        (&["cat".to_owned()][..], "cat#fr")
    );
}

#[test]
fn groups_of_rows_are_small() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    let dir = tempfile::tempdir().unwrap();
    let record = |i: u8| crate::Record {
        id: format!("{i}"),
        image: Some(Blob::bytes(format!("{i}.png"), vec![i; (i as usize) << 17])),
        ..crate::Record::default()
    };
    let records = (0..20).map(record).collect();
    let source = Part::all(std::sync::Arc::new(crate::Manifest { path: "m.jsonl".into(), records }));
    let out = dir.path().join("out");
    let packed = whole(&source, &parquet(&out)).unwrap();
    assert_eq!(packed.shards.len(), 1);
    let file = SerializedFileReader::new(fs::File::open(out.join("shard-00000.parquet")).unwrap()).unwrap();
    let groups: Vec<i64> = file.metadata().row_groups().iter().map(|g| g.total_byte_size()).collect();
    assert!(groups.len() == 2 && groups.iter().all(|bytes| *bytes <= (16 << 20) + 4096), "{groups:?}");
    assert_eq!(all(&part(&out)), all(&source));
    // Whoever wants one image reads its page, and no image of a megabyte beside it.
    let store = crate::parquet::ParquetFile::open(
        &out.join("shard-00000.parquet"),
        crate::parquet::Limits::default(),
    )
    .unwrap();
    let store: &dyn crate::columnar::Store = &store;
    let leaf = store.leaves().iter().position(|leaf| leaf.name == "image.bytes").unwrap();
    let cut = store.cut(leaf, 1).unwrap();
    assert!(cut.pages.iter().all(|page| page.length < (20 << 17) + (256 << 10)), "{:?}", cut.pages);
    assert_eq!(cut.pages.len() as i64, file.metadata().row_group(1).num_rows());
    // Many small records.
    let many: Vec<String> = (0..10_000).map(|i| i.to_string()).collect();
    let source = texts(dir.path(), &many.iter().map(String::as_str).collect::<Vec<_>>());
    let out = dir.path().join("many");
    whole(&source, &parquet(&out)).unwrap();
    let read = part(&out);
    assert_eq!((read.len(), read.source().block()), (10_000, 3334));
    assert_eq!(read.record(9_999).unwrap().id, "9999");
}

#[test]
fn what_was_finished_before_an_end_is_kept_in_tables_too() {
    let dir = tempfile::tempdir().unwrap();
    let source = texts(dir.path(), &["a", "b", "c", "d", "e"]);
    let small = |name: &str| PackOptions { shard_size: 1032, ..parquet(&dir.path().join(name)) };
    let expected = whole(&source, &small("whole")).unwrap();
    assert!(expected.shards.len() > 1, "{:?}", expected.shards);
    for stop in 0..source.len() as u64 {
        let name = format!("cut{stop}");
        let stopped = pack(&source, &small(&name), &mut |p| match p.records == stop {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        assert_eq!(stopped.unwrap(), None);
        assert_eq!(whole(&source, &small(&name)).unwrap().shards, expected.shards);
    }
    // Shards of another format are not taken for these.
    let tar = PackOptions { shard_size: 1032, ..options(&dir.path().join("whole")) };
    assert!(whole(&source, &tar).unwrap_err().to_string().contains("another size or format"));
}

#[test]
fn what_no_reader_would_read_again_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let film = dir.path().join("film.mp4");
    fs::File::create(&film).unwrap().set_len(600 << 20).unwrap();
    let record = |id: &str, video: bool| crate::Record {
        id: id.into(),
        text: vec!["text".into()],
        video: video.then(|| film.clone().into()),
        ..crate::Record::default()
    };
    let records = vec![record("large", true), record("small", false)];
    let source = Part::all(std::sync::Arc::new(crate::Manifest { path: "m.jsonl".into(), records }));
    let options = PackOptions { max_skip: 1, ..parquet(&dir.path().join("out")) };
    let packed = whole(&source, &options).unwrap();
    let reason = &packed.skipped[0].reason;
    assert_eq!((packed.records, packed.skipped[0].id.as_str()), (1, "large"));
    assert!(reason.contains("its video have 629145600 bytes") && reason.contains("--format tar"), "{reason}");
}

/// A table that says it is ours.
fn forged(path: &Path, columns: &[(&str, Column)], rows: &[&[Option<&str>]]) {
    let out = fs::File::create(path).unwrap();
    let mut table = TableWriter::packed(out, columns, &[(MARK, PACKED.to_owned())]).unwrap();
    let mut group = table.group().unwrap();
    for (column, of) in columns.iter().enumerate() {
        let values = rows.iter().map(|row| row[column].map(ByteArray::from));
        match of.1 {
            Column::Texts => group.lists(values.map(|value| value.into_iter().collect())).unwrap(),
            _ => group.values(values).unwrap(),
        }
    }
    group.finish().unwrap();
    table.finish().unwrap();
}

#[test]
fn forged_tables_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let opened = |columns: &[(&str, Column)], rows: &[&[Option<&str>]]| {
        forged(&path, columns, rows);
        open(&SourceConfig { kind: Some(SourceKind::Parquet), ..SourceConfig::new(&path) })
    };
    let (id, text, extra) =
        (("id", Column::OptionalText), ("text", Column::Texts), ("extra", Column::OptionalText));
    let source = opened(
        &[id, text, extra],
        &[
            &[Some("a"), Some("a"), Some("[1]")],
            &[Some("b"), Some("b"), Some("{\"x\": 1, \"x\": 2}")],
            &[Some("c"), Some("c"), None],
            &[Some("d"), None, Some("{}")],
            &[Some("e"), Some("e"), Some("{\"text\": [1], \"members.name\": null}")],
            &[Some("f"), Some("f"), Some(&"[".repeat(100_000))],
        ],
    )
    .unwrap();
    let said = |i: usize| source.record(i).unwrap_err().to_string();
    assert!(
        said(0).contains("row 0: the column \"extra\": a record must be a JSON object, found"),
        "{}",
        said(0)
    );
    assert!(said(1).contains("row 1: the column \"extra\": "), "{}", said(1));
    assert_eq!(source.record(2).unwrap().text, ["c"]);
    assert!(said(3).contains("row 3: has neither a text nor"), "{}", said(3));
    assert_eq!(source.record(4).unwrap().extra.len(), 2);
    assert!(said(5).contains("row 5: the column \"extra\": the line has"), "{}", said(5));
    let twice =
        opened(&[id, text], &[&[Some("a"), Some("a")], &[Some("a"), Some("b")]]).unwrap_err().to_string();
    assert!(twice.contains("the id \"a\" stands in row 0"), "{twice}");
    let none = opened(&[id, text], &[&[None, Some("a")]]).unwrap_err().to_string();
    assert!(none.contains("row 0: has no id"), "{none}");
    let missing = opened(&[id], &[&[Some("a")]]).unwrap_err().to_string();
    assert!(missing.contains("expected a column of texts, images, audio or videos"), "{missing}");
    let kind = opened(&[text, ("id", Column::Texts)], &[&[Some("a"), Some("a")]]).unwrap_err().to_string();
    assert!(kind.contains("(columns.id) holds lists"), "{kind}");
}

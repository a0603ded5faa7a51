use super::*;
use crate::{Names, SourceConfig, SourceKind, open, reopened};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use unisono_media::Blob;

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/parquet").join(name)
}

fn expected() -> Json {
    serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn opened(name: &str, columns: Columns) -> Arc<dyn Source> {
    open(&SourceConfig { columns, ..SourceConfig::new(fixture(name)) }).unwrap()
}

fn records(source: &dyn Source) -> Vec<Record> {
    (0..source.len()).map(|i| source.record(i).unwrap().into_owned()).collect()
}

fn names(names: &[&str]) -> Names {
    Names(names.iter().map(|n| (*n).to_owned()).collect())
}

fn bytes(blob: &Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    blob.open().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn sum(blob: &Blob) -> String {
    let sum: String = Sha256::digest(bytes(blob)).iter().map(|b| format!("{b:02x}")).collect();
    sum[..16].to_owned()
}

fn sums(blobs: &[Blob]) -> Json {
    blobs.iter().map(sum).collect::<Vec<_>>().into()
}

#[test]
fn every_form_that_pyarrow_writes() {
    let expected = expected()["forms"].as_array().unwrap().clone();
    for form in ["none", "snappy", "gzip", "zstd", "lz4", "pages2", "pages2-plain", "delta"] {
        let columns = Columns { text: names(&["text", "captions"]), ..Columns::default() };
        let source = opened(&format!("{form}.parquet"), columns);
        assert_eq!(source.len(), expected.len());
        for (i, row) in expected.iter().enumerate() {
            let record = source.record(i);
            let captions = row["captions"].as_array().into_iter().flatten();
            let texts: Vec<&str> =
                row["text"].as_str().into_iter().chain(captions.map(|c| c.as_str().unwrap())).collect();
            if texts.is_empty() && row["image"].is_null() {
                let said = record.unwrap_err().to_string();
                assert!(
                    said.ends_with(&format!("row {i}: has neither a text nor an image, audio or a video"))
                );
                continue;
            }
            let record = record.unwrap();
            assert_eq!(record.text, texts, "{form} {i}");
            assert_eq!(record.image.as_ref().map(sum).as_deref(), row["image"].as_str(), "{form} {i}");
            assert_eq!(record.id, format!("{form}/{i}"));
            let split = if i < 15 { "train" } else { "val" };
            assert_eq!((record.split.as_deref(), source.key(i).split), (Some(split), Some(split)));
            assert_eq!(record.lang.as_deref(), [Some("fr"), Some("de"), None][i % 3]);
            let extra =
                serde_json::json!({"n": i, "u": u64::MAX - i as u64, "f": i as f64 / 4.0, "ok": i % 2 == 0});
            assert_eq!(Json::Object(record.extra.clone()), extra, "{form}");
        }
        assert_eq!(Source::splits(&*source), [("train".to_owned(), 15), ("val".to_owned(), 9)].into());
        assert_eq!(source.block(), 12);
    }
}

#[test]
fn what_is_packed_otherwise_is_told() {
    // The column of splits is read when the file is opened.
    let said = open(&SourceConfig::new(fixture("brotli.parquet"))).unwrap_err().to_string();
    assert!(said.contains("packed with Brotli, which is not read: write it with Snappy or zstd"), "{said}");
}

#[test]
fn images_labels_and_captions_of_datasets() {
    let source = opened("images.parquet", Columns::default());
    let rows = expected()["images"].as_array().unwrap().clone();
    for (i, (record, row)) in records(&*source).iter().zip(&rows).enumerate() {
        assert_eq!(Json::from(record.text.clone()), row["text"]);
        assert_eq!(record.label.as_deref(), row["label"].as_str());
        assert_eq!(record.image.as_ref().map(sum).as_deref(), row["image"].as_str());
        let Some(image) = &record.image else { continue };
        // The path within a name is a stranger's: its last part only.
        let name = fixture("images.parquet").join(format!("{i}/{}", row["name"].as_str().unwrap()));
        assert_eq!((image.name(), image.table()), (&*name, Some(&*fixture("images.parquet"))));
        unisono_media::decode::image(image, &Default::default()).unwrap();
    }
    let note = source.notes().join("");
    assert!(
        note.ends_with("images.parquet: columns by their names: text = caption, label = label"),
        "{note}"
    );
    assert!(source.key(0).image && source.key(0).text && !source.key(0).audio);
}

#[test]
fn a_folder_of_the_hub_has_splits_by_its_names() {
    let source = opened("hub", Columns::default());
    let of: Vec<(String, Option<String>)> = records(&*source).into_iter().map(|r| (r.id, r.split)).collect();
    let row = |id: &str, split: &str| (id.to_owned(), Some(split.to_owned()));
    assert_eq!(
        of,
        [
            row("train-00000-of-00002/0", "train"),
            row("train-00000-of-00002/1", "train"),
            row("train-00001-of-00002/0", "train"),
            row("train-00001-of-00002/1", "train"),
            row("validation-00000-of-00001/0", "validation"),
        ]
    );
    assert_eq!(source.notes().len(), 1);
    let sum = source.sum().unwrap();
    assert_eq!(sum, opened("hub/data", Columns::default()).sum().unwrap());
    assert_ne!(
        sum,
        opened("hub/data/{train-00000-of-00002,validation-00000-of-00001}.parquet", Columns::default())
            .sum()
            .unwrap()
    );
    let other = Columns { text: names(&["caption"]), label: names(&["caption"]), ..Columns::default() };
    assert_ne!(sum, opened("hub", other).sum().unwrap());
}

#[test]
fn lists_of_media_and_structs() {
    let columns =
        Columns { text: names(&["sentences.raw"]), image: names(&["pictures"]), ..Columns::default() };
    let source = opened("nested.parquet", columns);
    for (record, row) in records(&*source).iter().zip(expected()["nested"].as_array().unwrap()) {
        assert_eq!(Json::from(record.text.clone()), row["text"]);
        assert_eq!(sums(&record.audio), row["audio"]);
        assert_eq!(record.image.as_ref().map(sum).as_deref(), row["image"].as_str());
        assert_eq!(record.extra.keys().collect::<Vec<_>>(), ["sentences.id"]);
    }
}

#[test]
fn a_line_of_an_index_finds_its_table_again() {
    let source = opened("nested.parquet", Columns::default());
    let records = records(&*source);
    for blob in records.iter().flat_map(|r| r.image.iter().chain(&r.audio)) {
        let line = serde_json::to_string(blob).unwrap();
        let read: Blob = serde_json::from_str(&line).unwrap();
        assert!(read.open().unwrap_err().to_string().contains("a table that was not opened"));
        assert_eq!(bytes(&reopened(&read).unwrap()), bytes(blob), "{line}");
    }
    let file = Blob::file("a.png");
    assert_eq!(reopened(&file).unwrap(), file);
    let gone =
        serde_json::from_str::<Blob>(r#"{"file":"/none.parquet","row":1,"column":"a","name":"b"}"#).unwrap();
    assert!(reopened(&gone).unwrap_err().to_string().contains("/none.parquet: cannot read"));
    let beyond = serde_json::to_string(&records[0].image).unwrap().replace(r#""row":0"#, r#""row":9"#);
    let beyond = reopened(&serde_json::from_str(&beyond).unwrap()).unwrap();
    assert!(beyond.open().unwrap_err().to_string().contains("there is no row 9, it has 3"));
}

#[test]
fn columns_that_are_missing_or_of_another_kind_are_told() {
    let refused = |name: &str, columns: Columns| {
        let said =
            open(&SourceConfig { columns, ..SourceConfig::new(fixture(name)) }).unwrap_err().to_string();
        assert_eq!(said.lines().count(), 1);
        said.split("fixtures/parquet/").nth(1).unwrap().to_owned()
    };
    let text = |name: &str| Columns { text: names(&[name]), ..Columns::default() };
    assert_eq!(
        refused("images.parquet", text("words")),
        r#"images.parquet: expected the column "words" (columns.text), found the columns "image.bytes", "image.path", "label", "caption""#
    );
    assert_eq!(
        refused("nested.parquet", text("sentences")),
        r#"nested.parquet: the column "sentences" (columns.text) is a struct: name one of sentences.raw, sentences.id"#
    );
    assert_eq!(
        refused("images.parquet", text("label")),
        r#"images.parquet: the column "label" (columns.text) holds whole numbers"#
    );
    let image = Columns { image: names(&["label"]), ..Columns::default() };
    assert!(
        refused("images.parquet", image)
            .ends_with(r#""label" (columns.image) holds neither bytes nor paths"#)
    );
    let id = |name: &str| Columns { id: names(&[name]), ..Columns::default() };
    assert!(refused("none.parquet", id("split")).contains(r#"row 1: the id "train" stands in row 0 of"#));
    assert!(refused("none.parquet", id("captions")).ends_with(r#""captions" (columns.id) holds lists"#));
    let source = opened("none.parquet", id("n"));
    assert_eq!(source.record(7).unwrap().id, "7");
    // A file of the set that has other columns.
    let both = SourceConfig {
        paths: vec![fixture("images.parquet"), fixture("none.parquet")],
        columns: text("caption"),
        kind: Some(SourceKind::Parquet),
        ..SourceConfig::default()
    };
    let said = open(&both).unwrap_err().to_string();
    assert!(said.contains(r#"none.parquet: expected the column "caption""#), "{said}");
}

#[test]
fn paths_in_a_table_are_beside_it() {
    use ::parquet::data_type::{ByteArray, ByteArrayType};
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("t.parquet");
    let schema = "message m { required binary image_path (UTF8); required binary title (UTF8); }";
    let schema = Arc::new(::parquet::schema::parser::parse_message_type(schema).unwrap());
    let mut out = ::parquet::file::writer::SerializedFileWriter::new(
        fs::File::create(&file).unwrap(),
        schema,
        Default::default(),
    )
    .unwrap();
    let mut group = out.next_row_group().unwrap();
    for values in [["x/a.png", "https://example.org/b.png"], ["a", "b"]] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&values.map(ByteArray::from), None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    out.close().unwrap();
    let source = open(&SourceConfig::new(&file)).unwrap();
    assert_eq!(source.record(0).unwrap().image, Some(dir.path().join("x/a.png").into()));
    let said = source.record(1).unwrap_err().to_string();
    assert!(
        said.contains("row 1: the column \"image_path\": \"https://example.org/b.png\" is a web address"),
        "{said}"
    );
}

#[test]
fn folders_that_datasets_saved() {
    let source = opened("saved", Columns { text: names(&["caption", "captions"]), ..Columns::default() });
    let rows = expected()["images"].as_array().unwrap().clone();
    for (i, (record, row)) in records(&*source).iter().zip(&rows).enumerate() {
        let caption = (i != 2).then(|| format!("caption {i}"));
        let texts: Vec<String> = caption.into_iter().chain((0..i % 3).map(|k| format!("c{i}.{k}"))).collect();
        assert_eq!((&record.text, record.label.as_deref()), (&texts, row["label"].as_str()));
        assert_eq!(record.id, format!("data-0000{}-of-00002/{}", i / 3, i % 3));
        assert_eq!(record.image.as_ref().map(sum).as_deref(), row["image"].as_str());
        // No copy: the bytes lie in the file as they are.
        let Some(image) = &record.image else { continue };
        let file = fs::read(fixture(&format!("saved/data-0000{}-of-00002.arrow", i / 3))).unwrap();
        assert!(format!("{image:?}").contains("bytes from") && image.table().is_none());
        assert!(file.windows(bytes(image).len()).any(|w| w == bytes(image)));
    }
    let source = opened("splits", Columns::default());
    assert_eq!(source.splits(), [("test".to_owned(), 2), ("train".to_owned(), 2)].into());
    assert_eq!(source.record(3).unwrap().id, "test/data-00000-of-00001/1");
    assert_eq!(opened("splits/train", Columns::default()).key(0).split, None);
}

#[test]
fn broken_folders_and_files_of_arrow_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let refused = || open(&SourceConfig::new(dir.path())).unwrap_err().to_string();
    let state = |text: &str| fs::write(dir.path().join("state.json"), text).unwrap();
    state(r#"{"_data_files": [{"filename": "../x.arrow"}]}"#);
    assert!(
        refused().contains(r#"expected the name of a file or folder beside it, found "\"../x.arrow\"""#),
        "{}",
        refused()
    );
    state(r#"{"_data_files": []}"#);
    assert!(refused().contains("state.json: expected the names of files (_data_files), found none"));
    state(r#"{"_indices_data_files": [{"filename": "i.arrow"}], "_data_files": []}"#);
    assert!(refused().contains("`flatten_indices()` writes them plainly"));
    state(r#"{"_data_files": [{"filename": "x.arrow"}]}"#);
    assert!(refused().contains("x.arrow: cannot read"));
    let bytes = fs::read(fixture("saved/data-00000-of-00002.arrow")).unwrap();
    for length in 0..bytes.len() {
        fs::write(dir.path().join("x.arrow"), &bytes[..length]).unwrap();
        match open(&SourceConfig::new(dir.path())) {
            Err(e) => {
                assert!(e.to_string().contains("x.arrow: ") && e.to_string().lines().count() == 1, "{e}")
            }
            // Streams may end without a mark, at the end of a batch.
            Ok(source) => assert!(source.len() == 3 && length >= bytes.len() - 8, "{length}"),
        }
    }
    fs::write(dir.path().join("x.arrow"), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap();
    assert!(refused().contains("a message's head has 2147483647 bytes, the most are 67108864"));
}

#[test]
fn threads_read_what_one_does() {
    let source = opened("nested.parquet", Columns::default());
    let one = records(&*source);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let again = records(&*opened("nested.parquet", Columns::default()));
                assert_eq!(again, one);
                records(&*source)
                    .iter()
                    .zip(&one)
                    .for_each(|(a, b)| assert_eq!(sums(&a.audio), sums(&b.audio)));
            });
        }
    });
}

/// Values of a dictionary share its memory: what is kept of them costs as much.
#[test]
fn what_is_kept_counts_the_dictionary() {
    use ::parquet::data_type::{ByteArray, ByteArrayType};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let schema =
        ::parquet::schema::parser::parse_message_type("message m { required binary image; }").unwrap();
    let out = fs::File::create(&path).unwrap();
    let mut out =
        ::parquet::file::writer::SerializedFileWriter::new(out, schema.into(), Default::default()).unwrap();
    let mut group = out.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<ByteArray> = (0..8).map(|i| vec![i % 4; 100_000].into()).collect();
    column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    out.close().unwrap();
    let file = ParquetFile::open(&path, Limits::default()).unwrap();
    let cut = file.cut(0, 0).unwrap();
    assert!(cut.dictionary.is_some() && cut.pages.iter().all(|page| page.length < 1000));
    let piece = file.piece(0, 0, &cut, 0).unwrap();
    assert!((400_000..500_000).contains(&piece.bytes()), "{}", piece.bytes());
}

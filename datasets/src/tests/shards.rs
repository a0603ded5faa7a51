use super::tars::{file, tar, write};
use super::*;
use crate::{Columns, Names, SourceKind};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use unisono_files::{Stamp, hex};
use unisono_media::Blob;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/shards").join(name)
}

fn opened(paths: &[PathBuf], config: &SourceConfig) -> Result<TarShards> {
    // A cache that nobody has, beside the first shard.
    let cache = paths[0].with_file_name("cache");
    TarShards::with_cache(paths, config, &cache)
}

fn records(source: &TarShards) -> Vec<Record> {
    (0..source.len()).map(|i| source.record(i).unwrap().into_owned()).collect()
}

fn content(blob: &Blob) -> Vec<u8> {
    let mut bytes = Vec::new();
    blob.open().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn names(list: &[&str]) -> Names {
    Names(list.iter().map(|n| (*n).to_owned()).collect())
}

/// Keys and the sums of members, as Python's `webdataset` reads them.
#[test]
fn what_webdataset_reads_is_read() {
    let golden: Value = serde_json::from_slice(&std::fs::read(fixture("golden.json")).unwrap()).unwrap();
    for name in ["written.tar", "gnu.tar", "packed.tar"] {
        let dir = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(fixture(name)).unwrap();
        let path = write(dir.path(), name, &bytes);
        let source = opened(std::slice::from_ref(&path), &SourceConfig::default()).unwrap();
        let expected = golden[name].as_array().unwrap();
        assert_eq!(source.len(), expected.len(), "{name}");
        for (i, expected) in expected.iter().enumerate() {
            let files = source.files(0).unwrap();
            let (_, row) = source.shards[0].record(&files, i, &source.fields).unwrap();
            // The folder that `tar cf x.tar .` puts first is no part of our keys.
            assert_eq!(row.key, expected["key"].as_str().unwrap().trim_start_matches("./"));
            let sums: serde_json::Map<String, Value> = row
                .parts
                .iter()
                .map(|p| (p.ending.to_lowercase(), &bytes[p.offset as usize..(p.offset + p.length) as usize]))
                .map(|(ending, data)| (ending, hex(&Sha256::digest(data)).into()))
                .collect();
            assert_eq!(&Value::Object(sums), &expected["members"], "{name} {}", row.key);
        }
    }
}

#[test]
fn what_webdataset_wrote_are_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "written.tar", &std::fs::read(fixture("written.tar")).unwrap());
    let source = opened(std::slice::from_ref(&path), &SourceConfig::default()).unwrap();
    let [square, blue, vector, green] = &records(&source)[..] else { panic!("{}", source.len()) };
    assert_eq!((square.id.as_str(), square.text.as_slice()), ("000", &["a red square".to_owned()][..]));
    assert_eq!((square.split.as_deref(), square.lang.as_deref()), (Some("train"), Some("en")));
    assert_eq!(serde_json::to_string(&square.extra).unwrap(), r#"{"width":4}"#);
    assert!(content(square.image.as_ref().unwrap()).starts_with(b"\x89PNG"));
    assert_eq!(blue.id, "folder.v1/001");
    assert_eq!(
        (blue.text.as_slice(), blue.label.as_deref()),
        (&["blue".to_owned(), "ein blaues Bild".into()][..], Some("7"))
    );
    assert!(blue.image.as_ref().unwrap().name().ends_with("folder.v1/001.png"));
    let beside: Blob = serde_json::from_value(blue.extra["seg.png"].clone()).unwrap();
    assert!(content(&beside).starts_with(b"\x89PNG"));
    assert_eq!(
        (vector.text.as_slice(), &vector.extra["similarity"]),
        (&["only a vector".to_owned()][..], &Value::Null)
    );
    let npy: Blob = serde_json::from_value(vector.extra["npy"].clone()).unwrap();
    assert!(content(&npy).starts_with(b"\x93NUMPY"));
    assert_eq!((green.text.len(), green.label.as_deref()), (2, Some("3")));
    assert_eq!(source.splits(), [("".to_owned(), 3), ("train".to_owned(), 1)].into());
    for (i, record) in records(&source).iter().enumerate() {
        assert_eq!(source.key(i), record.part_key());
    }
    assert_eq!((source.key(4), source.block(), source.notes()), (Key::default(), 4, Vec::new()));
    assert!(source.record(4).unwrap_err().to_string().ends_with("no record of number 4"));
}

#[test]
fn columns_say_what_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let json =
        br#"{"title": "the title", "caption": "no caption", "part": 3, "language": "de", "from": 1.5}"#;
    let files: [(&str, &[u8]); 5] = [
        ("v1.5.left.png", b"l"),
        ("v1.5.png", b"p"),
        ("v1.5.txt", b"a text"),
        ("v1.5.mp4", b"m"),
        ("v1.5.json", json),
    ];
    let path = write(dir.path(), "s.tar", &tar(&files));
    let columns = Columns {
        image: names(&["left.png"]),
        text: names(&["title", "txt"]),
        split: names(&["part"]),
        lang: names(&["lang"]),
        start: names(&["from"]),
        ..Columns::default()
    };
    // By its first dot it is `5.…` of `v1`, by its last `v1.5` has no `left.png`.
    let config = SourceConfig { columns: columns.clone(), ..SourceConfig::default() };
    let columns = Columns { image: names(&["5.left.png"]), text: names(&["title", "5.txt"]), ..columns };
    let of = |config: &SourceConfig| records(&opened(std::slice::from_ref(&path), config).unwrap());
    let first = &of(&SourceConfig { columns, ..SourceConfig::default() })[0];
    assert_eq!((first.id.as_str(), first.text.as_slice()), ("v1", &["a text".to_owned()][..]));
    assert_eq!(content(first.image.as_ref().unwrap()), b"l");
    let config = SourceConfig { key_ends: KeyEnds::LastDot, ..config };
    let last = opened(std::slice::from_ref(&path), &config).unwrap();
    let said = last.record(0).unwrap_err().to_string();
    assert!(said.contains("record \"v1.5.left\": expected a member or a field that is a text"), "{said}");
    let record = last.record(1).unwrap();
    assert_eq!(record.id, "v1.5");
    assert_eq!(record.text, ["a text", "the title"]);
    assert_eq!((record.split.as_deref(), record.lang.as_deref(), &record.image), (Some("3"), None, &None));
    assert_eq!(record.span.to_string(), Span { start: Some("1.5".parse().unwrap()), end: None }.to_string());
    assert_eq!(record.extra["caption"], "no caption");
    let refused =
        |config: &SourceConfig| opened(std::slice::from_ref(&path), config).unwrap_err().to_string();
    let id = SourceConfig {
        columns: Columns { id: names(&["id"]), ..Columns::default() },
        ..SourceConfig::default()
    };
    assert!(refused(&id).contains("the ids of tar shards are their keys"));
    // Every way to read it has an index of its own.
    let indices = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "index"));
    assert_eq!(indices.count(), 2);
}

use unisono_media::video::Span;

#[test]
fn several_shards_are_one_source() {
    let dir = tempfile::tempdir().unwrap();
    for (name, keys) in [("a.tar", &["0", "1"][..]), ("b.tar", &[]), ("c.tar", &["0", "x/1", "2"])] {
        let members = keys.iter().map(|key| file(&format!("{key}.txt"), key.as_bytes()));
        write(dir.path(), name, &tars::ended(members));
    }
    let config = SourceConfig::new(dir.path());
    let source = crate::open(&config).unwrap();
    let ids: Vec<String> = (0..source.len()).map(|i| source.record(i).unwrap().id.clone()).collect();
    assert_eq!(ids, ["a/0", "a/1", "c/0", "c/x/1", "c/2"]);
    assert_eq!(source.record(3).unwrap().extra["__key__"], "x/1");
    assert_eq!((source.block(), source.sum().unwrap().len()), (2, 32));
    let one = crate::open(&SourceConfig::new(dir.path().join("{c,a}.tar"))).unwrap();
    assert_ne!(one.sum().unwrap(), source.sum().unwrap());
    assert_eq!(one.record(0).unwrap().id, "c/0");
}

#[test]
fn an_index_is_made_once_and_again_for_another_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "s.tar", &tar(&[("a.txt", b"one"), ("b.txt", b"two")]));
    let index = dir.path().join(".s.tar.index");
    let open = || opened(std::slice::from_ref(&path), &SourceConfig::default()).unwrap();
    let first = open();
    let stamp = Stamp::of(&index).unwrap();
    assert_eq!((open().len(), Stamp::of(&index).unwrap()), (2, stamp));
    // Damaged, of another version, cut off: made anew.
    let whole = std::fs::read(&index).unwrap();
    for cut in [0, 10, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&index, &whole[..cut]).unwrap();
        assert_eq!(open().len(), 2);
        assert_eq!(std::fs::read(&index).unwrap(), whole);
    }
    std::fs::write(&path, tar(&[("a.txt", b"one"), ("b.txt", b"two"), ("c.txt", b"three")])).unwrap();
    let said = first.record(0).unwrap_err().to_string();
    assert!(said.contains("has changed since it was opened"), "{said}");
    let second = open();
    assert_eq!((second.len(), second.record(2).unwrap().text[0].as_str()), (3, "three"));
    assert_ne!(first.sum().unwrap(), second.sum().unwrap());
    // Nothing of ours can be put beside it: a folder has the index's name.
    std::fs::remove_file(&index).unwrap();
    std::fs::create_dir(&index).unwrap();
    let elsewhere = open();
    assert_eq!(elsewhere.record(1).unwrap().text, ["two"]);
    assert_eq!(std::fs::read_dir(dir.path().join("cache")).unwrap().count(), 1);
    assert_eq!(open().sum().unwrap(), elsewhere.sum().unwrap());
}

#[test]
fn classes_of_any_number_cost_what_they_must() {
    let dir = tempfile::tempdir().unwrap();
    for classes in [1, 2, 256, 257, 300] {
        let json = |i: usize| format!("{{\"text\": \"t\", \"split\": \"s{}\"}}", i % classes);
        let members = (0..600).map(|i| file(&format!("{i}.json"), json(i).as_bytes()));
        let path = write(dir.path(), &format!("{classes}.tar"), &tars::ended(members));
        let source = opened(&[path], &SourceConfig::default()).unwrap();
        for i in 0..600 {
            assert_eq!(source.key(i).split, Some(format!("s{}", i % classes).as_str()));
        }
        assert_eq!(source.splits().len(), classes);
    }
}

#[test]
fn compressed_shards_are_unpacked_once() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = tar(&[("a.txt", b"one"), ("b.txt", b"two")]);
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let zstandard = |bytes: &[u8]| zstd::stream::encode_all(bytes, 1).unwrap();
    let cache = dir.path().join("cache");
    for (name, packed) in
        [("a.tar.gz", gzip(&bytes)), ("b.TGZ", gzip(&bytes)), ("c.tar.zst", zstandard(&bytes))]
    {
        let path = write(dir.path(), name, &packed);
        assert!(is_shard(&path));
        let open = |most| {
            opened(
                std::slice::from_ref(&path),
                &SourceConfig { max_unpacked: most, ..SourceConfig::default() },
            )
        };
        let said = open(Some(1000)).unwrap_err().to_string();
        assert!(said.contains("unpacks to more than 1000 bytes") && said.contains("max_unpacked"), "{said}");
        let source = open(None).unwrap();
        assert_eq!(source.record(1).unwrap().text, ["two"]);
        assert!(source.notes()[0].contains("is read unpacked, from "), "{:?}", source.notes());
        let held = content_stamps(&cache);
        open(None).unwrap();
        assert_eq!(content_stamps(&cache), held, "nothing is written again");
        // Another file under the name.
        std::fs::write(&path, &packed[..packed.len() - 9]).unwrap();
        let said = open(None).unwrap_err().to_string();
        assert!(said.contains("cannot be unpacked") && said.lines().count() == 1, "{said}");
    }
}

fn content_stamps(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(content_stamps(&path)),
            false => found.push(format!("{} {}", path.display(), Stamp::of(&path).unwrap())),
        }
    }
    found.sort();
    found
}

#[test]
fn what_a_path_is_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "s.tar", &tar(&[("a.txt", b"one")]));
    assert_eq!(crate::open(&SourceConfig::new(&path)).unwrap().len(), 1);
    let other = SourceConfig { kind: Some(SourceKind::Manifest), ..SourceConfig::new(&path) };
    assert!(crate::open(&other).is_err());
    let lines = write(dir.path(), "m.jsonl", b"{\"id\": \"a\", \"text\": \"b\"}");
    let said =
        crate::open(&SourceConfig { key_ends: KeyEnds::LastDot, ..SourceConfig::new(lines) }).unwrap_err();
    assert!(said.to_string().contains("takes no key_ends"), "{said}");
}

//! Archives of strangers: what is wrong with them is told, with its place, and nothing is written by their names.

use super::tars::{ended, file, header, member, records, tar, write};
use super::*;
use proptest::prelude::*;

fn open(dir: &Path, bytes: &[u8]) -> Result<TarShards> {
    let path = write(dir, "s.tar", bytes);
    TarShards::with_cache(&[path], &SourceConfig::default(), &dir.join("cache"))
}

fn refused(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let said = open(dir.path(), bytes).unwrap_err().to_string();
    assert!(said.contains("s.tar: ") && said.lines().count() == 1, "{said}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing but the shard is left");
    said
}

/// Its ids, its notes.
fn read(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), bytes).unwrap();
    let ids = (0..source.len()).map(|i| match source.record(i) {
        Ok(record) => record.id.clone(),
        Err(e) => {
            let said = e.to_string();
            assert_eq!(said.lines().count(), 1);
            said.split_once("s.tar: ").unwrap().1.to_owned()
        }
    });
    (ids.collect(), source.notes())
}

#[test]
fn what_is_no_tar_is_named() {
    for (bytes, part) in [
        (&b""[..], "found an empty file"),
        (b"a text", "the file ends in a header"),
        (&[b'x'; 600], "expected a header, found something else"),
        (b"\x1f\x8b\x08\0 and more of it", "found gzip: name it .tar.gz"),
        (b"\x28\xb5\x2f\xfd and more of it", "found Zstandard: name it .tar.zst"),
        (b"PK\x03\x04 and more of it", "found a ZIP archive"),
        (&[0; 1024], "found no record"),
    ] {
        let said = refused_or_empty(bytes);
        assert!(said.contains(part), "{said}");
    }
}

/// An archive of nothing has an index, and no record.
fn refused_or_empty(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), bytes).unwrap_err().to_string()
}

#[test]
fn what_stands_twice_is_an_error_with_both_places() {
    let said = refused(&tar(&[("a.txt", b"1"), ("b.txt", b"2"), ("a.json", b"{}")]));
    assert!(said.contains("the key \"a\" stands at byte 0 and again at byte 2048"), "{said}");
    let said = refused(&tar(&[("a.jpg", b"1"), ("a.txt", b"2"), ("a.JPG", b"3")]));
    assert!(said.contains("\"a\" has two members .jpg, with data at bytes 512 and 2560"), "{said}");
    let many = (0..=4096).map(|i| file(&format!("a.{i}"), b""));
    assert!(refused(&ended(many)).contains("more than 4096 members"));
}

#[test]
fn names_lead_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("in");
    std::fs::create_dir(&inner).unwrap();
    let bytes = tar(&[
        ("../../x.txt", b"up"),
        ("/tmp/unisono-x.txt", b"root"),
        ("a/../b.txt", b"b"),
        ("c\\d.txt", b"d"),
    ]);
    let source = open(&inner, &bytes).unwrap();
    let ids: Vec<String> = (0..4).map(|i| source.record(i).unwrap().id.clone()).collect();
    assert_eq!(ids, ["../../x", "/tmp/unisono-x", "a/../b", "c\\d"]);
    let mut written: Vec<_> = std::fs::read_dir(&inner).unwrap().map(|e| e.unwrap().file_name()).collect();
    written.sort();
    assert_eq!(written, [".s.tar.index", "s.tar"]);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(!Path::new("/tmp/unisono-x.txt").exists());
}

#[test]
fn long_names_and_sizes_are_read() {
    let long = "d/".repeat(120) + "x";
    let name = |ending: &str| format!("{long}.{ending}");
    let bytes = ended([
        member(b'L', b"././@LongLink", format!("{}\0", name("txt")).as_bytes()),
        file("cut-off", b"gnu"),
        records(&[("mtime", "1.5"), ("path", &name("json"))]),
        file("cut-off", br#"{"label": "posix"}"#),
        records(&[("size", "3")]),
        // Whatever its own header says.
        [header(b'0', b"sized.txt", 0), b"abc".to_vec(), vec![0; 509]].concat(),
        member(b'g', b"global", b"19 comment=whatever\n"),
        member(b'7', b"old.txt", b"contiguous"),
        member(0, b"older.txt", b"of no type"),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let source = open(dir.path(), &bytes).unwrap();
    let of = |i: usize| source.record(i).unwrap().into_owned();
    assert_eq!((of(0).id, of(0).text, of(0).label), (long, vec!["gnu".to_owned()], Some("posix".into())));
    assert_eq!((of(1).id.as_str(), of(1).text[0].as_str()), ("sized", "abc"));
    assert_eq!((of(2).text[0].as_str(), of(3).text[0].as_str()), ("contiguous", "of no type"));
    assert_eq!((source.len(), source.notes()), (4, Vec::new()));
}

#[test]
fn what_is_no_file_is_passed_over_and_counted() {
    let (ids, notes) = read(&ended([
        member(b'5', b"folder/", b""),
        file("folder/README", b"no ending"),
        member(b'2', b"a.jpg", b""),
        member(b'1', b"b.jpg", b""),
        member(b'3', b"c.jpg", b""),
        file("a.txt", b"a"),
        file("__meta__/x.json", b"{}"),
    ]));
    assert_eq!(ids, ["a"]);
    let all = notes.join("\n");
    for part in [
        "2 links, which are not followed",
        "the first is \"a.jpg\"",
        "1 members that are no files",
        "2 members without a key",
    ] {
        assert!(all.contains(part), "{all}");
    }
}

#[test]
fn a_broken_sample_costs_itself() {
    let mut sparse = header(b'S', b"holes.txt", 3);
    // Its map goes on in a block of its own.
    sparse[482] = 1;
    let sum: u32 = sparse
        .iter()
        .enumerate()
        .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) })
        .sum();
    sparse[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let map = vec![0; 512];
    let (ids, notes) = read(&ended([
        file("ok.txt", b"fine"),
        file("json.json", b"{\"text\": \"a\""),
        file("nothing.npy", b"only a vector"),
        [sparse, map, file("", b"abc")[512..].to_vec()].concat(),
        records(&[("GNU.sparse.major", "1"), ("GNU.sparse.name", "posix.jpg")]),
        file("GNUSparseFile.0/posix.jpg", b"map"),
        file("empty.jpg", b""),
        file("latin.txt", b"caf\xe9"),
        file("list.json", b"[1]"),
        file("twice.json", br#"{"text": "a", "text": "b"}"#),
        file("last.txt", b"fine"),
    ]));
    assert_eq!((ids[0].as_str(), ids[5].as_str(), ids[9].as_str()), ("ok", "empty", "last"));
    for (i, part) in [
        (1, "record \"json\": the member .json: not valid JSON"),
        (2, "found members npy"),
        (3, "record \"holes\": the member .txt is a sparse file"),
        (4, "record \"posix\": the member .jpg is a sparse file"),
        (6, "the member .txt: "),
        (7, "must be a JSON object, found a list"),
        (8, "\"text\" stands twice"),
    ] {
        assert!(ids[i].contains(part), "{}", ids[i]);
    }
    assert_eq!(notes, [notes[0].clone()]);
    assert!(notes[0].contains("7 of 10 samples cannot be used; the first is json: "), "{notes:?}");
}

#[test]
fn a_cut_costs_what_lies_behind_it() {
    let samples: [(&str, &[u8]); 6] = [
        ("a.jpg", &[b'a'; 1000]),
        ("a.txt", b"one"),
        ("b.jpg", &[b'b'; 1000]),
        ("b.txt", b"two"),
        ("c.jpg", &[b'c'; 1000]),
        ("c.txt", b"three"),
    ];
    let whole = tar(&samples);
    // Of each sample: a header, two blocks, a header, a block.
    let sample = 5 * 512;
    for (length, ids, part) in [
        (whole.len(), &["a", "b", "c"][..], None),
        (whole.len() - 1024, &["a", "b", "c"], Some("has no end mark")),
        (whole.len() - 1024 - 500, &["a", "b", "c"], Some("has no end mark")),
        (2 * sample + 512 + 700, &["a", "b"], Some("the record \"c\"")),
        (2 * sample + 3 * 512 + 100, &["a", "b"], Some("the record \"c\" (from byte 5120 on)")),
        (
            sample + 4 * 512 + 1,
            &["a"],
            Some("the record \"b\" (from byte 2560 on) and all behind it are lost"),
        ),
        // Whether more of `b` was to follow is not known.
        (2 * sample + 100, &["a"], Some("the file ends in a header")),
        (sample, &["a"], Some("has no end mark")),
    ] {
        let (found, notes) = read(&whole[..length]);
        assert_eq!(found, ids, "{length}");
        assert_eq!(notes.len(), part.iter().count(), "{notes:?}");
        assert!(part.is_none_or(|part| notes[0].contains(part)), "{length}: {notes:?}");
    }
    let mut damaged = whole.clone();
    damaged[2 * sample + 10] ^= 1;
    let (found, notes) = read(&damaged);
    assert_eq!(found, ["a"]);
    assert!(notes[0].contains("at byte 5120 (expected a header, found something else)"), "{notes:?}");
    let joined = [whole.clone(), whole].concat();
    assert!(read(&joined).1[0].contains("were archives joined?"));
}

#[test]
fn sizes_that_lie_are_no_memory() {
    for size in [1 << 33, u64::MAX / 2, u64::MAX] {
        let mut lies = header(b'0', b"b.txt", 0);
        tar::Header::from_byte_slice(&lies).entry_size().unwrap();
        // A number of 64 bits, as GNU writes those that octal cannot.
        lies[124..128].copy_from_slice(&[0x80, 0, 0, 0]);
        lies[128..136].copy_from_slice(&size.to_be_bytes());
        let sum: u32 = lies
            .iter()
            .enumerate()
            .map(|(i, b)| if (148..156).contains(&i) { 32 } else { u32::from(*b) })
            .sum();
        lies[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let (ids, notes) = read(&[file("a.txt", b"a"), lies].concat());
        assert_eq!(ids, ["a"]);
        assert!(notes[0].contains("the record \"b\""), "{notes:?}");
    }
    let (ids, notes) = read(
        &[
            file("a.txt", b"a"),
            file("c.txt", b"c"),
            records(&[("path", &"x".repeat(70_000))]),
            file("b.txt", b"b"),
        ]
        .concat(),
    );
    assert_eq!(ids, ["a"]);
    assert!(notes[0].contains("name and notes have"), "{notes:?}");
    // An index that points beyond its shard.
    let dir = tempfile::tempdir().unwrap();
    let bytes = tar(&[("a.jpg", b"a"), ("b.txt", b"b")]);
    drop(open(dir.path(), &bytes).unwrap());
    let index = dir.path().join(".s.tar.index");
    let whole = std::fs::read(&index).unwrap();
    for at in 14..whole.len() {
        for flip in [1, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            std::fs::write(&index, &changed).unwrap();
            let path = dir.path().join("s.tar");
            let Ok(source) =
                TarShards::with_cache(&[path], &SourceConfig::default(), &dir.path().join("cache"))
            else {
                continue;
            };
            for i in 0..source.len().min(9) {
                let _ = (
                    source.key(i),
                    source.record(i).map(|r| r.image.as_ref().map(|blob| blob.open().is_ok())),
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_changed_does_harm(at in 0usize..6144, byte in any::<u8>(), cut in 0usize..6144) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = tar(&[("a.jpg", &[1; 600]), ("a.json", br#"{"text": ["x"], "split": "s"}"#), ("b.txt", b"b"), ("c/d.txt", b"c")]);
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        bytes.truncate(bytes.len().min(cut.max(1)));
        crate::fuzzing::shards(dir.path(), &bytes);
    }
}

//! Small sources with what is known beside them.

use crate::{Manifest, Record, Source, SourceConfig, open, subset};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DATA: &str = r#"{"id":"a","text":"one","image":"a.png","split":"train","label":"x"}
{"id":"b","text":["two","deux"],"lang":"fr","note":1}
{"id":"c","audio":"c.wav","start":3}
{"id":"d","video":"d.mp4","start":1,"end":9}
"#;

struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        let room = Self(tempfile::tempdir().unwrap());
        room.write("m.jsonl", DATA);
        room
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.at(name), text).unwrap();
        self.at(name)
    }

    fn config(&self, annotations: &[&str], only: Option<&str>) -> SourceConfig {
        let named = |(i, text): (usize, &&str)| self.write(&format!("{i}.jsonl"), text);
        SourceConfig {
            annotations: annotations.iter().enumerate().map(named).collect(),
            only: only.map(|text| self.write("only", text)),
            ..SourceConfig::new(self.at("m.jsonl"))
        }
    }

    fn open(&self, annotations: &[&str], only: Option<&str>) -> Arc<dyn Source> {
        open(&self.config(annotations, only)).unwrap()
    }

    fn refused(&self, annotations: &[&str], only: Option<&str>) -> String {
        let said = open(&self.config(annotations, only)).unwrap_err().to_string();
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }
}

fn records(source: &dyn Source) -> Vec<Record> {
    let record = |i| {
        let record = source.record(i).unwrap().into_owned();
        // What is known without reading it is true of it.
        assert_eq!((source.key(i), &*source.id(i).unwrap()), (record.part_key(), record.id.as_str()));
        record
    };
    (0..source.len()).map(record).collect()
}

#[test]
fn what_is_said_replaces_or_is_added() {
    let room = Room::new();
    let source = room.open(
        &[
            concat!(
                r#"{"id":"b","split":"val","text":null,"label":"","lang":"en","note":2,"score":0.5}"#,
                "\n\n",
                r#"{"id":"a","text":["uno"],"audio":"a.wav","group":"g"}"#,
                "\n"
            ),
            concat!(
                r#"{"id":"a","add_text":["one","uno","eins"],"split":"test"}"#,
                "\n",
                r#"{"id":"d","start":2,"text":"drei","add_text":"vier"}"#,
            ),
        ],
        None,
    );
    let [a, b, c, d] = &records(&*source)[..] else { panic!("{}", source.len()) };
    assert_eq!(a.text, ["uno", "one", "eins"]);
    assert_eq!(a.audio[0].path(), Some(room.at("a.wav").as_path()));
    assert_eq!(
        (a.group.as_deref(), a.split.as_deref(), a.label.as_deref()),
        (Some("g"), Some("test"), Some("x"))
    );
    assert!(a.extra.is_empty() && a.image.is_some());
    assert_eq!((b.text.len(), b.split.as_deref(), b.lang.as_deref()), (2, Some("val"), Some("en")));
    assert_eq!((&b.extra["note"], &b.extra["score"]), (&2.into(), &0.5.into()));
    assert_eq!(*c, Manifest::load(&room.at("m.jsonl")).unwrap().records[2]);
    assert_eq!(
        (d.text.len(), d.span.to_string()),
        (2, unisono_media::video::Span { start: Some("2".parse().unwrap()), end: None }.to_string())
    );
    assert_eq!(source.splits(), BTreeMap::from([(String::new(), 2), ("test".into(), 1), ("val".into(), 1)]));
    assert!(source.notes().is_empty());
}

#[test]
fn some_records_are_kept_in_their_order() {
    let room = Room::new();
    let said = r#"{"id":"c","split":"val"}"#;
    for only in ["c\nz\na\n", "{\"id\":\"a\",\"text\":7}\n{\"id\":\"z\"}\r\n\n{\"id\":\"c\"}"] {
        let source = room.open(&[said], Some(only));
        let kept = records(&*source);
        assert_eq!((kept[0].id.as_str(), kept[1].id.as_str(), kept.len()), ("a", "c", 2));
        assert_eq!(kept[1].split.as_deref(), Some("val"));
        assert!(source.record(2).is_err() && source.id(2).is_err() && source.key(2).split.is_none());
        let notes = source.notes();
        assert!(
            notes[0].contains("only: 1 of its 3 ids are of no record of") && notes[0].ends_with("\"z\""),
            "{notes:?}"
        );
    }
    let one = subset(room.open(&[said], Some("c\na\nd")), [1]).unwrap();
    assert_eq!(records(&*one)[0].id, "c");
    assert_eq!(one.key(0).split, Some("val"));
}

#[test]
fn what_is_broken_is_told() {
    let room = Room::new();
    for (said, part) in [
        (
            "{\"id\":\"a\"}\n\n{\"id\":\"a\"}",
            "0.jsonl:3: id \"a\" was already used on line 1: of one record one line",
        ),
        ("{\"split\":\"val\"}", "0.jsonl:1: the record has no \"id\""),
        ("{\"id\":\"a\",\"split\":1}", "\"split\" must be a string"),
        ("{\"id\":\"a\",\"add_text\":true}", "\"add_text\" must be a string or a list of strings"),
        ("{\"id\":\"a\",\"image\":\"https://x/y.png\"}", "download the file first"),
        ("no json", "0.jsonl:1: not valid JSON"),
        ("\n", "found none"),
    ] {
        let told = room.refused(&[said], None);
        assert!(told.contains(part), "{told}");
    }
    for (only, part) in [
        ("a\nb\na\n", "only:3: id \"a\" was already used on line 1"),
        ("x\ny", "none of its ids is of a record of"),
        ("{\"key\":\"a\"}", "the line has no \"id\""),
        ("{\"id\":3}", "must be a string that is not empty, found 3"),
    ] {
        let told = room.refused(&[], Some(only));
        assert!(told.contains(part), "{told}");
    }
    assert!(
        room.refused(&[], Some("x")).contains("its first is \"x\", that of the first record there \"a\"")
    );
    let gone = SourceConfig { only: Some(room.at("none")), ..SourceConfig::new(room.at("m.jsonl")) };
    assert!(open(&gone).unwrap_err().to_string().contains("none"));
    // Only the record that it is of.
    let source = room.open(&[r#"{"id":"d","start":9,"end":2}"#], None);
    let told = source.record(3).unwrap_err().to_string();
    assert!(told.contains("the line of \"d\": \"end\" must come after \"start\" 9"), "{told}");
    assert!(source.record(0).is_ok());
}

#[test]
fn the_sum_is_of_what_is_said_and_kept() {
    let room = Room::new();
    let sum = |annotations: &[&str], only| room.open(annotations, only).sum().unwrap();
    let (a, b) = (r#"{"id":"a","label":"y"}"#, r#"{"id":"a","label":"z"}"#);
    let sums = [
        sum(&[], None),
        sum(&[a], None),
        sum(&[b], None),
        sum(&[a, b], None),
        sum(&[b, a], None),
        sum(&[], Some("a")),
        sum(&[], Some("b")),
    ];
    let distinct: std::collections::BTreeSet<_> = sums.iter().collect();
    assert_eq!(distinct.len(), sums.len());
    // All of them is what it is without.
    assert_eq!(sum(&[a], Some("d\nc\nb\na")), sums[1]);
}

#[test]
fn a_recipe_names_them() {
    let parse = |text: &str| serde_json::from_str::<SourceConfig>(text);
    let one = parse(r#"{"path":"a","annotations":"b","only":"c"}"#).unwrap();
    let several = parse(r#"{"path":"a","annotations":["b","d"]}"#).unwrap();
    assert_eq!((one.annotations.len(), one.only.as_deref()), (1, Some(Path::new("c"))));
    assert_eq!(several.annotations, [PathBuf::from("b"), "d".into()]);
    for config in [one, several] {
        assert_eq!(parse(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }
}

/// Sources of every kind know ids without their records.
#[test]
fn ids_are_those_of_records() {
    let room = Room::new();
    fs::create_dir(room.at("folder")).unwrap();
    for name in ["x.png", "x.txt", "y.wav", "x.wav"] {
        fs::write(room.at("folder").join(name), "a caption").unwrap();
    }
    fs::write(room.at("t.csv"), "id,caption\nq,one\nr,two\n").unwrap();
    let mut paths = vec![room.at("m.jsonl"), room.at("folder"), room.at("t.csv")];
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    for entry in ["parquet", "shards"].into_iter().flat_map(|name| fs::read_dir(fixtures.join(name)).unwrap())
    {
        let from = entry.unwrap().path();
        if from.extension().is_some_and(|e| e == "parquet" || e == "tar") {
            paths.push(room.at(from.file_name().unwrap().to_str().unwrap()));
            fs::copy(from, &paths[paths.len() - 1]).unwrap();
        }
    }
    let mut seen = 0;
    for path in paths {
        let Ok(source) = open(&SourceConfig::new(&path)) else { continue };
        for i in 0..source.len() {
            if let Ok(record) = source.record(i) {
                assert_eq!(source.id(i).unwrap(), record.id, "{}", path.display());
                seen += 1;
            }
        }
        assert!(source.id(source.len()).is_err());
    }
    assert!(seen > 12, "{seen}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// A naive map from ids to lines says the same.
    #[test]
    fn lines_find_their_records(
        there in prop::collection::btree_set(0u32..40, 1..30),
        said in prop::collection::btree_map(0u32..60, (0u8..4, any::<bool>()), 0..40),
        only in prop::option::of(prop::collection::btree_set(0u32..60, 1..40)),
        turn in any::<bool>(),
    ) {
        let room = Room::new();
        let data: String = there.iter().map(|id| format!("{{\"id\":\"{id}\",\"text\":\"t\",\"split\":\"own\"}}\n")).collect();
        room.write("m.jsonl", &data);
        let line = |(id, (split, lang)): (&u32, &(u8, bool))| {
            let lang = if *lang { ",\"lang\":\"en\"" } else { "" };
            let split = if *split > 0 { format!(",\"split\":\"s{split}\"") } else { String::new() };
            format!("{{\"id\":\"{id}\"{split}{lang}}}\n")
        };
        let mut lines: Vec<String> = said.iter().map(line).collect();
        if turn { lines.reverse(); }
        let text = lines.concat();
        let annotations: Vec<&str> = if said.is_empty() { Vec::new() } else { vec![&text] };
        let ids = only.as_ref().map(|only| only.iter().map(|id| format!("{id}\n")).collect::<String>());
        let kept: Vec<u32> = there.iter().copied().filter(|id| only.as_ref().is_none_or(|only| only.contains(id))).collect();
        if kept.is_empty() {
            prop_assert!(open(&room.config(&annotations, ids.as_deref())).is_err());
            return Ok(());
        }
        let source = room.open(&annotations, ids.as_deref());
        let found = records(&*source);
        prop_assert_eq!(found.len(), kept.len());
        for (record, id) in found.iter().zip(&kept) {
            prop_assert_eq!(&record.id, &id.to_string());
            let (split, lang) = said.get(id).copied().unwrap_or_default();
            let split = if split > 0 { format!("s{split}") } else { "own".into() };
            prop_assert_eq!(record.split.as_deref(), Some(split.as_str()));
            prop_assert_eq!(record.lang.is_some(), lang);
        }
    }
}

//! Indexes of the first format as folders: what is written is read again, what is damaged is told, and a search finds what a sort finds.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use unisono_index::{
    HEADER, Header, Hit, ITEMS, Index, Item, Items, ModelRef, Parts, SUM, VECTORS, Writer, similarity, sum,
    tensor_head, write_item,
};
use unisono_media::Blob;
use unisono_media::video::{Ratio, Span, Time};
use unisono_processors::{AudioWindow, Modality};

const MODEL: &str = "5f2a";

fn header(items: &[Item], dim: usize, sum: String) -> Header<String> {
    let mut modalities = BTreeMap::new();
    items.iter().for_each(|item| *modalities.entry(item.modality).or_insert(0) += 1);
    let model = ModelRef {
        path: "/none".into(),
        sha256: MODEL.into(),
        prompt: None,
        window: AudioWindow::Whole,
        seen: None,
    };
    Header {
        format_version: 1,
        model,
        dim,
        count: items.len(),
        modalities,
        sum,
        parts: Parts::default(),
        built: String::new(),
    }
}

fn written(folder: &Path, items: &[Item], dim: usize, vectors: &[f32]) -> Index<String> {
    let mut writer = Writer::begin(folder, MODEL, dim).unwrap();
    for (item, row) in items.iter().zip(vectors.chunks(dim)) {
        writer.push(item, row).unwrap();
    }
    let sum = writer.finish().unwrap();
    unisono_files::write_json(&folder.join(HEADER), &header(items, dim, sum)).unwrap();
    Index::open(folder).unwrap()
}

/// Three files whose sums agree, of any lines whatever.
fn forged(folder: &Path, items: &[Item], lines: &[u8]) {
    let sum = sum(lines, MODEL);
    let metadata = [(SUM.to_owned(), sum.clone())].into();
    let mut vectors = tensor_head(items.len(), 1, &metadata).unwrap();
    vectors.extend(vec![0; items.len() * 4]);
    fs::write(folder.join(VECTORS), vectors).unwrap();
    fs::write(folder.join(ITEMS), lines).unwrap();
    unisono_files::write_json(&folder.join(HEADER), &header(items, 1, sum)).unwrap();
}

fn refused(folder: &Path) -> String {
    let said = Index::<String>::open(folder).unwrap_err().to_string();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

fn items() -> Vec<Item> {
    let time = |pts| Some(Time { pts, base: Ratio { num: 1, den: 25 } });
    vec![
        Item::file("/data/a.png", Modality::Image),
        Item {
            label: Some("x".into()),
            lang: Some("fr".into()),
            part: 2,
            ..Item::text("text:0", "un mot\n\u{2028}\"")
        },
        Item {
            text: Some("a clip".into()),
            ..Item::file(Blob::part("/data/s.tar", 512, 9, "b.wav"), Modality::Audio)
        },
        Item { span: Span { start: time(3), end: time(9) }, ..Item::video("/data/v.mp4", Modality::Video) },
        Item::video("/data/v.mp4", Modality::Image),
    ]
}

fn any_item() -> impl Strategy<Value = Item> {
    let modality = prop::sample::select(Modality::ALL.to_vec());
    (modality, "(?s).{0,9}", prop::option::of("(?s).{0,9}"), "/[a-cž]{1,9}").prop_map(
        |(modality, id, text, path)| match modality {
            Modality::Text => Item { text, ..Item::text(id, "") },
            _ => Item { id, text, ..Item::file(path, modality) },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn what_is_written_is_read_and_found_as_a_sort_finds_it(
        items in prop::collection::vec(any_item(), 1..40),
        dim in 1usize..20,
        k in 0usize..50,
        wanted in prop::collection::vec(prop::sample::select(Modality::ALL.to_vec()), 0..3),
        seed in any::<u32>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut state = seed;
        let mut number = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Few values make ties.
            ((state >> 24) % 5) as f32 - 2.0
        };
        let vectors: Vec<f32> = (0..items.len() * dim).map(|_| number()).collect();
        let query: Vec<f32> = (0..dim).map(|_| number()).collect();
        let index = written(dir.path(), &items, dim, &vectors);
        prop_assert_eq!(index.items().collect::<Vec<_>>(), items.clone());
        prop_assert_eq!(index.item(items.len() - 1), items.last().cloned());
        prop_assert_eq!(index.item(items.len()), None);
        let mut naive: Vec<Hit> = (0..items.len())
            .filter(|i| wanted.is_empty() || wanted.contains(&items[*i].modality))
            .map(|i| Hit { index: i, score: similarity(&query, &vectors[i * dim..(i + 1) * dim]) })
            .collect();
        naive.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
        naive.truncate(k);
        prop_assert_eq!(index.search(&query, k, &wanted).unwrap(), naive);
    }
}

#[test]
fn lines_are_written_as_they_always_were() {
    let mut out = Vec::new();
    items().iter().for_each(|item| write_item(&mut out, item).unwrap());
    let lines = [
        r#"{"id":"/data/a.png","modality":"image","path":"/data/a.png"}"#,
        "{\"id\":\"text:0\",\"modality\":\"text\",\"text\":\"un mot\\n\u{2028}\\\"\",\"label\":\"x\",\"lang\":\"fr\",\"part\":2}",
        r#"{"id":"/data/s.tar/b.wav","modality":"audio","path":{"file":"/data/s.tar","offset":512,"length":9,"name":"/data/s.tar/b.wav"},"text":"a clip"}"#,
        r#"{"id":"/data/v.mp4","modality":"video","path":"/data/v.mp4","span":{"start":"3/25","end":"9/25"}}"#,
        r#"{"id":"/data/v.mp4","modality":"image","path":"/data/v.mp4","video":true}"#,
    ];
    assert_eq!(String::from_utf8(out).unwrap(), lines.join("\n") + "\n");
}

#[test]
fn packed_lists_hold_parts_and_no_bytes() {
    let held = Item::file(Blob::bytes("a.png", *b"bytes"), Modality::Image);
    let all: Items = items().into_iter().chain([held.clone()]).collect();
    assert_eq!(all.iter().take(5).collect::<Vec<_>>(), items());
    // It is told apart later: what has no file is left out with that reason.
    assert_eq!(all.get(5), Some(Item { blob: None, ..held }));
    assert_eq!(all.counts()[&Modality::Image], 3);
}

#[test]
fn files_are_counted_once_and_missed_where_they_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let shard = dir.path().join("s.tar");
    fs::write(&shard, "member").unwrap();
    let part = |offset| Item::file(Blob::part(&shard, offset, 2, "m"), Modality::Image);
    let gone = Item::file(dir.path().join("gone.png"), Modality::Image);
    let items =
        [Item::file(&shard, Modality::Audio), part(0), part(2), gone.clone(), gone, Item::text("a", "b")];
    let folder = dir.path().join("index");
    fs::create_dir(&folder).unwrap();
    let index = written(&folder, &items, 1, &[0.0; 6]);
    assert_eq!((index.files().count, index.files().missing), (4, 1));
    let missing: Vec<bool> = index.items().map(|item| item.is_missing()).collect();
    assert_eq!(missing, [false, false, false, true, true, false]);
    // What is remembered of a part is its file's.
    assert_eq!(items[1].stamp(), items[0].stamp());
    assert!(
        items[1].place() != items[2].place() && items[5].place().is_empty() && items[5].stamp().is_empty()
    );
}

#[test]
fn a_damaged_file_is_told_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let (items, folder) = (items(), dir.path());
    let vectors: Vec<f32> = (0..15).map(|v| v as f32).collect();
    drop(written(folder, &items, 3, &vectors));
    for name in [HEADER, VECTORS, ITEMS] {
        let path = folder.join(name);
        let whole = fs::read(&path).unwrap();
        // Cut anywhere, and with something behind it.
        for length in (0..whole.len() - 1).step_by(whole.len() / 23) {
            fs::write(&path, &whole[..length]).unwrap();
            let said = refused(folder);
            assert!(said.contains(name), "{name} cut to {length}: {said}");
        }
        fs::write(&path, [&whole[..], b"\n{}\n"].concat()).unwrap();
        assert!(refused(folder).contains(name));
        // Changed anywhere: of the header's words some may be any.
        if name == ITEMS {
            for at in (0..whole.len()).step_by(11) {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                fs::write(&path, changed).unwrap();
                assert!(refused(folder).contains(name), "{at}");
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(refused(folder).contains(name));
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(Index::<String>::open(folder).unwrap().len(), 5);
    assert!(refused(&folder.join("none")).contains("this is no index; `unisono index build` makes one"));
}

#[test]
fn lines_that_are_no_items_are_told_by_their_number_whatever_the_sums_say() {
    let dir = tempfile::tempdir().unwrap();
    let two = [Item::text("a", "b"), Item::text("c", "d")];
    let mut lines = Vec::new();
    two.iter().for_each(|item| write_item(&mut lines, item).unwrap());
    forged(dir.path(), &two, &lines);
    assert_eq!(Index::<String>::open(dir.path()).unwrap().item(1).unwrap(), two[1]);
    // Without the last line's end, and as other systems end lines.
    for lines in [lines[..lines.len() - 1].to_vec(), lines.to_vec().join_lines("\r\n")] {
        forged(dir.path(), &two, &lines);
        assert_eq!(Index::<String>::open(dir.path()).unwrap().items().collect::<Vec<_>>(), two);
    }
    let first = String::from_utf8(lines.clone()).unwrap().lines().next().unwrap().to_owned();
    for (second, said) in [
        ("{", "items.jsonl: line 2: EOF while parsing"),
        ("7", "items.jsonl: line 2: invalid type"),
        (r#"{"id": "a"}"#, "line 2: missing field `modality`"),
        (r#"{"id": "a", "modality": "smell"}"#, "line 2: unknown variant `smell`"),
        (
            r#"{"id": "a", "modality": "image", "path": 7}"#,
            "line 2: invalid type: integer `7`, expected a path",
        ),
        (r#"{"id": "a", "modality": "image", "path": {"file": "a"}}"#, "line 2: missing field `name`"),
        ("", "line 2: EOF"),
        (r#"{"id": "a", "modality": "image"}"#, "modalities are not those of index.json"),
    ] {
        forged(dir.path(), &two, format!("{first}\n{second}\n").as_bytes());
        let found = refused(dir.path());
        assert!(found.contains(said), "{found}: {said}");
    }
    forged(dir.path(), &two, b"\xff\n\xfe\n");
    assert!(refused(dir.path()).contains("items.jsonl: line "));
    // More lines than there are rows are not kept to be counted.
    forged(dir.path(), &two, &b"\n".repeat(1 << 20));
    assert!(refused(dir.path()).contains("expected 2 lines, found 1048576: cut or of another index"));
    forged(dir.path(), &two, &b" ".repeat((2 << 20) + 1));
    assert!(refused(dir.path()).contains("2097153 bytes, more than the 2097152 bytes"));
    let none = header(&[], 1, String::new());
    unisono_files::write_json(&dir.path().join(HEADER), &none).unwrap();
    assert!(refused(dir.path()).contains("0 items of width 1"));
    let other = Header { format_version: 99, ..none };
    unisono_files::write_json(&dir.path().join(HEADER), &other).unwrap();
    assert!(refused(dir.path()).contains("format version 99, this build reads 1 to 2"));
}

trait Lines {
    fn join_lines(self, end: &str) -> Vec<u8>;
}

impl Lines for Vec<u8> {
    fn join_lines(self, end: &str) -> Vec<u8> {
        let text = String::from_utf8(self).unwrap();
        text.lines().map(|line| format!("{line}{end}")).collect::<String>().into_bytes()
    }
}

#[test]
fn a_head_of_a_tensor_is_aligned_and_says_where_it_ends() {
    for (count, dim) in [(0, 1), (1, 1), (7, 3), (1_000_000, 512)] {
        for metadata in [BTreeMap::new(), [("a".to_owned(), "\"é\n".to_owned())].into()] {
            let metadata = metadata.into_iter().collect();
            let head = tensor_head(count, dim, &metadata).unwrap();
            let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            assert_eq!((head.len(), length % 8), (8 + length, 0));
            let json: serde_json::Value = serde_json::from_slice(&head[8..]).unwrap();
            assert_eq!(json["vectors"]["shape"], serde_json::json!([count, dim]));
            assert_eq!(json["vectors"]["data_offsets"], serde_json::json!([0, count * dim * 4]));
            assert_eq!(json["__metadata__"]["a"].as_str(), metadata.get("a").map(String::as_str));
        }
    }
}

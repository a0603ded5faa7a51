use super::form::Form;
use super::unique::Ids;
use super::*;
use crate::manifest::JsonLines;
use crate::{Manifest, Source};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn written(content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.jsonl");
    fs::write(&path, content).unwrap();
    (dir, path)
}

/// With an index file, however small.
fn filed(path: &Path) -> crate::Result<Lined<JsonLines>> {
    Lined::over(path, JsonLines::of(path), 0)
}

fn index(path: &Path) -> PathBuf {
    path.with_file_name(".m.jsonl.index")
}

fn content() -> String {
    let line = |i: usize| {
        let split = ["train", "val"][i % 2];
        format!(
            "{{\"id\":\"r{i}\",\"text\":\"text {i} é\",\"image\":\"{i}.png\",\"split\":\"{split}\",\"lang\":\"fr\"}}\n"
        )
    };
    let lines: String = (0..100).map(line).collect();
    format!("\u{feff}{lines}\n  \r\n{{\"id\":\"last\",\"audio\":\"a.ogg\"}}")
}

#[test]
fn a_manifest_by_position_is_the_manifest_in_memory() {
    let (_dir, path) = written(&content());
    let whole = Manifest::load(&path).unwrap();
    for large in [0, u64::MAX] {
        let lines = Lined::over(&path, JsonLines::of(&path), large).unwrap();
        assert_eq!((lines.len(), lines.path()), (101, path.as_path()));
        for (i, record) in whole.records.iter().enumerate() {
            assert_eq!(*lines.record(i).unwrap(), *record);
            assert_eq!(lines.key(i), record.part_key());
        }
        // Keys in any order: blocks come and go.
        assert_eq!(lines.key(100).split, None);
        assert_eq!(lines.key(0).split, Some("train"));
        assert_eq!(lines.splits(), Source::splits(&whole));
        let said = lines.record(101).unwrap_err().to_string();
        assert!(said.ends_with("there is no record of number 101"), "{said}");
        assert_eq!(lines.key(101), Default::default());
        assert_eq!(index(&path).exists(), large == 0);
        fs::remove_file(index(&path)).unwrap_or_default();
    }
}

#[test]
fn an_index_is_used_again_until_its_file_changes() {
    let (_dir, path) = written(&content());
    let first = filed(&path).unwrap().sum().unwrap();
    let stamp = |path: &Path| unisono_files::Stamp::of(path).unwrap();
    let made = stamp(&index(&path));
    assert_eq!(filed(&path).unwrap().sum().unwrap(), first);
    assert_eq!(stamp(&index(&path)), made, "it was made anew");
    fs::write(&path, content() + "\n{\"id\":\"more\",\"text\":\"x\"}").unwrap();
    let grown = filed(&path).unwrap();
    assert_eq!(grown.len(), 102);
    assert_ne!(grown.sum().unwrap(), first);
    // Only the index itself is left beside it.
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
}

#[test]
fn a_broken_index_is_made_anew_and_a_lying_one_harms_nobody() {
    let (_dir, path) = written(&content());
    let sum = filed(&path).unwrap().sum().unwrap();
    let good = fs::read(index(&path)).unwrap();
    for cut in [0, 1, 15, 16, 100, good.len() - 1] {
        fs::write(index(&path), &good[..cut]).unwrap();
        assert_eq!(filed(&path).unwrap().sum().unwrap(), sum);
    }
    // Entries that lie: each record is refused or another one's, and nothing panics.
    let mut lying = good.clone();
    for (i, byte) in lying.iter_mut().take(101 * 24).enumerate() {
        *byte = (i * 37) as u8 | 128;
    }
    fs::write(index(&path), &lying).unwrap();
    let lines = filed(&path).unwrap();
    for i in 0..lines.len() {
        let said = lines.record(i).unwrap_err().to_string();
        assert_eq!(said.lines().count(), 1);
        lines.key(i);
    }
}

#[test]
fn a_folder_that_cannot_be_written_has_its_index_in_the_cache() {
    let (_dir, path) = written(&content());
    let [beside, cached] = stored::places(&path);
    assert_eq!(beside, index(&path));
    assert!(cached.starts_with(unisono_files::cache_folder().join("indices")));
}

#[test]
fn a_file_that_changes_under_its_reader_is_told() {
    let (_dir, path) = written(&content());
    let lines = filed(&path).unwrap();
    fs::OpenOptions::new().append(true).open(&path).unwrap().set_len(500).unwrap();
    let said = lines.record(50).unwrap_err().to_string();
    assert!(said.contains("changed since it was opened"), "{said}");
    // A new file under its name is another: the old one is read on.
    let (_dir, path) = written(&content());
    let lines = filed(&path).unwrap();
    let other = path.with_file_name("other");
    fs::write(&other, "{}").unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(lines.record(3).unwrap().id, "r3");
}

#[test]
fn what_is_wrong_is_said_as_of_a_manifest_in_memory() {
    for content in [
        "{\"id\":\"a\",\"text\":\"x\"}\n{\"id\":\"a\",\"text\":\"y\"}\n",
        "{\"id\":\"a\",\"text\":\"x\"}\n\n{\"id\":\"b\"}\n",
        "{\"id\":\"a\",\"text\":\"x\"}\n{",
        "\n\n",
    ] {
        let (_dir, path) = written(content);
        let (whole, lines) = (Manifest::load(&path).unwrap_err(), filed(&path).unwrap_err());
        let (whole, lines) = (whole.to_string(), lines.to_string());
        // Of an empty file it is said what was expected.
        assert!(whole == lines || lines.ends_with("expected a record, found none"), "{whole}\n{lines}");
        assert!(!index(&path).exists(), "nothing half-written stays");
    }
    let (_dir, path) = written(&"x".repeat(LONGEST as usize + 10));
    let said = filed(&path).unwrap_err().to_string();
    assert!(said.contains("m.jsonl:1: the line is longer than 16777216 bytes"), "{said}");
}

/// Lines of which nothing is known but their ends.
#[derive(Debug)]
struct Plain;

impl Form for Plain {
    fn identity(&self) -> String {
        "plain".into()
    }

    fn end(&self, bytes: &[u8], last: bool) -> Result<Option<usize>, String> {
        let end = bytes.iter().position(|b| *b == b'\n').map(|at| at + 1);
        Ok(end.or(last.then_some(bytes.len())))
    }

    fn record(&self, bytes: &[u8], _: u64) -> Result<Option<crate::Record>, String> {
        let text = String::from_utf8_lossy(bytes).trim().to_owned();
        let id = text.split(' ').next().unwrap_or_default().to_owned();
        Ok((!text.is_empty()).then(|| crate::Record { id, text: vec![text], ..Default::default() }))
    }
}

#[test]
fn files_of_several_chunks_are_cut_where_their_lines_end() {
    // 20 MB in lines of many lengths.
    let mut content = String::new();
    for i in 0..60_000 {
        content += &format!("{i} {}\n", "é".repeat(i % 331));
    }
    let (_dir, path) = written(&content);
    let lines = Lined::over(&path, Plain, 0).unwrap();
    assert_eq!(lines.len(), 60_000);
    for i in (0..60_000).step_by(97).chain([59_999]) {
        let record = lines.record(i).unwrap();
        assert_eq!(record.id, i.to_string());
        assert_eq!(record.text[0].trim(), format!("{i} {}", "é".repeat(i % 331)).trim());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]
    #[test]
    fn the_first_id_that_comes_again_is_found(
        ids in prop::collection::vec(0u8..60, 0..60),
        most in 1usize..20,
    ) {
        let path = Path::new("m.jsonl");
        let mut sums = Ids::of(most);
        let key = sums.key();
        for (i, id) in ids.iter().enumerate() {
            // Some different ids have one sum.
            let sum = if *id < 10 { 7 } else { Ids::sum(&key, &id.to_string()) };
            sums.add(sum, i as u64, path).unwrap();
        }
        let found = sums.twice(path, |a, b| Ok(ids[a as usize] == ids[b as usize])).unwrap();
        let second = (0..ids.len()).find(|i| ids[..*i].contains(&ids[*i]));
        // Of ids that share a sum with others only those are compared that stand beside each other.
        match found {
            Some((a, b)) => prop_assert!(ids[a as usize] == ids[b as usize] && a < b),
            None => prop_assert!(second.is_none_or(|_| ids.iter().any(|id| *id < 10))),
        }
        if !ids.iter().any(|id| *id < 10) {
            prop_assert_eq!(found.map(|(_, b)| b as usize), second);
        }
    }
}

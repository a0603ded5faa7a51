//! Searches by words: BM25 as it is written down, over whatever segments the items lie in.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use support::header;
use unisono_index::{Chance, Editor, Facts, Filter, HEADER, Hit, Index, Item, Parts, SEGMENTS, WORDS, check};
use unisono_processors::Modality;

const TEXTS: [&str; 9] = [
    "a red bus in the rain",
    "the red bus and the red car",
    "a blue car",
    "rain rain rain",
    "红色的巴士在雨中",
    "bus",
    "le bus rouge sous la pluie d'été",
    "an old man paints a bus and a bird and a boat and a bridge",
    "nothing of it",
];

fn built(folder: &std::path::Path, parts: &[std::ops::Range<usize>]) -> Editor<String> {
    fs::create_dir(folder).unwrap();
    let mut editor = Editor::begin(folder, header(2, Parts::default()));
    for part in parts {
        let mut segment = editor.segment().unwrap();
        for n in part.clone() {
            let item = Item::text(format!("text:{n}"), TEXTS[n]);
            segment.push(&item, &Facts::of(&item, None), &[1.0, 0.0]).unwrap();
        }
        editor.commit(Some(segment), &[]).unwrap();
    }
    editor
}

/// BM25 with k1 = 1.2, b = 0.75 over words that spaces part.
fn naive(query: &[&str]) -> Vec<(usize, f64)> {
    let split =
        |text: &str| -> Vec<String> { text.replace('\'', " ").split(' ').map(str::to_owned).collect() };
    let texts: Vec<Vec<String>> = TEXTS.iter().map(|text| split(text)).collect();
    // The Chinese line has seven pairs.
    let long = |n: usize| if n == 4 { 7.0 } else { texts[n].len() as f64 };
    let all = texts.len() as f64;
    let mean = (0..texts.len()).map(long).sum::<f64>() / all;
    let score = |n: usize| -> f64 {
        let of = |word: &&str| {
            let often = |text: &Vec<String>| text.iter().filter(|w| w == word).count() as f64;
            let has = texts.iter().filter(|text| often(text) > 0.0).count() as f64;
            let idf = ((all - has + 0.5) / (has + 0.5) + 1.0).ln();
            idf * often(&texts[n]) * 2.2 / (often(&texts[n]) + 1.2 * (0.25 + 0.75 * long(n) / mean))
        };
        query.iter().map(of).sum()
    };
    let mut found: Vec<(usize, f64)> =
        (0..texts.len()).map(|n| (n, score(n))).filter(|(_, s)| *s > 0.0).collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found
}

#[test]
fn words_are_found_as_bm25_says_in_however_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let cuts: [&[std::ops::Range<usize>]; 3] = [&[0..3, 3..9], &[0..2, 2..3, 3..9], &[0..5, 5..9]];
    for (n, parts) in cuts.into_iter().enumerate() {
        let folder = dir.path().join(n.to_string());
        let editor = built(&folder, parts);
        for query in [&["red", "bus"][..], &["rain"], &["bus", "bridge", "zebra"], &["the"]] {
            let found = editor.index().search_words(&query.join(", "), 9, &Filter::default(), &[]).unwrap();
            let expected = naive(query);
            assert_eq!(
                found.iter().map(|h| h.index).collect::<Vec<_>>(),
                expected.iter().map(|e| e.0).collect::<Vec<_>>()
            );
            for (hit, (_, score)) in found.iter().zip(expected) {
                assert!((f64::from(hit.score) - score).abs() < 1e-5, "{query:?}: {} {score}", hit.score);
            }
        }
        let one =
            |query: &str| editor.index().search_words(query, 1, &Filter::default(), &[]).unwrap()[0].index;
        assert_eq!((one("巴士"), one("ETE"), one("Rouge!")), (4, 6, 6));
    }
}

#[test]
fn filters_removals_and_merges_hold_for_words_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("idx");
    let mut editor = built(&folder, &[0..4, 4..9]);
    editor.commit(None, &[5]).unwrap();
    let rows = |index: &Index<String>, filter: &Filter, without: &[usize]| -> Vec<usize> {
        let mut rows: Vec<usize> =
            index.search_words("bus", 9, filter, without).unwrap().iter().map(|hit| hit.index).collect();
        rows.sort();
        rows
    };
    assert_eq!(rows(editor.index(), &Filter::default(), &[]), [0, 1, 6, 7]);
    assert_eq!(rows(editor.index(), &Filter::default(), &[6]), [0, 1, 7]);
    assert!(rows(editor.index(), &Filter::of(&[Modality::Image]), &[]).is_empty());
    let old = Filter { tests: vec!["text~old".parse().unwrap()], ..Filter::default() };
    assert_eq!(rows(editor.index(), &old, &[]), [7]);
    editor.merge(0).unwrap();
    assert_eq!(rows(editor.index(), &Filter::default(), &[]), [0, 1, 5, 6]);
    let said = editor.index().search_words("… ?", 9, &Filter::default(), &[]).unwrap_err().to_string();
    assert!(said.contains("no word to look for"), "{said}");
}

#[test]
fn indexes_without_words_say_so_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("idx");
    drop(built(&folder, &[0..4, 4..9]));
    let path = folder.join(SEGMENTS).join("000001").join(WORDS);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let seen = check::<String>(&folder).unwrap();
    assert!(seen[0].damage.is_none() && seen[1].damage.as_ref().unwrap().contains(WORDS), "{seen:?}");
    // As segments were before there were words.
    let text = fs::read_to_string(folder.join(HEADER)).unwrap();
    let mut header: serde_json::Value = serde_json::from_str(&text).unwrap();
    for segment in header["parts"]["segments"].as_array_mut().unwrap() {
        segment.as_object_mut().unwrap().remove("words").unwrap();
    }
    fs::write(folder.join(HEADER), header.to_string()).unwrap();
    fs::remove_file(&path).unwrap();
    let mut editor = Editor::<String>::open(&folder).unwrap();
    let said = editor.index().search_words("bus", 9, &Filter::default(), &[]).unwrap_err().to_string();
    assert!(said.contains("unisono index compact"), "{said}");
    editor.merge(0).unwrap();
    assert_eq!(editor.index().search_words("bus", 9, &Filter::default(), &[]).unwrap().len(), 5);
}

/// Rarities are added up: what BM25 says, and the logarithm of the chance; what is not among the nearest is as rare as the last of them.
#[test]
fn what_is_meant_and_what_is_said_are_one_order_by_how_rare_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = built(&dir.path().join("index"), &[0..4, 4..9]);
    let hit = |index, score| Hit { index, score };
    let (meant, said) = ([hit(3, 0.9), hit(5, 0.5)], [hit(5, 4.0), hit(8, 1.0)]);
    assert_eq!(editor.index().fuse(Modality::Text, &meant, &said, 9), None);
    let pairs = (0..1000).map(|n| n as f32 / 1000.0).collect();
    editor.header_mut().parts.chances =
        Chance::of(Modality::Text, Modality::Text, pairs).into_iter().collect();
    let index = editor.index();
    let rare = |hit: &Hit| -index.chance(Modality::Text, hit).unwrap().ln() as f32;
    let (near, far) = (rare(&meant[0]), rare(&meant[1]));
    assert!((near - 10f32.ln()).abs() < 0.02 && (far - 2f32.ln()).abs() < 0.02, "{near} {far}");
    let found = index.fuse(Modality::Text, &meant, &said, 9).unwrap();
    let right = [(5, far + 4.0), (3, near), (8, far + 1.0)];
    for (found, right) in found.iter().zip(right) {
        assert!(found.index == right.0 && (found.score - right.1).abs() < 1e-5, "{found:?} {right:?}");
    }
    assert_eq!((found.len(), index.fuse(Modality::Text, &meant, &said, 2).unwrap().len()), (3, 2));
    assert_eq!(index.fuse(Modality::Text, &[], &said, 2), None);
}

//! Indexes that read vectors in fewer bytes, or walk a graph: with enough candidates they find what comparing all finds, and they say how much they do.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use support::header;
use unisono_index::{
    CODES, Editor, Effort, Facts, Filter, GRAPH, Index, Item, Linked, Method, Parts, Recalled, SEGMENTS,
    Store, check,
};
use unisono_processors::Modality;

const DIM: usize = 48;
const ROWS: usize = 600;

fn item(n: usize) -> Item {
    match n % 3 {
        0 => Item::text(format!("text:{n}"), format!("number {n}")),
        _ => Item::file(format!("/photos/{}/{n}.png", n % 4), Modality::Image),
    }
}

/// A unit vector of this number.
fn vector(n: usize) -> Vec<f32> {
    let mut state = n as u64 * 0x9e37_79b9 + 1;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    let v: Vec<f32> = (0..DIM).map(|_| draw() + draw() + draw()).collect();
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    v.into_iter().map(|x| x / length).collect()
}

fn built(folder: &Path, method: Method) -> Editor<String> {
    fs::create_dir(folder).unwrap();
    let mut editor = Editor::begin(folder, header(DIM, Parts { method, ..Parts::default() }));
    for half in [0..ROWS / 2, ROWS / 2..ROWS] {
        let mut segment = editor.segment().unwrap();
        for n in half {
            segment.push(&item(n), &Facts::of(&item(n), None), &vector(n)).unwrap();
        }
        editor.commit(Some(segment), &[]).unwrap();
    }
    editor
}

fn methods() -> impl Iterator<Item = Method> {
    let all = |store| [Linked::Never, Linked::Always].map(|graph| Method { store, graph, candidates: None });
    Store::ALL.into_iter().flat_map(all)
}

#[test]
fn with_all_as_candidates_every_method_finds_what_comparing_all_finds() {
    let dir = tempfile::tempdir().unwrap();
    for method in methods() {
        let folder = dir.path().join(format!("{}-{}", method.store, method.graph.name()));
        let mut editor = built(&folder, method);
        editor.commit(None, &[3, 301, 302]).unwrap();
        let mut index = Index::<String>::open(&folder).unwrap();
        index.set_effort(Effort { candidates: Some(ROWS), exact: false });
        let mut exact = Index::<String>::open(&folder).unwrap();
        exact.set_effort(Effort { candidates: None, exact: true });
        let some = Filter { modalities: vec![Modality::Image], ..Filter::default() };
        for n in 0..20 {
            let query = vector(ROWS + n);
            for filter in [Filter::default(), some.clone()] {
                let found = index.search_where(&query, 10, &filter, &[7, 8]).unwrap();
                assert_eq!(found, exact.search_where(&query, 10, &filter, &[7, 8]).unwrap(), "{method:?}");
                assert!(found.iter().all(|hit| ![3, 301, 302, 7, 8].contains(&hit.index)));
            }
            let together = index.search_all(&[&query, &vector(n)], 10, &[Modality::Image]).unwrap();
            assert_eq!(together[0], exact.search(&query, 10, &[Modality::Image]).unwrap());
            assert_eq!(together[1], exact.search(&vector(n), 10, &[Modality::Image]).unwrap());
        }
    }
}

#[test]
fn what_is_usual_finds_nearly_all_and_says_how_much() {
    let dir = tempfile::tempdir().unwrap();
    for method in methods().skip(1) {
        let folder = dir.path().join(format!("{}-{}", method.store, method.graph.name()));
        let mut editor = built(&folder, method);
        editor.merge(0).unwrap();
        let said: Vec<Recalled> = editor.index().recall(&[]).unwrap();
        assert_eq!(said.len(), 4, "{method:?}");
        assert!(said.iter().all(|r| r.queries >= 100 && r.share > 0.97 && r.share <= 1.0), "{said:?}");
        let mut index = Index::<String>::open(&folder).unwrap();
        index.set_effort(Effort { candidates: Some(10), exact: false });
        let less = index.recall(&[]).unwrap();
        assert!(less.iter().zip(&said).all(|(few, usual)| few.share <= usual.share), "{less:?}");
    }
    let exact = built(&dir.path().join("exact"), Method::default());
    assert!(exact.index().recall(&[]).unwrap().is_empty());
}

#[test]
fn damage_is_named_and_a_merge_takes_another_method() {
    let dir = tempfile::tempdir().unwrap();
    let method = Method { store: Store::I8, graph: Linked::Always, candidates: Some(40) };
    let folder = dir.path().join("idx");
    let mut editor = built(&folder, method);
    assert!(check::<String>(&folder).unwrap().iter().all(|s| s.damage.is_none()));
    for (segment, file) in [("000000", CODES), ("000001", GRAPH)] {
        let path = folder.join(SEGMENTS).join(segment).join(file);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        fs::write(&path, &bad).unwrap();
        let seen = check::<String>(&folder).unwrap();
        let named = seen.iter().find_map(|s| s.damage.clone()).unwrap();
        assert!(named.contains(file), "{named}");
        // Cut: the others answer.
        fs::write(&path, &good[..good.len() - 8]).unwrap();
        let index = Index::<String>::open(&folder).unwrap();
        assert_eq!(index.damaged().len(), 1);
        assert_eq!(index.search(&vector(1), 400, &[]).unwrap().len(), ROWS / 2);
        fs::write(&path, &good).unwrap();
    }
    editor.merge(0).unwrap();
    let whole = |editor: &Editor<String>| editor.index().header().parts.segments[0].clone();
    assert!(whole(&editor).codes.unwrap().store == Store::I8 && whole(&editor).graph.is_some());
    editor.header_mut().parts.method = Method::default();
    editor.merge(0).unwrap();
    assert_eq!((whole(&editor).codes, whole(&editor).graph), (None, None));
    let number = whole(&editor).number;
    editor.merge(0).unwrap();
    assert_eq!(whole(&editor).number, number);
}

//! Indexes that change: what a list of items would hold is found, whatever was added, removed and merged, and wherever a writer ended.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use proptest::prelude::*;
use std::fs;
use std::path::Path;
use unisono_index::{
    COLUMNS, Editor, Facts, Filter, HEADER, Header, Hit, ITEMS, Index, Item, Parts, Places, SEGMENTS,
    VECTORS, check, repair, similarity,
};
use unisono_processors::Modality;

const DIM: usize = 3;

fn header(root: Option<&str>) -> Header<String> {
    support::header(DIM, Parts { root: root.map(Into::into), ..Parts::default() })
}

fn item(n: usize) -> Item {
    match n % 3 {
        0 => Item::text(format!("text:{n}"), format!("number {n}")),
        1 => Item::file(format!("/photos/{}/{n}.png", n % 4), Modality::Image),
        _ => Item::file(format!("/talks/{n}.wav"), Modality::Audio),
    }
}

fn vector(n: usize) -> [f32; DIM] {
    // Few values make ties.
    [(n * 7 % 5) as f32, (n * 3 % 4) as f32 - 1.0, (n % 2) as f32]
}

fn add(editor: &mut Editor<String>, numbers: impl IntoIterator<Item = usize>, gone: &[usize]) {
    let mut segment = editor.segment().unwrap();
    for n in numbers {
        segment.push(&item(n), &Facts::of(&item(n), None), &vector(n)).unwrap();
    }
    editor.commit(Some(segment), gone).unwrap();
}

/// What a search of a list finds: names and scores.
fn naive(held: &[usize], query: &[f32], k: usize) -> Vec<(String, f32)> {
    let mut all: Vec<_> =
        held.iter().enumerate().map(|(i, n)| (similarity(query, &vector(*n)), i, *n)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all.into_iter().map(|(score, _, n)| (item(n).id, score)).collect()
}

fn found(index: &Index<String>, query: &[f32], k: usize) -> Vec<(String, f32)> {
    let hits = index.search(query, k, &[]).unwrap();
    hits.into_iter().map(|Hit { index: row, score }| (index.item(row).unwrap().id, score)).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Add(usize),
    Remove(Vec<prop::sample::Index>),
    Both(usize, Vec<prop::sample::Index>),
    Merge(prop::sample::Index),
    Settle,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(any::<prop::sample::Index>(), 1..4);
    prop_oneof![
        (1usize..9).prop_map(Step::Add),
        some().prop_map(Step::Remove),
        ((1usize..5), some()).prop_map(|(n, gone)| Step::Both(n, gone)),
        any::<prop::sample::Index>().prop_map(Step::Merge),
        Just(Step::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_an_index_holds_what_a_list_would(steps in prop::collection::vec(step(), 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("idx");
        fs::create_dir(&folder).unwrap();
        let mut editor = Editor::begin(&folder, header(None));
        let (mut held, mut next): (Vec<usize>, usize) = (Vec::new(), 0);
        for step in steps {
            let (new, which) = match &step {
                Step::Add(n) => (*n, &[][..]),
                Step::Remove(which) => (0, &which[..]),
                Step::Both(n, which) => (*n, &which[..]),
                Step::Merge(at) => {
                    editor.merge(at.index(editor.index().segments().len() + 1)).unwrap();
                    continue;
                }
                Step::Settle => {
                    editor.settle().unwrap();
                    continue;
                }
            };
            let rows: Vec<usize> = editor.index().rows().collect();
            let gone: Vec<usize> = if rows.is_empty() { vec![] } else { which.iter().map(|i| rows[i.index(rows.len())]).collect() };
            held = rows.iter().zip(&held).filter(|(row, _)| !gone.contains(row)).map(|(_, n)| *n).collect();
            add(&mut editor, next..next + new, &gone);
            held.extend(next..next + new);
            next += new;
            for index in [editor.index(), &Index::open(&folder).unwrap()] {
                prop_assert_eq!(index.len(), held.len());
                let ids: Vec<String> = index.items().map(|item| item.id).collect();
                prop_assert_eq!(&ids, &held.iter().map(|n| item(*n).id).collect::<Vec<_>>());
                let count = held.iter().filter(|n| *n % 3 == 1).count();
                prop_assert_eq!(index.header().modalities.get(&Modality::Image).copied().unwrap_or(0), count);
                prop_assert_eq!(found(index, &[1.0, 0.5, -0.25], 7), naive(&held, &[1.0, 0.5, -0.25], 7));
            }
        }
        // An index into which nothing was put is not written.
        if folder.join(HEADER).exists() {
            prop_assert!(check::<String>(&folder).unwrap().iter().all(|seen| seen.damage.is_none()));
        }
        // Nothing is left of what was merged.
        let named = editor.index().header().parts.segments.len();
        let there = fs::read_dir(folder.join(SEGMENTS)).map_or(0, Iterator::count);
        prop_assert_eq!(there, named);
    }
}

#[test]
fn sizes_fall_so_that_rows_are_copied_a_few_times() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Editor::begin(dir.path(), header(None));
    for n in 0..40 {
        add(&mut editor, n * 5..n * 5 + 5, &[]);
        editor.settle().unwrap();
        let sizes: Vec<usize> = editor.index().segments().iter().map(|s| s.len()).collect();
        assert!(sizes.windows(2).all(|w| w[0] >= 2 * w[1]) && sizes.len() < 8, "{sizes:?}");
    }
    assert_eq!(editor.index().len(), 200);
}

#[test]
fn what_a_killed_writer_left_is_no_part_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Editor::begin(dir.path(), header(None));
    add(&mut editor, 0..5, &[]);
    let before = fs::read(dir.path().join(HEADER)).unwrap();
    add(&mut editor, 5..9, &[1]);
    // As if the process had ended before the header was written.
    fs::write(dir.path().join(HEADER), before).unwrap();
    fs::create_dir(dir.path().join(SEGMENTS).join(".unisono-killed.tmp")).unwrap();
    let mut again = Editor::<String>::open(dir.path()).unwrap();
    let ids: Vec<String> = again.index().items().map(|item| item.id).collect();
    assert_eq!(ids, (0..5).map(|n| item(n).id).collect::<Vec<_>>());
    add(&mut again, 20..22, &[]);
    let index = Index::<String>::open(dir.path()).unwrap();
    assert_eq!((index.len(), index.item(5).unwrap().id), (7, item(20).id));
    let mut names: Vec<_> =
        fs::read_dir(dir.path().join(SEGMENTS)).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["000000", "000001"]);
    assert_eq!(
        fs::read_dir(dir.path().join(SEGMENTS).join("000000")).unwrap().count(),
        4,
        "the removed rows are gone, too"
    );
}

#[test]
fn a_damaged_segment_is_named_and_the_others_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Editor::begin(dir.path(), header(None));
    for n in 0..3 {
        add(&mut editor, n * 4..n * 4 + 4, &[]);
    }
    drop(editor);
    let at = |name: &str| dir.path().join(SEGMENTS).join("000001").join(name);
    for name in [VECTORS, ITEMS, COLUMNS] {
        let whole = fs::read(at(name)).unwrap();
        // Any byte that changed is found by its sum.
        for place in [0, whole.len() / 2, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[place] ^= 0x10;
            fs::write(at(name), &changed).unwrap();
            let seen = check::<String>(dir.path()).unwrap();
            let damaged: Vec<_> =
                seen.iter().filter(|s| s.damage.is_some()).map(|s| s.segment.as_str()).collect();
            assert_eq!(damaged, ["segments/000001"], "{name} {place}");
            assert!(seen[1].damage.as_ref().unwrap().contains(name), "{seen:?}");
        }
        fs::write(at(name), &whole[..whole.len() - 1]).unwrap();
        let index = Index::<String>::open(dir.path()).unwrap();
        assert_eq!(index.damaged()[0].0, "segments/000001");
        let held: Vec<usize> = (0..4).chain(8..12).collect();
        assert_eq!(found(&index, &[0.2, 1.0, 0.0], 20), naive(&held, &[0.2, 1.0, 0.0], 20));
        let said = Editor::<String>::open(dir.path()).unwrap_err().to_string();
        assert!(said.contains("segments/000001 is damaged") && said.contains("--repair"), "{said}");
        fs::write(at(name), whole).unwrap();
    }
    fs::remove_file(at(VECTORS)).unwrap();
    let seen = check::<String>(dir.path()).unwrap();
    assert_eq!(repair::<String>(dir.path(), &seen).unwrap(), 4);
    let index = Index::<String>::open(dir.path()).unwrap();
    assert_eq!((index.len(), index.damaged().len()), (8, 0));
    assert!(check::<String>(dir.path()).unwrap().iter().all(|s| s.damage.is_none()));
    assert!(!dir.path().join(SEGMENTS).join("000001").exists());
}

#[test]
fn items_move_with_their_root_and_are_written_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Editor::begin(dir.path(), header(Some("/photos")));
    add(&mut editor, [1, 2], &[]);
    drop(editor);
    let mut editor = Editor::<String>::open(dir.path()).unwrap();
    editor.set_root(Path::new("/new/place")).unwrap();
    let moved = Item::file("/new/place/3/7.png", Modality::Image);
    let mut segment = editor.segment().unwrap();
    let facts = Facts::of(&moved, Some(Path::new("/new/place")));
    segment.push(&moved, &facts, &vector(7)).unwrap();
    editor.commit(Some(segment), &[]).unwrap();
    let index = Index::<String>::open(dir.path()).unwrap();
    let ids: Vec<String> = index.items().map(|item| item.id).collect();
    assert_eq!(ids, ["/new/place/1/1.png", "/talks/2.wav", "/new/place/3/7.png"]);
    let segment = &index.segments()[1];
    assert_eq!(segment.item(0), Some(item(7)));
    assert_eq!(segment.facts(0).key, Facts::of(&item(7), Some(Path::new("/photos"))).key);
    let mut none = Index::<String>::open(dir.path()).unwrap();
    none.set_root(Path::new("/elsewhere")).unwrap();
    assert_eq!(none.item(0).unwrap().id, "/elsewhere/1/1.png");
    let plain = tempfile::tempdir().unwrap();
    add(&mut Editor::begin(plain.path(), header(None)), [1], &[]);
    let said =
        Index::<String>::open(plain.path()).unwrap().set_root(Path::new("/x")).unwrap_err().to_string();
    assert!(said.contains("built without --root"), "{said}");
}

#[test]
fn copies_are_known_and_not_found_and_filters_choose() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Editor::begin(dir.path(), header(None));
    let mut segment = editor.segment().unwrap();
    let facts = |item: &Item| Facts::of(item, None).holding(item, b"same");
    segment.copy(item(4), facts(&item(4)));
    for n in [1, 2, 3] {
        segment.push(&item(n), &facts(&item(n)), &vector(n)).unwrap();
    }
    editor.commit(Some(segment), &[]).unwrap();
    editor.merge(0).unwrap();
    let index = Index::<String>::open(dir.path()).unwrap();
    assert_eq!((index.len(), index.header().parts.copies, index.rows().count()), (3, 1, 4));
    assert_eq!((index.item(3).unwrap(), index.vector(3)), (item(4), None));
    assert_eq!(index.segments()[0].facts(3).content, index.segments()[0].facts(0).content);
    let search = |filter: &Filter, without: &[usize]| -> Vec<String> {
        let hits = index.search_where(&[1.0, 1.0, 1.0], 9, filter, without).unwrap();
        let mut ids: Vec<_> = hits.iter().map(|hit| index.item(hit.index).unwrap().id).collect();
        ids.sort();
        ids
    };
    let places = |pattern| Filter { places: Some(Places::new(&[pattern]).unwrap()), ..Filter::default() };
    assert_eq!(search(&places("/photos/**"), &[]), ["/photos/1/1.png"]);
    assert_eq!(search(&Filter::of(&[Modality::Audio]), &[]), ["/talks/2.wav"]);
    assert_eq!(search(&Filter::default(), &[0]), ["/talks/2.wav", "text:3"]);
    let test = Filter { tests: vec!["text~number".parse().unwrap()], ..Filter::default() };
    assert_eq!(search(&test, &[]), ["text:3"]);
    // None of these files is there: none has a time.
    assert!(search(&Filter { since: Some(0), ..Filter::default() }, &[]).is_empty());
    assert_eq!((index.row_of("text:3"), index.row_of("none")), (Some(2), None));
    assert_eq!(index.row_of(&item(4).id), None, "a copy has no vector of its own");
    assert!(index.passes(3, &places("0/*.png")) && !index.passes(0, &places("0/*.png")));
}

/// Where two modalities' scores lie apart, the order of chance puts what is rare first.
#[test]
fn the_order_of_chance_bridges_the_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut editor = Editor::begin(dir.path(), header(None));
    let mut segment = editor.segment().unwrap();
    for n in 0..90usize {
        let angle = n as f32 * 0.02;
        // Images lie near the query, audio files far from it, whatever they show.
        let (modality, base) = if n % 2 == 0 { (Modality::Image, 0.2) } else { (Modality::Audio, 1.2) };
        let own = if n == 1 { 0.9 } else { base + angle.sin() * 0.2 };
        let item = Item { modality, ..Item::file(format!("/{n}"), modality) };
        segment.push(&item, &Facts::of(&item, None), &[own.cos(), own.sin(), 0.0]).unwrap();
    }
    editor.commit(Some(segment), &[]).unwrap();
    let asked: Vec<f32> = (0..30)
        .flat_map(|n| {
            let a = (n as f32 - 15.0) * 0.01;
            [a.cos(), a.sin(), 0.0]
        })
        .collect();
    editor.header_mut().parts.chances = editor.index().measure(&asked);
    let index = editor.index();
    let query = [1.0, 0.0, 0.0];
    let modality = |hits: Vec<Hit>| index.item(hits[0].index).unwrap().id;
    let filter = Filter::default();
    assert_ne!(modality(index.search_where(&query, 5, &filter, &[]).unwrap()), "/1");
    let hits = index.search_by_chance(&query, Modality::Text, 5, &filter, &[]).unwrap();
    assert_eq!(modality(hits.clone()), "/1");
    let chances: Vec<f64> = hits.iter().map(|hit| index.chance(Modality::Text, hit).unwrap()).collect();
    assert!(chances.is_sorted() && chances[0] < 0.02, "{chances:?}");
    assert!(
        index.chance(Modality::Video, &hits[0]).is_some()
            && index.chances(Modality::Text, Modality::Text).is_none()
    );
}

//! Indexes that grow: only what is new or has changed is embedded, what is equal is stored once, and nothing is lost.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use support::{audio, collection, image, model_dir, names};
use tch::Device;
use unisono_encoders::Role;
use unisono_jobs::index::{
    AddOptions, AddReport, BuildOptions, Filter, Growth, Likeness, Linked, Method, Removal, Store, add,
    build, compact, duplicates, map, merge, remove,
};
use unisono_jobs::{EmbedOptions, Embedder, Error, Flow, Index, Inputs, Modality, Progress, Result, Shard};

fn go_on(_: Progress) -> Flow {
    Flow::Continue
}

struct Place {
    dir: tempfile::TempDir,
    model: PathBuf,
    index: PathBuf,
    media: PathBuf,
}

const WORK: EmbedOptions = EmbedOptions { batch: 4, workers: 2, max_skip: 9 };

/// An index of three images and two sounds in a folder.
fn place(root: bool) -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (model, media, index) = (model_dir(dir.path()), dir.path().join("media"), dir.path().join("idx"));
    fs::create_dir(&media).unwrap();
    (0..3).for_each(|n| image(&media.join(format!("p{n}.png")), n));
    (0..2).for_each(|n| audio(&media.join(format!("s{n}.wav")), n));
    let root = root.then(|| media.clone());
    let options =
        BuildOptions { inputs: Inputs::files([&media]), embed: WORK, root, ..BuildOptions::default() };
    let report = build(&model, Device::Cpu, &index, &options, &mut go_on).unwrap();
    assert_eq!((report.header.count, report.copies, report.resumed), (5, 0, 0));
    Place { dir, model, index, media }
}

fn load(dir: &Path) -> Result<Embedder> {
    Embedder::load_as(dir, Some(Role::Document), Device::Cpu)
}

impl Place {
    fn add(&self, options: &AddOptions) -> Result<AddReport> {
        let options = AddOptions { embed: WORK, ..options.clone() };
        add(&self.index, |dir, _| load(dir), &options, &mut go_on)
    }

    fn again(&self) -> Growth {
        self.add(&AddOptions { inputs: Inputs::files([&self.media]), ..AddOptions::default() })
            .unwrap()
            .growth
    }

    fn ids(&self) -> Vec<String> {
        let index = Index::open(&self.index).unwrap();
        let name =
            |id: &str| Path::new(id).file_name().map_or(id.to_owned(), |n| n.to_str().unwrap().to_owned());
        let mut ids: Vec<String> = index.items().map(|item| name(&item.id)).collect();
        ids.sort();
        ids
    }

    /// Every row with a vector is what a fresh embedding of its file gives.
    fn is_true(&self) {
        let index = Index::open(&self.index).unwrap();
        let embedder = load(&self.model).unwrap();
        for row in index.rows() {
            let (item, Some(vector)) = (index.item(row).unwrap(), index.vector(row)) else { continue };
            let fresh = match item.modality {
                Modality::Image => embedder.image(item.blob.unwrap()).unwrap(),
                Modality::Audio => embedder.audio(item.blob.unwrap()).unwrap(),
                _ => embedder.texts(&[item.text.unwrap()]).unwrap().data,
            };
            let cosine = unisono_jobs::similarity(&fresh, vector);
            assert!(cosine > 0.9999, "{}: {cosine}", item.id);
        }
    }
}

fn growth(embedded: usize, kept: usize, copies: usize, unchanged: usize) -> Growth {
    Growth { embedded, kept, copies, unchanged, ..Growth::default() }
}

#[test]
fn only_what_is_new_or_has_changed_is_embedded() {
    let p = place(false);
    assert_eq!(p.again(), growth(0, 0, 0, 5));
    image(&p.media.join("p7.png"), 7);
    assert_eq!(p.again(), growth(1, 0, 0, 5));
    // Touched, and what it holds is as before.
    let touched = fs::File::options().append(true).open(p.media.join("p0.png")).unwrap();
    touched.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * 365)).unwrap();
    assert_eq!(p.again(), growth(0, 1, 0, 5));
    // Another picture under the name.
    image(&p.media.join("p1.png"), 40);
    assert_eq!(p.again(), growth(1, 0, 0, 5));
    assert_eq!(p.again(), growth(0, 0, 0, 6));
    assert_eq!(p.ids(), ["p0.png", "p1.png", "p2.png", "p7.png", "s0.wav", "s1.wav"]);
    p.is_true();
    // A broken file is told each time, and nothing else changes.
    fs::write(p.media.join("bad.png"), "none").unwrap();
    for _ in 0..2 {
        let found = p.again();
        assert_eq!((found.skipped.len(), found.unchanged), (1, 6), "{found:?}");
        assert!(found.skipped[0].id.ends_with("bad.png"));
    }
    assert!(Index::open(&p.index).unwrap().header().built.changed.is_some());
    let filter = Filter { before: Some(86_400_000_000_000 * 366), ..Filter::default() };
    let index = Index::open(&p.index).unwrap();
    let old = index.search_where(&[0.5; support::DIM], 9, &filter, &[]).unwrap();
    assert_eq!(old.len(), 1);
    assert!(index.item(old[0].index).unwrap().id.ends_with("p0.png"));
}

#[test]
fn equal_files_are_stored_once_and_none_is_lost() {
    let p = place(false);
    let at = |name: &str| p.media.join(name);
    fs::copy(at("p0.png"), at("q0.png")).unwrap();
    fs::copy(at("p0.png"), at("q1.png")).unwrap();
    image(&at("x.png"), 50);
    fs::copy(at("x.png"), at("y.png")).unwrap();
    assert_eq!(p.again(), growth(1, 0, 3, 5));
    assert_eq!(p.again(), growth(0, 0, 0, 9));
    let index = Index::open(&p.index).unwrap();
    assert_eq!((index.len(), index.header().parts.copies), (6, 3));
    // The one that had the vector becomes another picture: one of its copies takes the vector over.
    image(&at("p0.png"), 60);
    assert_eq!(p.again(), growth(1, 0, 0, 8));
    assert_eq!(p.ids(), ["p0.png", "p1.png", "p2.png", "q0.png", "s0.wav", "s1.wav", "x.png"]);
    p.is_true();
    // And the one after it.
    let gone = |named: &[PathBuf]| {
        remove(&p.index, &Removal { named: named.to_vec(), ..Removal::default() }).unwrap().0
    };
    assert_eq!(gone(&[at("q0.png")]), 1);
    assert!(p.ids().contains(&"q1.png".to_owned()));
    assert_eq!(gone(&[at("q1.png"), at("x.png"), at("y.png")]), 3);
    assert_eq!(p.ids(), ["p0.png", "p1.png", "p2.png", "s0.wav", "s1.wav"]);
    assert_eq!(Index::open(&p.index).unwrap().header().parts.copies, 0);
    // Two that change places, and were written at other times than those that stood there.
    for (name, days) in [("p1.png", 1), ("p2.png", 2)] {
        let file = fs::File::options().append(true).open(at(name)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(86_400 * days)).unwrap();
    }
    for name in ["q0.png", "q1.png", "x.png", "y.png"] {
        fs::remove_file(at(name)).unwrap();
    }
    fs::rename(at("p1.png"), at("t.png")).unwrap();
    fs::rename(at("p2.png"), at("p1.png")).unwrap();
    fs::rename(at("t.png"), at("p2.png")).unwrap();
    assert_eq!(p.again(), growth(0, 2, 0, 3));
    p.is_true();
}

#[test]
fn what_is_removed_is_found_no_more() {
    let p = place(false);
    let holds = |text: &str| p.ids().iter().any(|id| id.contains(text));
    fs::remove_file(p.media.join("p1.png")).unwrap();
    let (count, header) = remove(&p.index, &Removal { missing: true, ..Removal::default() }).unwrap();
    assert_eq!((count, header.count, holds("p1.png")), (1, 4, false));
    let sounds = Filter::of(&[Modality::Audio]);
    let (count, _) = remove(&p.index, &Removal { filter: Some(sounds), ..Removal::default() }).unwrap();
    assert_eq!((count, holds(".wav")), (2, false));
    let named = |path: &str| Removal { named: vec![path.into()], ..Removal::default() };
    let said = remove(&p.index, &named("/none/such")).unwrap_err().to_string();
    assert!(
        said.contains("holds nothing of the name /none/such") && said.contains("nothing was removed"),
        "{said}"
    );
    let (count, header) = remove(&p.index, &named(p.media.to_str().unwrap())).unwrap();
    assert_eq!((count, header.count), (2, 0));
    let index = Index::open(&p.index).unwrap();
    assert!(index.is_empty() && index.search(&[0.5; support::DIM], 3, &[]).unwrap().is_empty());
    assert_eq!(p.again().embedded, 4);
}

#[test]
fn a_collection_moves_and_is_known_again() {
    let p = place(true);
    let new = p.dir.path().join("elsewhere/media");
    fs::create_dir(new.parent().unwrap()).unwrap();
    fs::rename(&p.media, &new).unwrap();
    image(&new.join("new.png"), 70);
    let root = Some(new.clone());
    let options = AddOptions { inputs: Inputs::files([&new]), root, ..AddOptions::default() };
    assert_eq!(p.add(&options).unwrap().growth, growth(1, 0, 0, 5));
    let index = Index::open(&p.index).unwrap();
    assert!(index.items().all(|item| item.blob.unwrap().path().unwrap().starts_with(&new)));
    assert_eq!(index.files().missing, 0);
    p.is_true();
    // Written anew, the paths are those of now.
    let header = compact(&p.index, None, None).unwrap();
    assert_eq!((header.parts.root.as_deref(), header.parts.moved), (Some(new.as_path()), None));
    assert_eq!(header.parts.segments.len(), 1);
    let options = AddOptions { inputs: Inputs::files([&new]), ..AddOptions::default() };
    assert_eq!(p.add(&options).unwrap().growth, growth(0, 0, 0, 6));
}

#[test]
fn texts_go_on_in_their_numbers() {
    let p = place(false);
    let texts = |all: &[&str]| AddOptions {
        inputs: Inputs { texts: all.iter().map(|t| (*t).to_owned()).collect(), ..Inputs::default() },
        ..AddOptions::default()
    };
    p.add(&texts(&["a red bus", "un chat", "a red bus"])).unwrap();
    let found = p.add(&texts(&["un chat", "ein Hund"])).unwrap();
    assert_eq!((found.growth.embedded, found.growth.unchanged), (1, 1));
    assert_eq!(found.header.built.texts.as_ref().unwrap().count, 5);
    let index = Index::open(&p.index).unwrap();
    let ids: Vec<String> = index.items().filter(|i| i.modality == Modality::Text).map(|i| i.id).collect();
    assert_eq!(ids, ["text:0", "text:1", "text:4"]);
    p.is_true();
}

#[test]
fn indexes_of_one_model_become_one() {
    let p = place(false);
    let (other, out) = (p.dir.path().join("other"), p.dir.path().join("both"));
    let more = p.dir.path().join("more");
    fs::create_dir(&more).unwrap();
    image(&more.join("m.png"), 80);
    fs::copy(p.media.join("p1.png"), more.join("same.png")).unwrap();
    let inputs = Inputs::files([&more, &p.media.join("p2.png")]);
    let options = BuildOptions { inputs, embed: WORK, ..BuildOptions::default() };
    build(&p.model, Device::Cpu, &other, &options, &mut go_on).unwrap();
    let header = merge(&[p.index.clone(), other.clone()], &out).unwrap();
    // One picture is in both, and one holds what another one holds.
    assert_eq!((header.count, header.parts.copies, header.built.inputs.paths.len()), (6, 1, 3));
    Place { index: out.clone(), ..place(false) }.is_true();
    let model = p.dir.path().join("model8");
    support::model(8, &support::TOWERS).save(&model).unwrap();
    build(&model, Device::Cpu, &other, &options, &mut go_on).unwrap();
    let said = merge(&[p.index.clone(), other], &out).unwrap_err().to_string();
    assert!(said.contains("model, prompt or windows differ"), "{said}");
    let options = AddOptions { model: Some(model), inputs: Inputs::files([&more]), ..AddOptions::default() };
    let said = p.add(&options).unwrap_err().to_string();
    assert!(said.contains("not the model that made the index"), "{said}");
}

#[test]
fn a_stopped_build_goes_on_and_ends_in_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let model = model_dir(dir.path());
    let texts: Vec<String> = (0..2500).map(|n| format!("number {n}")).collect();
    let inputs = Inputs { texts, ..Inputs::default() };
    let options = BuildOptions { inputs, embed: WORK, ..BuildOptions::default() };
    let at = |name: &str| dir.path().join(name);
    build(&model, Device::Cpu, &at("whole"), &options, &mut go_on).unwrap();
    let mut stop =
        |p: Progress| if p.stage == "embed" && p.done > 2100 { Flow::Stop } else { Flow::Continue };
    let e = build(&model, Device::Cpu, &at("idx"), &options, &mut stop).unwrap_err();
    assert!(matches!(e, Error::Interrupted), "{e}");
    assert_eq!(names(dir.path()), ["idx.partial", "model", "whole"]);
    assert_eq!(Index::open(at("idx.partial")).unwrap().len(), 2048);
    let report = build(&model, Device::Cpu, &at("idx"), &options, &mut go_on).unwrap();
    assert_eq!((report.resumed, report.header.count), (2048, 2500));
    assert_eq!(names(dir.path()), ["idx", "model", "whole"]);
    let bytes = |name: &str, file: &str| {
        let segments = at(name).join("segments");
        fs::read(segments.join(&names(&segments)[0]).join(file)).unwrap()
    };
    for file in ["vectors.safetensors", "items.jsonl", "columns.bin"] {
        assert!(bytes("idx", file) == bytes("whole", file), "{file}");
    }
    // So does an index that grows, and other inputs begin anew.
    let inputs = Inputs { texts: vec!["a red bus".into()], ..Inputs::default() };
    let few = BuildOptions { inputs, ..options.clone() };
    let _ = build(&model, Device::Cpu, &at("idx2"), &options, &mut stop).unwrap_err();
    let report = build(&model, Device::Cpu, &at("idx2"), &few, &mut go_on).unwrap();
    assert_eq!((report.header.count, Index::open(at("idx2")).unwrap().len()), (1, 1));
    assert_eq!(report.header.parts.copies, 0);
}

#[test]
fn records_keys_are_kept_and_filtered_by() {
    let dir = tempfile::tempdir().unwrap();
    let (model, media) = (model_dir(dir.path()), dir.path().join("media"));
    fs::create_dir(&media).unwrap();
    let manifest = collection(&media, 4);
    let lines = fs::read_to_string(&manifest).unwrap();
    let lines: String = lines
        .lines()
        .enumerate()
        .map(|(n, line)| {
            let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
            record["year"] = (2000 + n).into();
            record["nested"] = serde_json::json!({ "a": 1 });
            format!("{record}\n")
        })
        .collect();
    fs::write(&manifest, lines).unwrap();
    let inputs = Inputs { source: Some(manifest.as_path().into()), ..Inputs::default() };
    let index = dir.path().join("idx");
    let options = BuildOptions { inputs, embed: WORK, ..BuildOptions::default() };
    build(&model, Device::Cpu, &index, &options, &mut go_on).unwrap();
    let index = Index::open(&index).unwrap();
    let found = |test: &str| {
        let filter = Filter { tests: vec![test.parse().unwrap()], ..Filter::of(&[Modality::Image]) };
        index.search_where(&[0.5; support::DIM], 50, &filter, &[]).unwrap().len()
    };
    let all = found("year>=2000");
    assert!(all > 1 && found("year>2000") == all - 1 && found("year=1999") == 0, "{all}");
    assert!(index.items().all(|item| !item.meta.contains_key("nested") && item.meta.contains_key("split")));
}

#[test]
fn parts_of_a_collection_make_one_index_of_it() {
    let p = place(true);
    (10..30).for_each(|n| image(&p.media.join(format!("p{n}.png")), n));
    let at = |name: &str| p.dir.path().join(name);
    let part = |shard: Shard| BuildOptions {
        inputs: Inputs::files([&p.media]),
        embed: WORK,
        root: Some(p.media.clone()),
        shard,
        ..BuildOptions::default()
    };
    let whole = build(&p.model, Device::Cpu, &at("whole"), &part(Shard::WHOLE), &mut go_on).unwrap();
    let mut counts = Vec::new();
    for index in 0..2 {
        let options = part(Shard { index, count: 2 });
        let out = at(&format!("part{index}"));
        counts.push(build(&p.model, Device::Cpu, &out, &options, &mut go_on).unwrap().header.count);
    }
    assert!(
        counts.iter().sum::<usize>() == whole.header.count && counts.iter().all(|n| *n > 4),
        "{counts:?}"
    );
    let header = merge(&[at("part0"), at("part1")], &at("both")).unwrap();
    assert_eq!((header.count, header.modalities), (25, whole.header.modalities));
    let none = BuildOptions { inputs: Inputs::files([p.media.join("p0.png")]), ..part(Shard::WHOLE) };
    let said = (0..2).map(|index| {
        let options = BuildOptions { shard: Shard { index, count: 2 }, ..none.clone() };
        build(&p.model, Device::Cpu, &at("one"), &options, &mut go_on)
    });
    let said: Vec<String> = said.filter_map(Result::err).map(|e| e.to_string()).collect();
    assert!(said.len() == 1 && said[0].contains("--shard"), "{said:?}");
}

#[test]
fn copies_and_their_like_are_named_and_drawn() {
    let p = place(false);
    fs::copy(p.media.join("p1.png"), p.media.join("same.png")).unwrap();
    // Another file of the same pixels has the same vector.
    let pixels = ::image::open(p.media.join("p2.png")).unwrap().to_rgb8();
    pixels.save(p.media.join("like.bmp")).unwrap();
    p.again();
    for method in [Method::default(), Method { store: Store::I8, graph: Linked::Always, candidates: None }] {
        assert_eq!(compact(&p.index, None, Some(method)).unwrap().parts.method, method);
        let index = Index::open(&p.index).unwrap();
        let what = Likeness { cosine: 0.999_99, filter: Filter::of(&[Modality::Image]) };
        let groups = duplicates(&index, &what, &mut go_on).unwrap();
        let names = |n: usize| -> Vec<(String, bool)> {
            let name = |id: &str| Path::new(id).file_name().unwrap().to_str().unwrap().to_owned();
            let mut all: Vec<_> =
                groups[n].items.iter().map(|like| (name(&like.item.id), like.copy)).collect();
            all.sort();
            all
        };
        assert_eq!(groups.len(), 2, "{groups:?}");
        let (mut a, mut b) = (names(0), names(1));
        if a[0].0 != "like.bmp" {
            (a, b) = (b, a);
        }
        assert_eq!(a, [("like.bmp".to_owned(), false), ("p2.png".to_owned(), false)]);
        assert_eq!(b, [("p1.png".to_owned(), false), ("same.png".to_owned(), true)]);
        let all = Likeness { cosine: -1.0, filter: Filter::default() };
        let sizes: Vec<usize> =
            duplicates(&index, &all, &mut go_on).unwrap().iter().map(|group| group.items.len()).collect();
        assert_eq!(sizes, [5, 2]);
    }
    let index = Index::open(&p.index).unwrap();
    let page = map(&index, 100);
    assert!(page.matches("data:image/jpeg").count() == 4 && page.matches("role=\"listitem\"").count() == 6);
    assert_eq!(map(&index, 2).matches("role=\"listitem\"").count(), 2);
}

//! What a model makes of data to stand beside them: similar pairs, hard negatives, a teacher's vectors.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::{TOWERS, collection, model};
use tch::Device;
use unisono_datasets::vectors::{Expected, SCALE, VectorFile, View};
use unisono_datasets::{Source, SourceConfig, open};
use unisono_jobs::curate::{
    Embedding, Fell, FilterOptions, Likeness, MineOptions, TeachOptions, Views, filter, mine, teach,
    work_path,
};
use unisono_jobs::output::Format;
use unisono_jobs::{EmbedOptions, Embedder, Error, Flow, Modality, Progress, partial, similarity};
use unisono_media::Blob;
use unisono_processors::{Contract, Medium, Prepared};

const HOW: EmbedOptions = EmbedOptions { batch: 4, workers: 2, max_skip: 10 };

fn go_on(_: Progress) -> Flow {
    Flow::Continue
}

struct Room {
    dir: tempfile::TempDir,
    embedder: Embedder,
    source: Arc<dyn Source>,
}

impl Room {
    /// `n` things with an image, an audio file, an English and a German caption, and a model in a folder.
    fn new(n: u8) -> Self {
        let dir = tempfile::tempdir().unwrap();
        model(7, &TOWERS).save(&dir.path().join("model")).unwrap();
        let manifest = collection(dir.path(), n);
        let embedder = Embedder::load(dir.path().join("model"), Device::Cpu).unwrap();
        Self { embedder, source: open(&SourceConfig::new(manifest)).unwrap(), dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn embedding(&self) -> Embedding<'_> {
        Embedding { embedder: &self.embedder, options: &HOW, fresh: false }
    }

    /// The cosine of a record's image and text.
    fn like(&self, image: usize, text: usize) -> f32 {
        let (image, text) = (self.source.record(image).unwrap(), self.source.record(text).unwrap());
        let image = self.embedder.image(image.image.clone().unwrap()).unwrap();
        similarity(&image, &self.embedder.texts(&text.text[..1]).unwrap().data)
    }
}

fn lines(path: &Path) -> Vec<serde_json::Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_most_similar_pairs_stay() {
    let room = Room::new(5);
    let out = room.at("kept.jsonl");
    let asked = |min, best| FilterOptions {
        likeness: Some(Likeness { pair: (Modality::Image, Modality::Text), min, best }),
        workers: 2,
        ..FilterOptions::default()
    };
    let run = |asked: &FilterOptions| {
        filter(&room.source, asked, Some(&room.embedding()), &out, &mut |_| (), &mut go_on)
    };
    let made = run(&asked(None, Some(0.3))).unwrap();
    let mut likes: Vec<(usize, f32)> = (0..10).map(|i| (i, room.like(i, i))).collect();
    likes.sort_by(|a, b| b.1.total_cmp(&a.1));
    let best: BTreeSet<usize> = likes[..3].iter().map(|(i, _)| *i).collect();
    let ids = |rows: &BTreeSet<usize>| {
        rows.iter().map(|i| room.source.id(*i).unwrap().into_owned()).collect::<Vec<_>>()
    };
    let written = lines(&out);
    assert_eq!(written.iter().map(|l| l["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>(), ids(&best));
    for (line, row) in written.iter().zip(&best) {
        assert!((line["similarity"].as_f64().unwrap() as f32 - room.like(*row, *row)).abs() < 1e-5);
    }
    assert_eq!((made.kept, made.fell[&Fell::KeepBest]), (3, 7));
    let spread = made.similarity.unwrap();
    assert!((spread[0] - likes[9].1).abs() < 1e-5 && (spread[2] - likes[0].1).abs() < 1e-5);
    // Between two of them.
    let least = (likes[6].1 + likes[7].1) / 2.0;
    assert_eq!(run(&asked(Some(least), None)).unwrap().kept, 7);
    assert!(!partial(&work_path(&out)).exists());
    let said = run(&asked(Some(1.0), None)).unwrap_err().to_string();
    assert!(said.contains("none of 10 records meets the conditions: 10 fell by least similarity"), "{said}");
    let video = Some(Likeness { pair: (Modality::Image, Modality::Video), min: None, best: Some(0.5) });
    let said = run(&FilterOptions { likeness: video, ..FilterOptions::default() }).unwrap_err().to_string();
    assert!(said.contains("no record has any video"), "{said}");
}

#[test]
fn negatives_are_the_nearest_that_are_something_else() {
    let room = Room::new(6);
    let out = room.at("negatives.jsonl");
    let asked = MineOptions {
        pair: (Modality::Text, Modality::Image),
        k: 3,
        max_score: None,
        margin: None,
        same_text: 2.0,
    };
    let run = |asked: &MineOptions| {
        mine(&*room.source, asked, &room.embedding(), &out, &mut |_| (), &mut go_on).unwrap()
    };
    let made = run(&asked);
    assert_eq!((made.records, made.negatives, made.short), (12, 36, 0));
    for (row, line) in lines(&out).iter().enumerate() {
        // A thing has two records of one label.
        let mut others: Vec<(usize, f32)> = (0..12)
            .filter(|other| other / 2 != row / 2)
            .map(|other| (other, room.like(other, row)))
            .collect();
        others.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut things = BTreeSet::new();
        others.retain(|(other, _)| things.insert(other / 2));
        assert_eq!(line["id"], *room.source.id(row).unwrap());
        let scores: Vec<f64> =
            line["scores"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect();
        for ((score, id), (_, wanted)) in
            scores.iter().zip(line["negatives"].as_array().unwrap()).zip(&others)
        {
            assert!((*score as f32 - wanted).abs() < 1e-5, "{line} {others:?}");
            let other = (0..12).find(|i| *room.source.id(*i).unwrap() == *id.as_str().unwrap()).unwrap();
            assert!(other / 2 != row / 2 && (room.like(other, row) - *score as f32).abs() < 1e-5);
        }
    }
    // What is nearer than its own may be right.
    let margin = run(&MineOptions { margin: Some(0.01), ..asked });
    assert!(margin.negatives < 36 && margin.short > 0);
    for (row, line) in lines(&out).iter().enumerate() {
        let scores = line["scores"].as_array().unwrap();
        assert!(scores.iter().all(|s| (s.as_f64().unwrap() as f32) <= room.like(row, row) - 0.01 + 1e-5));
    }
    // Captions of which all say the same leave nothing.
    assert_eq!(run(&MineOptions { same_text: -1.0, ..asked }).negatives, 0);
    let most = MineOptions { max_score: Some(made.mean_score as f32), ..asked };
    run(&most);
    let above = |line: &serde_json::Value| {
        line["scores"].as_array().unwrap().iter().any(|s| s.as_f64().unwrap() > made.mean_score + 1e-6)
    };
    assert!(!lines(&out).iter().any(above));
    // They are annotations.
    let config = SourceConfig { annotations: vec![out], ..SourceConfig::new(room.at("manifest.jsonl")) };
    let record = open(&config).unwrap().record(0).unwrap().into_owned();
    assert_eq!(
        record.extra["negatives"].as_array().unwrap().len(),
        record.extra["scores"].as_array().unwrap().len()
    );
}

#[test]
fn what_was_stopped_goes_on() {
    let room = Room::new(2);
    // More than a round.
    let many: String = (0..1200).map(|i| format!("{{\"id\":\"{i}\",\"text\":\"number {i}\"}}\n")).collect();
    fs::write(room.at("many.jsonl"), many + "{\"id\":\"image\",\"image\":\"p00.png\"}\n").unwrap();
    let source = open(&SourceConfig::new(room.at("many.jsonl"))).unwrap();
    let out = room.at("negatives.jsonl");
    let asked = MineOptions {
        pair: (Modality::Image, Modality::Text),
        k: 2,
        max_score: None,
        margin: None,
        same_text: 0.95,
    };
    let mut stop = |p: Progress| if p.done > 1100 { Flow::Stop } else { Flow::Continue };
    let stopped = mine(&*source, &asked, &room.embedding(), &out, &mut |_| (), &mut stop).unwrap_err();
    assert!(matches!(stopped, Error::Interrupted) && !out.exists() && partial(&work_path(&out)).exists());
    let mut done = 0;
    let made = mine(&*source, &asked, &room.embedding(), &out, &mut |n| done = n, &mut go_on).unwrap();
    assert_eq!((done, made.records, made.negatives), (1024, 1, 2));
    assert!(!partial(&work_path(&out)).exists());
}

#[test]
fn a_teacher_leaves_vectors_of_every_modality() {
    let mut room = Room::new(3);
    let out = room.at("taught");
    let run = |room: &mut Room, modalities: &[Modality], fresh| {
        let options = TeachOptions { how: &HOW, format: Format::Npy, modalities, views: None, fresh };
        teach(&*room.source, &mut room.embedder, &options, &out, &mut |_| (), &mut go_on)
    };
    let made = run(&mut room, &[], false).unwrap();
    let counts: Vec<_> = made.vectors.iter().map(|(name, v)| (name.as_str(), v.count)).collect();
    assert_eq!(counts, [("audio", 3), ("image", 6), ("text", 6)]);
    assert!(made.kept.is_empty());
    let identity = room.embedder.identity().unwrap().unwrap();
    let images =
        VectorFile::open(&out.join("image.npy"), &Expected { model: Some(&identity), dim: None }).unwrap();
    let row = images.find("r1#de", "image", 0).unwrap().unwrap();
    let alone = room.embedder.image(room.at("p01.png")).unwrap();
    assert!((similarity(&images.row(row).unwrap(), &alone) - 1.0).abs() < 1e-5);
    // What is there stays, until a file changes.
    assert_eq!(run(&mut room, &[], false).unwrap().kept, ["text", "image", "audio"]);
    assert!(run(&mut room, &[Modality::Image], true).unwrap().kept.is_empty());
    support::image(&room.at("p01.png"), 99);
    assert_eq!(run(&mut room, &[], false).unwrap().kept, ["text", "audio"]);
    let said = run(&mut room, &[Modality::Video], false).unwrap_err().to_string();
    assert!(said.contains("video"), "{said}");
}

/// A training that reads what stands beside a view makes the same pixels of an image, and so the same vector.
#[test]
fn views_are_made_again_from_what_stands_beside_them() {
    let mut room = Room::new(3);
    let out = room.at("taught");
    let run = |room: &mut Room, count, seed| {
        let views = Views { seed, ..Views::crops(count) };
        let images = [Modality::Image];
        let options = TeachOptions {
            how: &HOW,
            format: Format::Safetensors,
            modalities: &images,
            views: Some(&views),
            fresh: false,
        };
        teach(&*room.source, &mut room.embedder, &options, &out, &mut |_| (), &mut go_on)
    };
    let made = run(&mut room, 2, 0).unwrap();
    assert_eq!(made.vectors.keys().collect::<Vec<_>>(), ["image", "image-view-1", "image-view-2"]);
    let identity = room.embedder.identity().unwrap().unwrap();
    let open = |name: &str| {
        let expected = Expected { model: Some(&identity), dim: None };
        VectorFile::open(&out.join(name), &expected).unwrap()
    };
    let row = |file: &VectorFile, id: &str| {
        file.row(file.find(id, "image", 0).unwrap().unwrap()).unwrap().into_owned()
    };
    let plain = open("image.safetensors");
    assert!(View::beside(plain.path()).unwrap().is_none());
    let alone = room.embedder.image(room.at("p01.png")).unwrap();
    assert!((similarity(&row(&plain, "r1#de"), &alone) - 1.0).abs() < 1e-5, "as it is");
    let processors = room.embedder.model().processors().clone();
    let own = processors.image.clone().unwrap();
    let mut wide = processors;
    wide.image = Some(own.scaled(SCALE));
    let contract = Contract::new(&wide);
    let blob = Blob::from(room.at("p01.png"));
    let Prepared::Image(image) = contract.prepare(Medium::Image(&blob)).unwrap() else { panic!() };
    for (number, name) in [(1, "image-view-1.safetensors"), (2, "image-view-2.safetensors")] {
        let file = open(name);
        let view = View::beside(file.path()).unwrap().unwrap();
        assert_eq!((view.view, view.seed), (number, 0));
        let seen = view.of("r1#de", &image, own.size_of_scaled(&wide.image.clone().unwrap(), &image));
        let again = room.at("again.png");
        seen.save(&again).unwrap();
        // The view is of the size that the tower sees: nothing is resized any more.
        let vector = room.embedder.image(again).unwrap();
        assert!((similarity(&row(&file, "r1#de"), &vector) - 1.0).abs() < 1e-5, "{name}");
        assert!(similarity(&row(&file, "r1#de"), &alone) < 0.999_99, "{name} is another view");
    }
    // What is there stays; more views are added, another seed makes all of them anew.
    assert_eq!(run(&mut room, 3, 0).unwrap().kept, ["image", "image-view-1", "image-view-2"]);
    assert_eq!(run(&mut room, 1, 5).unwrap().kept, ["image"]);
    let images = [Modality::Text];
    let views = Views::crops(1);
    let options = TeachOptions {
        how: &HOW,
        format: Format::Npy,
        modalities: &images,
        views: Some(&views),
        fresh: false,
    };
    let said = teach(&*room.source, &mut room.embedder, &options, &out, &mut |_| (), &mut go_on);
    assert!(said.unwrap_err().to_string().contains("views are of images"));
}

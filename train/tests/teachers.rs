//! Teachers' vectors, mined negatives and the structure of frozen features in a training.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use tch::{Device, Tensor};
use unisono_datasets::augment::{Crop, ImageAugment};
use unisono_datasets::vectors::View;
use unisono_encoders::Model;
use unisono_train::tracking::{self, Line, TrainLine};
use unisono_train::{Error, Event, Options, Recipe, checkpoint, train};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// Frozen towers with new heads, and these terms.
fn recipe(manifest: &Path, steps: u64, data: &str, terms: &str) -> Result<Recipe, Error> {
    let tower =
        |m: &str, name: &str| format!("[tower.{m}]\nfrom = \"{}\"\nfrozen = true\n", fixture(name).display());
    let towers =
        [tower("text", "sentences/legacy"), tower("image", "checkpoints/efficientnet-lite")].concat();
    let text = format!(
        "seed = 3\nsteps = {steps}\ndevice = \"cpu\"\nthreads = 1\n[model]\nembed_dim = 16\n{towers}\
         [[data]]\nname = \"things\"\nsource = \"{}\"\nsplit = \"train\"\nper_batch = 6\n{data}\n{terms}\
         [optimizer]\nlr = 3e-3\nema = 0.9\n[loader]\nworkers = 2\n[checkpoint]\nevery = 4\n",
        manifest.display()
    );
    let path = manifest.with_file_name("recipe.toml");
    fs::write(&path, text).unwrap();
    Recipe::load(&path, &[], &[])
}

/// Adds to each record the two behind it as its negatives, and one that is nowhere.
fn mine(manifest: &Path) {
    let lines = fs::read_to_string(manifest).unwrap();
    let mut records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: Vec<Value> = records.iter().map(|record| record["id"].clone()).collect();
    for (i, record) in records.iter_mut().enumerate() {
        let next = |k: usize| ids[(i + k) % ids.len()].clone();
        record["negatives"] = json!(["gone", ids[i], next(1), next(2), next(3)]);
    }
    fs::write(manifest, records.iter().map(|record| format!("{record}\n")).collect::<String>()).unwrap();
}

/// What `unisono data teach` writes of a modality: made-up vectors of this width.
fn teach(folder: &Path, manifest: &Path, modality: &str, width: usize, model: &str) {
    teach_as(folder, manifest, modality, modality, width, model);
}

/// The same by a name of its own, as a view has.
fn teach_as(folder: &Path, manifest: &Path, name: &str, modality: &str, width: usize, model: &str) {
    fs::create_dir_all(folder).unwrap();
    let lines = fs::read_to_string(manifest).unwrap();
    let ids: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    let own: usize = name.bytes().map(usize::from).sum();
    let number = |i: usize| ((i * 37 + own * 11) as f32 * 0.7).sin();
    let numbers: Vec<u8> = (0..ids.len() * width).flat_map(|i| number(i).to_le_bytes()).collect();
    let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {width}), }}", ids.len());
    head += &" ".repeat(63 - (10 + head.len()) % 64);
    head.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    bytes.extend(&numbers);
    let file = format!("{name}.npy");
    fs::write(folder.join(&file), bytes).unwrap();
    let said: String =
        ids.iter().map(|id| format!("{{\"id\":\"{id}\",\"modality\":\"{modality}\"}}\n")).collect();
    fs::write(folder.join(format!("{file}.jsonl")), said).unwrap();
    let mut sum = unisono_files::Sum::default();
    sum.update(&numbers);
    let origin =
        json!({ "model": model, "settings": "", "sum": sum.letters(), "count": ids.len(), "dim": width });
    fs::write(folder.join(format!("{file}.model.json")), origin.to_string()).unwrap();
    let list = folder.join("teacher.json");
    let mut listed: Value =
        fs::read(&list).map_or(json!({}), |bytes| serde_json::from_slice(&bytes).unwrap());
    listed[name] = json!({ "file": file, "count": ids.len(), "dim": width, "work": "w" });
    fs::write(list, listed.to_string()).unwrap();
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<(), Error> {
    train(recipe, dir, options, &mut |_| {}).map(|_| ())
}

fn lines(dir: &Path) -> Vec<TrainLine> {
    let lines = tracking::read(&dir.join("metrics.jsonl")).unwrap();
    lines.into_iter().filter_map(|line| if let Line::Train(t) = line { Some(t) } else { None }).collect()
}

fn weights(dir: &Path) -> Vec<(String, Vec<f32>)> {
    let model = Model::load(&checkpoint::model_dir(dir), Device::Cpu).unwrap();
    let flat = |t: &Tensor| Vec::<f32>::try_from(t.flatten(0, -1)).unwrap();
    model.params().iter().map(|(name, p)| (name.to_owned(), flat(&p.tensor))).collect()
}

const TERMS: &str = r#"
[[objective]]
kind = "contrastive"
negatives = 2
hard_negative_beta = 0.3
label_smoothing = 0.05
dims = [4, 8]
dim_weights = [0.25, 0.5]
tile = 4
[[objective]]
kind = "distill"
weight = 0.5
teacher_scale = 20.0
features = 0.3
[[objective]]
kind = "structure"
weight = 2.0
levels = 2
"#;

#[test]
fn every_term_trains_and_an_interruption_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    mine(&manifest);
    let at = |name: &str| dir.path().join(name);
    // Of another width than the student's.
    for modality in ["text", "image"] {
        teach(&at("taught"), &manifest, modality, 5, "teacher");
    }
    let taught = format!("teacher = \"{}\"", at("taught").display());
    let all = recipe(&manifest, 10, &taught, TERMS).unwrap();
    run(&all, &at("whole"), Options::default()).unwrap();
    let line = lines(&at("whole")).remove(0);
    let names: Vec<&str> = line.pairs.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "image_distill",
            "image_structure",
            "text_distill",
            "text_image",
            "text_image_4",
            "text_image_8",
            "text_image_distill",
            "text_structure"
        ]
    );
    let geometry: Vec<&str> = line.geometry.keys().map(String::as_str).collect();
    assert_eq!(geometry, ["alignment/text_image", "uniformity/image", "uniformity/text"]);
    let part = |name: &str| line.pairs[name];
    let want = part("text_image")
        + 0.25 * part("text_image_4")
        + 0.5 * (part("text_image_8") + part("text_image_distill"))
        + 0.5 * 0.3 * (part("text_distill") + part("image_distill"))
        + 2.0 * (part("text_structure") + part("image_structure"));
    assert!((line.loss - want).abs() < 1e-4, "{} {want}", line.loss);
    // Stopped in its third step.
    let stop = AtomicBool::new(false);
    let mut notes = Vec::new();
    train(
        &all,
        &at("stopped"),
        Options { stop: Some(&stop), ..Options::default() },
        &mut |event| match event {
            Event::Step(report) if report.step == 3 => stop.store(true, Ordering::Relaxed),
            Event::Note(note) => notes.push(note),
            _ => {}
        },
    )
    .unwrap();
    let resumed = || run(&all, &at("stopped"), Options { resume: true, ..Options::default() });
    // What leads to the teacher's width is in the checkpoint and not in the model.
    assert!(notes.iter().any(|note| note.contains("text are 16 wide, the teacher's 5")), "{notes:?}");
    assert!(weights(&at("stopped")).iter().all(|(name, _)| !name.starts_with("distill")));
    // Other vectors of the same teacher are another training.
    let (path, origin) = (at("taught/text.npy"), at("taught/text.npy.model.json"));
    let (rows, told) = (fs::read(&path).unwrap(), fs::read_to_string(&origin).unwrap());
    let mut other = rows.clone();
    let first = 10 + usize::from(u16::from_le_bytes([rows[8], rows[9]]));
    other[first] ^= 1;
    let mut sum = unisono_files::Sum::default();
    sum.update(&other[first..]);
    let mut changed: Value = serde_json::from_str(&told).unwrap();
    changed["sum"] = json!(sum.letters());
    fs::write(&path, other).unwrap();
    fs::write(&origin, changed.to_string()).unwrap();
    let refused = resumed().unwrap_err().to_string();
    assert!(refused.contains("text.npy: its vectors are not those that the run began with"), "{refused}");
    fs::write(&path, rows).unwrap();
    fs::write(&origin, told).unwrap();
    resumed().unwrap();
    assert!(weights(&at("stopped")) == weights(&at("whole")));
    // Negatives are more to be told from.
    let with = |negatives: &str| {
        let terms = format!("[[objective]]\nkind = \"contrastive\"\n{negatives}\n");
        let out = dir.path().join(format!("with{negatives}"));
        run(&recipe(&manifest, 1, "", &terms).unwrap(), &out, Options::default()).unwrap();
        lines(&out)[0].loss
    };
    let (none, one, two) = (with(""), with("negatives = 1"), with("negatives = 2"));
    assert!(none < one && one < two, "{none} {one} {two}");
}

/// Vectors of so many views of images, besides those of the images and texts as they are.
fn teach_views(folder: &Path, manifest: &Path, count: u64) {
    for modality in ["text", "image"] {
        teach(folder, manifest, modality, 5, "teacher");
    }
    for view in 1..=count {
        let name = format!("image-view-{view}");
        teach_as(folder, manifest, &name, "image", 5, "teacher");
        let crop = Crop { scale: [0.1, 1.0], ..Crop::default() };
        let view = View { view, seed: 7, augment: ImageAugment { crop, ..ImageAugment::default() } };
        view.write_beside(&folder.join(format!("{name}.npy"))).unwrap();
    }
}

#[test]
fn a_teachers_views_are_what_the_student_sees_and_an_interruption_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    teach_views(&at("taught"), &manifest, 3);
    let terms = "[[objective]]\nkind = \"distill\"\nteacher_scale = 20.0\n";
    let taught = format!("teacher = \"{}\"\n", at("taught").display());
    let viewed = recipe(&manifest, 6, &format!("{taught}teacher_views = true\n"), terms).unwrap();
    run(&viewed, &at("whole"), Options::default()).unwrap();
    let stop = AtomicBool::new(false);
    train(&viewed, &at("stopped"), Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
        if matches!(event, Event::Step(report) if report.step == 3) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    run(&viewed, &at("stopped"), Options { resume: true, ..Options::default() }).unwrap();
    assert!(weights(&at("stopped")) == weights(&at("whole")));
    // The images as they are, though the folder has views.
    run(&recipe(&manifest, 6, &taught, terms).unwrap(), &at("plain"), Options::default()).unwrap();
    assert!(lines(&at("plain"))[0].loss != lines(&at("whole"))[0].loss);
    let said = |data: &str| {
        let made = recipe(&manifest, 1, data, terms);
        made.and_then(|recipe| run(&recipe, &at("run"), Options { fresh: true, ..Options::default() }))
            .unwrap_err()
            .to_string()
    };
    let plain = "[[objective]]\nkind = \"contrastive\"\n";
    let alone = recipe(&manifest, 1, "teacher_views = true\n", plain).unwrap_err().to_string();
    assert!(alone.contains("data.things.teacher_views") && alone.contains("teacher = "), "{alone}");
    let blind = said(&format!("{taught}teacher_views = true\nuses = [\"text\", \"audio\"]\n"));
    assert!(blind.contains("no images of this source are seen"), "{blind}");
    teach_views(&at("none"), &manifest, 0);
    let none = said(&format!("teacher = \"{}\"\nteacher_views = true\n", at("none").display()));
    assert!(none.contains("has no views of images") && none.contains("--views"), "{none}");
    fs::remove_file(at("taught/image-view-2.npy.view.json")).unwrap();
    let untold = said(&format!("{taught}teacher_views = true\n"));
    assert!(untold.contains("image-view-2.npy.view.json is not there"), "{untold}");
    fs::write(at("taught/teacher.json"), r#"{"image-view-x":{"file":"a.npy","dim":5}}"#).unwrap();
    assert!(said(&taught).contains("found \"image-view-x\""));
}

#[test]
fn what_no_term_could_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    let distill = "[[objective]]\nkind = \"distill\"\n";
    let plain = "[[objective]]\nkind = \"contrastive\"\n";
    let taught = |name: &str| format!("teacher = \"{}\"", at(name).display());
    let said = |data: &str, terms: &str| {
        let made = recipe(&manifest, 1, data, terms);
        made.and_then(|recipe| run(&recipe, &at("run"), Options { fresh: true, ..Options::default() }))
            .unwrap_err()
            .to_string()
    };
    let none = said("", distill);
    assert!(none.contains("teacher = ") && none.contains("unisono data teach"), "{none}");
    let idle = said(&taught("taught"), plain);
    assert!(idle.contains("data.things.teacher") && idle.contains("kind distill"), "{idle}");
    let missing = said(&taught("taught"), distill);
    assert!(missing.contains("teacher.json is not there") && missing.contains("--out"), "{missing}");
    for modality in ["text", "image"] {
        teach(&at("two"), &manifest, modality, 5, modality);
    }
    let two = said(&taught("two"), distill);
    assert!(two.contains("a run follows one teacher"), "{two}");
    teach(&at("wide"), &manifest, "text", 5, "teacher");
    teach(&at("wide"), &manifest, "image", 6, "teacher");
    let wide = said(&taught("wide"), distill);
    assert!(wide.contains("of text are 5 wide, of image 6"), "{wide}");
    // Rows that were changed, a list that leads elsewhere, other data.
    teach(&at("torn"), &manifest, "text", 5, "teacher");
    let path = at("torn/text.npy");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(said(&taught("torn"), distill).contains("damaged"));
    fs::write(at("torn/teacher.json"), r#"{"text":{"file":"../wide/text.npy","dim":5}}"#).unwrap();
    assert!(said(&taught("torn"), distill).contains("expected a file's name"));
    let others = at("others.jsonl");
    fs::write(&others, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n").unwrap();
    teach(&at("other"), &others, "text", 5, "teacher");
    assert!(said(&taught("other"), distill).contains("of other data"));
    let negatives = said("", "[[objective]]\nkind = \"contrastive\"\nnegatives = 2\n");
    assert!(negatives.contains("no record has negatives") && negatives.contains("data mine"), "{negatives}");
    for (terms, says) in [
        ("dims = [8, 4]", "objective.0.dims: expected widths of at least 1 that ascend"),
        ("dims = [8]\ndim_weights = [1.0, 2.0]", "objective.0.dim_weights"),
        ("dims = [16]", "expected widths below embed_dim, which is 16, found 16"),
        ("hard_negative_beta = -1.0", "objective.0.hard_negative_beta: expected 0 to 10, found -1"),
    ] {
        let found = said("", &format!("{plain}{terms}\n"));
        assert!(found.contains(says), "{found}");
    }
    // Towers that are trained keep no features.
    let structure = recipe(&manifest, 1, "", "[[objective]]\nkind = \"structure\"\n").unwrap();
    let mut live = structure;
    live.loader.keep_features = false;
    let found = run(&live, &at("live"), Options::default()).unwrap_err().to_string();
    assert!(found.contains("none are kept"), "{found}");
}

//! Towers of several checkpoints in one space, and the features of frozen ones.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::Pooling;
use unisono_encoders::{AudioWindow, Modality, Model, Pass};
use unisono_media::Blob;
use unisono_processors::Medium;
use unisono_train::{Error, Event, Options, Recipe, checkpoint, tracking, train};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

/// A text tower of BERT's, an image tower of an EfficientNet's, an audio tower of Whisper's, all frozen, with heads of two layers.
fn recipe(manifest: &Path, steps: u64, more: &str) -> Recipe {
    let head = r#"projection = { kind = "mlp", hidden = 24, activation = "gelu", bias = true }"#;
    let tower = |m: &str, name: &str| {
        format!("[tower.{m}]\nfrom = \"{}\"\nfrozen = true\n{head}\n", fixture(name).display())
    };
    let towers = [
        tower("text", "sentences/legacy"),
        tower("image", "checkpoints/efficientnet-lite"),
        tower("audio", "checkpoints/whisper"),
    ]
    .concat();
    let text = format!(
        "seed = 3\nsteps = {steps}\ndevice = \"cpu\"\nthreads = 1\n[model]\nembed_dim = 16\n{towers}\
         [[data]]\nname = \"things\"\nsource = \"{}\"\nsplit = \"train\"\nper_batch = 8\n\
         [[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 3e-3\nema = 0.9\n[loader]\nworkers = 2\n{more}",
        manifest.display()
    );
    Recipe::parse(&text, Path::new("towers.toml")).unwrap()
}

/// Trains, and gives what was noted.
fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    train(recipe, dir, options, &mut |event| match event {
        Event::Note(note) => notes.push(note),
        Event::Skipped(skip) => notes.push(format!("left out {}", skip.id)),
        _ => {}
    })?;
    Ok(notes)
}

fn losses(dir: &Path) -> Vec<f64> {
    let lines = tracking::read(&dir.join("metrics.jsonl")).unwrap();
    lines.iter().filter_map(|line| serde_json::to_value(line).unwrap()["loss"].as_f64()).collect()
}

fn weights(dir: &Path) -> Vec<(String, Vec<f32>)> {
    let model = Model::load(&checkpoint::model_dir(dir), Device::Cpu).unwrap();
    let flat = |t: &Tensor| Vec::<f32>::try_from(t.flatten(0, -1)).unwrap();
    model.params().iter().map(|(name, p)| (name.to_owned(), flat(&p.tensor))).collect()
}

fn rows(dir: &Path, modality: &str) -> Vec<u8> {
    fs::read(dir.join(format!("features/{modality}.rows"))).unwrap()
}

#[test]
fn towers_stay_what_they_were_and_heads_lead_into_one_space() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let out = dir.path().join("run");
    run(&recipe(&manifest, 2, ""), &out, Options::default()).unwrap();
    let composed = Model::load(&checkpoint::model_dir(&out), Device::Cpu).unwrap();
    assert_eq!((composed.config().embed_dim, composed.modalities().len()), (16, 3));
    let [image, audio] = ["red-bar.png", "red-bar.wav"].map(|name| Blob::file(dir.path().join(name)));
    for (name, modality, medium) in [
        ("sentences/legacy", Modality::Text, Medium::Text("a red bar")),
        ("checkpoints/efficientnet-lite", Modality::Image, Medium::Image(&image)),
        ("checkpoints/whisper", Modality::Audio, Medium::Audio(&audio)),
    ] {
        let alone = Model::load(&fixture(name), Device::Cpu).unwrap();
        let pooled = |model: &Model| {
            let prepared = model.contract().prepare(medium).unwrap();
            model.pooled([&prepared]).unwrap()
        };
        assert_eq!(pooled(&alone), pooled(&composed), "{name}");
        let prepared = composed.contract().prepare(medium).unwrap();
        let vector = composed.embed([&prepared], true).unwrap();
        assert_eq!(vector.size(), [1, 16], "{modality}");
    }
}

#[test]
fn kept_features_train_as_towers_that_run_do_and_are_not_computed_twice() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    let kept = recipe(&manifest, 12, "");
    let mut live = kept.clone();
    live.loader.keep_features = false;
    let notes = run(&kept, &at("kept"), Options::default()).unwrap();
    assert!(notes.iter().any(|n| n.contains("(text, image, audio): 48 of 48 to compute")), "{notes:?}");
    run(&live, &at("live"), Options::default()).unwrap();
    assert!(!at("live/features").exists());
    let (a, b) = (losses(&at("kept")), losses(&at("live")));
    assert!(!a.is_empty() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    for ((name, a), (_, b)) in weights(&at("kept")).iter().zip(weights(&at("live"))) {
        let most = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(
            most < 2e-3 && (most == 0.0 || name.contains("projection") || name.contains("logit")),
            "{name} {most}"
        );
    }
    // Again with what is there; the image that has changed alone is seen again; what another tower made is not taken.
    let again = |recipe: &Recipe| {
        let notes = run(recipe, &at("kept"), Options { fresh: true, ..Options::default() }).unwrap();
        notes.into_iter().find(|note| note.contains("to compute"))
    };
    assert_eq!(again(&kept), None);
    // Features do not go through a head: with another one they stay.
    let mut linear = kept.clone();
    linear.tower.values_mut().for_each(|tower| tower.projection = None);
    assert_eq!(again(&linear), None);
    fs::copy(at("red-disc.png"), at("red-bar.png")).unwrap();
    assert!(again(&kept).unwrap().contains("16 of 48 to compute"));
    let mut other = kept.clone();
    other.tower.get_mut(&Modality::Text).unwrap().from = fixture("sentences/matryoshka");
    assert!(again(&other).unwrap().contains("16 of 48 to compute"));
}

#[test]
fn a_run_that_was_stopped_goes_on_with_the_features_that_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    let whole = recipe(&manifest, 9, "[checkpoint]\nevery = 3\n");
    run(&whole, &at("whole"), Options::default()).unwrap();
    // While features are computed, and in its steps.
    for stop_at in ["features", "step"] {
        let (stop, out) = (AtomicBool::new(false), at(stop_at));
        let summary =
            train(&whole, &out, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
                let now = match event {
                    Event::Note(note) => stop_at == "features" && note.contains("to compute"),
                    Event::Step(report) => stop_at == "step" && report.step == 4,
                    _ => false,
                };
                if now {
                    stop.store(true, Ordering::Relaxed);
                }
            })
            .unwrap();
        assert_eq!((summary.finished, summary.step), (false, if stop_at == "step" { 4 } else { 0 }));
        // Half a row, as a machine that went down leaves it.
        let text = out.join("features/text.rows");
        let bytes = fs::read(&text).unwrap();
        fs::write(&text, &bytes[..bytes.len().saturating_sub(7)]).unwrap();
        run(&whole, &out, Options { resume: true, ..Options::default() }).unwrap();
        assert!(weights(&out) == weights(&at("whole")), "{stop_at}");
    }
}

#[test]
fn views_are_kept_and_drawn_and_what_is_broken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    fs::write(at("red-bar.png"), "no image").unwrap();
    let mut views = recipe(&manifest, 4, "[augment.image]\nbrightness = 0.4\n");
    views.tower.get_mut(&Modality::Image).unwrap().views = 3;
    let notes = run(&views, &at("views"), Options::default()).unwrap();
    assert!(notes.iter().any(|n| n.contains(": 80 of 80 to compute")), "{notes:?}");
    assert!(notes.contains(&"left out red-bar".to_owned()), "{notes:?}");
    let width = Model::load(&fixture("checkpoints/efficientnet-lite"), Device::Cpu).unwrap();
    let width = width.config().projection(Modality::Image).unwrap().0 as usize;
    assert_eq!(rows(&at("views"), "image").len(), 45 * (20 + 4 * width));
    let once = recipe(&manifest, 4, "");
    run(&once, &at("once"), Options::default()).unwrap();
    assert_eq!(rows(&at("once"), "image").len(), 15 * (20 + 4 * width));
    assert!(losses(&at("once")) != losses(&at("views")));
    // One view of another augmentation is another view.
    let single = |brightness: f64| {
        let mut recipe = recipe(&manifest, 4, &format!("[augment.image]\nbrightness = {brightness}\n"));
        recipe.tower.get_mut(&Modality::Image).unwrap().views = 1;
        let notes = run(&recipe, &at("single"), Options { fresh: true, ..Options::default() }).unwrap();
        (notes.iter().any(|n| n.contains("16 of 48 to compute")), rows(&at("single"), "image"))
    };
    let (_, first) = single(0.4);
    let (again, second) = single(0.1);
    assert!(again && first != second);
}

#[test]
fn what_cannot_be_composed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let good = recipe(&manifest, 2, "").to_toml().unwrap();
    let path = dir.path().join("r.toml");
    let refused = |from: &str, to: &str| {
        assert!(good.contains(from), "{good}");
        fs::write(&path, good.replace(from, to)).unwrap();
        let recipe = Recipe::load(&path, &[], &[]);
        let out = dir.path().join("refused");
        recipe.and_then(|recipe| run(&recipe, &out, Options::default())).unwrap_err().to_string()
    };
    for (from, to, says) in [
        ("embed_dim = 16", "embed_dim = 0", "embed_dim"),
        ("[tower.text]", "[tower.text]\nviews = 0", "tower.text.views: expected 1 to 1024, found 0"),
        ("[tower.text]", "[tower.text]\nkeep_projection = true", "leave one of the two out"),
        ("tower.text", "tower.video", "videos are seen by the image tower"),
        ("[tower.text]", "[tower.text]\nfrozn = true", "did you mean `frozen`?"),
        ("sentences/legacy", "checkpoints/vit", "text"),
        ("sentences/legacy", "sentences/none", "none"),
        ("seed = 3", "seed = 3\ninit = \"run\"", "init brings its own towers"),
    ] {
        let said = refused(from, to);
        assert!(said.contains(says), "{to}: {said}");
    }
}

/// Writes rows as `unisono embed --out v.npy --no-normalize` does, with what stands beside them.
fn write_vectors(path: &Path, model: &Path, rows: &[(String, Vec<f32>)]) {
    let dim = rows[0].1.len();
    let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {dim}), }}", rows.len());
    head += &" ".repeat(63 - (10 + head.len()) % 64);
    head.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.as_bytes());
    let numbers: Vec<u8> = rows.iter().flat_map(|(_, row)| row).flat_map(|x| x.to_le_bytes()).collect();
    bytes.extend(&numbers);
    fs::write(path, bytes).unwrap();
    let lines: String =
        rows.iter().map(|(id, _)| format!("{{\"id\":\"{id}\",\"modality\":\"image\"}}\n")).collect();
    fs::write(path.with_extension("npy.jsonl"), lines).unwrap();
    let mut sum = unisono_files::Sum::default();
    sum.update(&numbers);
    let (identity, sum) = (unisono_encoders::identity(model).unwrap(), sum.letters());
    let origin =
        serde_json::json!({ "model": identity, "settings": "", "sum": sum, "count": rows.len(), "dim": dim });
    fs::write(path.with_extension("npy.model.json"), origin.to_string()).unwrap();
}

#[test]
fn given_vectors_stand_in_for_images() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let at = |name: &str| dir.path().join(name);
    let kept = recipe(&manifest, 5, "");
    run(&kept, &at("kept"), Options::default()).unwrap();
    let image = fixture("checkpoints/efficientnet-lite");
    let mut model = Model::load(&image, Device::Cpu).unwrap();
    model.prepare(unisono_encoders::Precision::Fp32).unwrap();
    let lines = fs::read_to_string(&manifest).unwrap();
    let ids: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let pooled = |id: &String| {
        let blob = Blob::file(at(&format!("{id}.png")));
        let prepared = model.contract().prepare(Medium::Image(&blob)).unwrap();
        Vec::<f32>::try_from(model.pooled([&prepared]).unwrap().flatten(0, -1)).unwrap()
    };
    let rows: Vec<(String, Vec<f32>)> = ids.iter().map(|id| (id.clone(), pooled(id))).collect();
    let mut given = kept.clone();
    given.data[0].vectors.insert(Modality::Image, at("v.npy"));
    let refused = || run(&given, &at("refused"), Options::default()).unwrap_err().to_string();
    // Of another model; of length 1; damaged.
    write_vectors(&at("v.npy"), &fixture("checkpoints/efficientnet-tf"), &rows);
    assert!(refused().contains("expected vectors of the model"), "{}", refused());
    let unit = |row: &[f32]| {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / norm).collect::<Vec<f32>>()
    };
    let units: Vec<(String, Vec<f32>)> = rows.iter().map(|(id, row)| (id.clone(), unit(row))).collect();
    write_vectors(&at("v.npy"), &image, &units);
    assert!(refused().contains("embed again with --no-normalize"), "{}", refused());
    let turned: Vec<(String, Vec<f32>)> = rows
        .iter()
        .enumerate()
        .map(|(i, (id, _))| (id.clone(), rows[(i + 1) % rows.len()].1.iter().map(|x| -x).collect()))
        .collect();
    write_vectors(&at("v.npy"), &image, &turned);
    assert!(refused().contains("is not what the tower makes of it"), "{}", refused());
    write_vectors(&at("v.npy"), &image, &rows);
    // One image is not there any more: nobody opens it.
    fs::remove_file(at("green-bar.png")).unwrap();
    let notes = run(&given, &at("given"), Options::default()).unwrap();
    assert!(notes.iter().any(|n| n.contains("(text, image, audio): 32 of 32 to compute")), "{notes:?}");
    let (a, b) = (losses(&at("kept")), losses(&at("given")));
    assert!(!a.is_empty() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    let mut live = given.clone();
    live.tower.get_mut(&Modality::Image).unwrap().frozen = false;
    let path = at("r.toml");
    fs::write(&path, live.to_toml().unwrap()).unwrap();
    let said = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
    assert!(said.contains("data.things.vectors") && said.contains("frozen = true"), "{said}");
}

#[test]
fn a_borrowed_tower_pools_anew_and_hears_no_silence_and_the_run_remembers() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let mut recipe = recipe(&manifest, 2, "");
    for modality in [Modality::Text, Modality::Image, Modality::Audio] {
        recipe.tower.get_mut(&modality).unwrap().pooling = vec![Pooling::Mean, Pooling::Max];
    }
    recipe.tower.get_mut(&Modality::Audio).unwrap().window = AudioWindow::Auto;
    let out = dir.path().join("run");
    run(&recipe, &out, Options::default()).unwrap();
    let composed = Model::load(&checkpoint::model_dir(&out), Device::Cpu).unwrap();
    let [image, audio] = ["red-bar.png", "red-bar.wav"].map(|name| Blob::file(dir.path().join(name)));
    for (name, modality, medium) in [
        ("sentences/legacy", Modality::Text, Medium::Text("a red bar")),
        ("checkpoints/efficientnet-lite", Modality::Image, Medium::Image(&image)),
        ("checkpoints/whisper", Modality::Audio, Medium::Audio(&audio)),
    ] {
        let mut alone = Model::load(&fixture(name), Device::Cpu).unwrap();
        let whole = alone.contract().prepare(medium).unwrap();
        if modality == Modality::Audio {
            alone.set_audio_window(AudioWindow::Auto).unwrap();
        }
        let prepared = alone.contract().prepare(medium).unwrap();
        assert_eq!(prepared, composed.contract().prepare(medium).unwrap(), "{name}");
        assert_eq!(prepared.bytes() < whole.bytes(), modality == Modality::Audio, "{name}");
        // What is heard of a window alone: no silence is put behind it again.
        alone.set_audio_window(AudioWindow::Whole).unwrap();
        let features = alone.features([&prepared], &Pass::EVAL).unwrap();
        let tokens = &features.towers[&modality].tokens[0].0;
        let want = Tensor::cat(&[tokens.mean_dim(1, false, Kind::Float), tokens.amax(1, false)], -1);
        let found = composed.pooled([&prepared]).unwrap();
        assert_eq!(found.size(), want.size(), "{name}");
        let far = (found - want).abs().max().double_value(&[]);
        assert!(far < 1e-6, "{name}: {far}");
    }
    // Features of another pooling are not taken.
    recipe.tower.get_mut(&Modality::Image).unwrap().pooling = vec![Pooling::Max];
    let notes = run(&recipe, &out, Options { fresh: true, ..Options::default() }).unwrap();
    assert!(notes.iter().any(|n| n.contains("16 of 48 to compute")), "{notes:?}");
}

#[test]
fn impossible_poolings_and_windows_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("towers.toml");
    let said = |modality: &str, more: &str| {
        let text = format!(
            "seed = 1\nsteps = 1\n[model]\nembed_dim = 8\n[tower.{modality}]\nfrom = \"x\"\n{more}\n\
             [[data]]\nname = \"a\"\nsource = \"a.jsonl\"\nper_batch = 4\n[[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 1e-3\n"
        );
        fs::write(&path, text).unwrap();
        Recipe::load(&path, &[], &[]).unwrap_err().to_string()
    };
    for (modality, more, want) in [
        (
            "image",
            "keep_projection = true\npooling = [\"max\"]",
            "tower.image.pooling: keep_projection leads on",
        ),
        (
            "text",
            "frozen = true\npooling = [\"attention\"]",
            "tower.text.pooling: a frozen tower learns no pooling",
        ),
        ("image", "window = \"auto\"", "tower.image.window: windows are of audio files"),
    ] {
        let said = said(modality, more);
        assert!(said.contains(want), "{said}");
    }
}

//! Whole trainings on made-up pictures, sounds and captions: memorised, repeated, interrupted, refused.
#![allow(clippy::unwrap_used, missing_docs)]

use image::{Rgb, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use unisono_encoders::{Modality, Model};
use unisono_train::{Error, Event, Options, Recipe, Summary, checkpoint, train};

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("green", [30, 200, 30]), ("blue", [30, 30, 220]), ("yellow", [230, 220, 20])];
const SHAPES: [&str; 4] = ["disc", "bar", "cross", "corner"];

/// Sixteen things, each with a picture, a sound of its own pitch and rhythm, and a caption.
fn things(dir: &Path) -> PathBuf {
    let mut lines = String::new();
    for (c, (colour, rgb)) in COLOURS.iter().enumerate() {
        for (s, shape) in SHAPES.iter().enumerate() {
            let id = format!("{colour}-{shape}");
            let picture = RgbImage::from_fn(20, 20, |x, y| {
                let (dx, dy) = (x as i32 - 10, y as i32 - 10);
                let inside = match s {
                    0 => dx * dx + dy * dy < 64,
                    1 => dy.abs() < 4,
                    2 => dx.abs() < 3 || dy.abs() < 3,
                    _ => dx < 0 && dy < 0,
                };
                if inside { Rgb(*rgb) } else { Rgb([255; 3]) }
            });
            picture.save(dir.join(format!("{id}.png"))).unwrap();
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 16_000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut wav = hound::WavWriter::create(dir.join(format!("{id}.wav")), spec).unwrap();
            for i in 0..(3200 + 800 * s) {
                let t = i as f32 / 16_000.0;
                let on = (t * (6.0 + 5.0 * s as f32)).fract() < 0.5;
                let v = if on { (std::f32::consts::TAU * 300.0 * (1.0 + c as f32) * t).sin() } else { 0.0 };
                wav.write_sample((v * 20_000.0) as i16).unwrap();
            }
            wav.finalize().unwrap();
            lines += &format!(
                "{{\"id\":\"{id}\",\"text\":\"a {colour} {shape}\",\"image\":\"{id}.png\",\"audio\":\"{id}.wav\",\"split\":\"train\",\"lang\":\"en\"}}\n"
            );
        }
    }
    let manifest = dir.join("manifest.jsonl");
    fs::write(&manifest, lines).unwrap();
    manifest
}

fn recipe(manifest: &Path, steps: u64, more: &str) -> Recipe {
    let m = manifest.display();
    let mut protocols = String::new();
    for (a, b) in Modality::PAIRS {
        for (from, to) in [(a, b), (b, a)] {
            protocols += &format!(
                "[[evaluate.protocol]]\nname = \"{from}-{to}\"\nmanifest = \"{m}\"\nsplit = \"train\"\nfrom = \"{from}\"\nto = \"{to}\"\n"
            );
        }
    }
    let text = format!(
        r#"
seed = 3
steps = {steps}
device = "cpu"
threads = 1
[model]
embed_dim = 16
[model.text]
vocab_size = 280
context_length = 12
pooling = "mean"
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0, dropout = 0.05 }}
[model.image]
size = 16
pooling = "mean"
stem = {{ kind = "conv", activation = "relu", layers = [{{ channels = 8, stride = [2, 2] }}, {{ channels = 16, stride = [2, 2] }}] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
[model.audio]
mels = 16
max_frames = 64
pooling = "attention"
stem = {{ kind = "conv", activation = "relu", layers = [{{ channels = 8, stride = [2, 2] }}, {{ channels = 8, stride = [2, 2] }}] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
[processor.image]
size = 16
[processor.audio]
mels = 16
max_frames = 64
[[data]]
name = "things"
manifest = "{m}"
split = "train"
per_batch = 16
[augment.image]
brightness = 0.1
[objective]
[optimizer]
lr = 1e-2
warmup = 5
[loader]
workers = 2
{protocols}
{more}
"#
    );
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<Summary, Error> {
    train(recipe, dir, options, &mut |_| {})
}

fn bytes(run: &Path, file: &str) -> Vec<u8> {
    fs::read(checkpoint::last(run).join(file)).unwrap()
}

#[test]
fn sixteen_triples_are_memorised_in_every_direction() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&things(dir.path()), 150, "");
    let mut last = None;
    let summary = train(&recipe, &dir.path().join("run"), Options::default(), &mut |event| {
        if let Event::Evaluated(line) = event {
            last = Some(line.clone());
        }
    })
    .unwrap();
    let line = last.unwrap();
    assert_eq!(line.protocols.len(), 6);
    for (name, m) in &line.protocols {
        assert_eq!((m.queries, m.r1.value), (16, 1.0), "{name}");
    }
    assert!(summary.finished && summary.skipped.is_empty());
    let model = Model::load(&checkpoint::model_dir(&dir.path().join("run")), tch::Device::Cpu).unwrap();
    assert_eq!(model.modalities().len(), 3);
}

#[test]
fn one_seed_is_one_result_and_an_interruption_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&things(dir.path()), 14, "[checkpoint]\nevery = 4");
    let [a, b, c] = ["a", "b", "c"].map(|n| dir.path().join(n));
    run(&recipe, &a, Options::default()).unwrap();
    run(&recipe, &b, Options::default()).unwrap();
    // Stopped after step 6 (a signal), and again killed after the checkpoint of step 12 was written.
    let stop = AtomicBool::new(false);
    let stopped = train(&recipe, &c, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == 6) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert_eq!((stopped.finished, stopped.step), (false, 6));
    let refused = run(&recipe, &c, Options::default()).unwrap_err().to_string();
    assert!(refused.contains("holds a run at step 6; go on with --resume"), "{refused}");
    let resume = Options { resume: true, ..Options::default() };
    let finished = run(&recipe, &c, resume).unwrap();
    assert!(finished.finished);
    for file in [
        "training.safetensors",
        "model.safetensors",
        "tokenizer.json",
        "config.json",
        "preprocessor_config.json",
    ] {
        assert!(bytes(&a, file) == bytes(&b, file), "two runs differ in {file}");
        assert!(bytes(&a, file) == bytes(&c, file), "the interrupted run differs in {file}");
    }
    let other = Recipe { seed: 4, ..recipe.clone() };
    let refused = run(&other, &c, resume).unwrap_err().to_string();
    assert!(refused.contains("`seed` differs"), "{refused}");
    let state = checkpoint::last(&c).join("training.safetensors");
    let whole = fs::read(&state).unwrap();
    fs::write(&state, &whole[..whole.len() / 2]).unwrap();
    let refused = run(&recipe, &c, resume).unwrap_err().to_string();
    assert!(refused.contains("training.safetensors") && refused.contains("no whole"), "{refused}");
}

#[test]
fn broken_media_are_left_out_and_a_loss_that_is_no_number_stops_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    fs::write(dir.path().join("red-bar.png"), b"").unwrap();
    let recipe_ok = recipe(&manifest, 3, "");
    let recipe_ok = Recipe { evaluate: Default::default(), ..recipe_ok };
    let summary = run(&recipe_ok, &dir.path().join("run"), Options::default()).unwrap();
    assert_eq!(summary.skipped.keys().collect::<Vec<_>>(), ["red-bar"]);
    let mut wild = recipe_ok.clone();
    (wild.optimizer.lr, wild.optimizer.warmup, wild.optimizer.clip, wild.steps) = (1e30, 0, 0.0, 50);
    let e = run(&wild, &dir.path().join("wild"), Options::default()).unwrap_err();
    assert!(matches!(e, Error::NotFinite { .. }), "{e}");
    let mut strict = recipe_ok;
    strict.loader.max_skip = 0;
    let e = run(&strict, &dir.path().join("strict"), Options::default()).unwrap_err().to_string();
    assert!(e.contains("red-bar"), "{e}");
}

#[test]
fn recipes_refuse_what_they_do_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let good = recipe(&things(dir.path()), 3, "").to_toml().unwrap();
    let path = dir.path().join("r.toml");
    let load = |text: &str, set: &[&str]| {
        fs::write(&path, text).unwrap();
        let set: Vec<String> = set.iter().map(|s| (*s).to_owned()).collect();
        Recipe::load(&path, &set, &[]).map_err(|e| e.to_string())
    };
    assert_eq!(load(&good, &["steps=7", "data.things.per_batch=5", "device=cpu"]).unwrap().steps, 7);
    assert_eq!(load(&good, &["data.0.per_batch=5"]).unwrap().data[0].per_batch, 5);
    let e = load(&good.replace("[optimizer]", "[optimizer]\nwieght_decay = 0.1"), &[]).unwrap_err();
    assert!(
        e.contains("r.toml:") && e.contains("unknown key `wieght_decay`; did you mean `weight_decay`?"),
        "{e}"
    );
    let e = load(&good, &["optimizer.lrr=1"]).unwrap_err();
    assert!(e.contains("did you mean `lr`?"), "{e}");
    for (set, says) in [
        ("model.text.transformer.heads=3", "does not divide width 16"),
        ("steps=many", "expected u64"),
        ("data.nothing.per_batch=1", "no element `nothing`; there are: things"),
        ("optimizer.lr=-1", "expected a positive number"),
        ("data.things.per_batch=0", "expected at least 1"),
        ("steps", "expected KEY=VALUE"),
    ] {
        let e = load(&good, &[set]).unwrap_err();
        assert!(e.contains(says), "{set}: {e}");
    }
    assert!(load("steps = ", &[]).is_err());
}

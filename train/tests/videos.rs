//! Trainings on clips that only their order, or only their audio, tells apart.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use image::{Rgb, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use unisono_encoders::{Modality, Model};
use unisono_fusion::objective::{Caption, Match, Term};
use unisono_media::video::Ffmpeg;
use unisono_train::{Event, Options, Recipe, checkpoint, train};

/// One training at a time: libtorch's random generator belongs to the process.
static ALONE: Mutex<()> = Mutex::new(());

const COLOURS: [(&str, [u8; 3]); 4] =
    [("red", [220, 30, 30]), ("blue", [30, 30, 220]), ("green", [30, 200, 30]), ("white", [240, 240, 240])];
const TURNS: [(usize, usize); 6] = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 3), (3, 1)];

fn ffmpeg(words: &[&str], out: &Path) {
    let program = Ffmpeg::find(None).unwrap();
    let made =
        Command::new(program.program()).args(["-loglevel", "error", "-y"]).args(words).arg(out).status();
    assert!(made.unwrap().success());
}

/// One video, five frames a second, in which a colour turns into another six times, four frames each; the records are its parts.
fn turns(dir: &Path) -> PathBuf {
    let frames = dir.join("frames");
    fs::create_dir(&frames).unwrap();
    let mut lines = String::new();
    for (i, (from, to)) in TURNS.iter().enumerate() {
        for (n, colour) in [from, from, to, to].into_iter().enumerate() {
            let image = RgbImage::from_pixel(20, 20, Rgb(COLOURS[*colour].1));
            image.save(frames.join(format!("{}.png", 4 * i + n))).unwrap();
        }
        let (start, end) = (format!("{}/5", 4 * i), format!("{}/5", 4 * i + 4));
        let text = format!("{} then {}", COLOURS[*from].0, COLOURS[*to].0);
        lines += &format!(
            "{{\"id\":\"{i}\",\"text\":\"{text}\",\"video\":\"v.mkv\",\"start\":\"{start}\",\"end\":\"{end}\",\"split\":\"train\"}}\n"
        );
    }
    let images = frames.join("%d.png");
    ffmpeg(&["-framerate", "5", "-i", &images.display().to_string(), "-c:v", "png"], &dir.join("v.mkv"));
    let manifest = dir.join("turns.jsonl");
    fs::write(&manifest, lines).unwrap();
    manifest
}

/// Four videos of one image, each with a tone of its own, and a silent one.
fn tones(dir: &Path) -> PathBuf {
    let image = dir.join("p.png");
    RgbImage::from_fn(20, 20, |x, _| Rgb([(x * 9) as u8, 90, 40])).save(&image).unwrap();
    let mut lines = String::new();
    for (name, pitch) in [("low", 200), ("middle", 700), ("high", 2000), ("shrill", 5000), ("silent", 0)] {
        let (still, out) = (image.display().to_string(), dir.join(format!("{name}.mkv")));
        let tone = format!("sine=frequency={pitch}:sample_rate=16000:duration=1");
        let mut words = vec!["-framerate", "4", "-loop", "1", "-t", "1", "-i", &still];
        if pitch > 0 {
            words.extend(["-f", "lavfi", "-i", &tone, "-c:a", "pcm_s16le"]);
        }
        words.extend(["-c:v", "png"]);
        ffmpeg(&words, &out);
        lines += &format!(
            "{{\"id\":\"{name}\",\"text\":\"a {name} tone\",\"video\":\"{name}.mkv\",\"split\":\"train\"}}\n"
        );
    }
    let manifest = dir.join("tones.jsonl");
    fs::write(&manifest, lines).unwrap();
    manifest
}

const CAPTION: Term = Term::Caption(Caption { weight: 1.0, label_smoothing: 0.0 });
const MATCH: Term = Term::Match(Match { weight: 1.0 });
const TEMPORAL: &str = "frames = 4\npooling = { kind = \"temporal\", transformer = { width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 } }\n";

fn recipe(manifest: &Path, steps: u64, model: &str, more: &str) -> Recipe {
    let m = manifest.display();
    let mut protocols = String::new();
    for (from, to) in [("text", "video"), ("video", "text")] {
        protocols += &format!(
            "[[evaluate]]\nkind = \"retrieval\"\nname = \"{from}-{to}\"\nsource = \"{m}\"\nsplit = \"train\"\nfrom = \"{from}\"\nto = \"{to}\"\n"
        );
    }
    let text = format!(
        "seed = 3\nsteps = {steps}\ndevice = \"cpu\"\nthreads = 1\n{model}
[[data]]\nname = \"clips\"\nsource = \"{m}\"\nsplit = \"train\"\nper_batch = 6\n
[[objective]]\nkind = \"contrastive\"\n[optimizer]\nlr = 1e-2\nwarmup = 5\n[loader]\nworkers = 2\n{protocols}{more}"
    );
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

fn towers(hears: bool) -> String {
    let blocks = "transformer = { width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }\npooling = \"mean\"";
    let stem = "stem = { kind = \"patch\", size = [8, 8] }";
    let mut text = format!(
        "[model]\nembed_dim = 16\n[model.text]\nvocab_size = 280\ncontext_length = 12\n{blocks}\n[model.image]\nsize = 16\n{stem}\n{blocks}\n"
    );
    let mut processors = "[processor.image]\nsize = 16\n".to_owned();
    if hears {
        text += &format!("[model.audio]\nmels = 16\nmax_frames = 104\n{stem}\n{blocks}\n");
        processors += "[processor.audio]\nmels = 16\nmax_frames = 104\n";
    }
    text + &processors
}

/// R@1 of both directions at the end.
fn run(recipe: &Recipe, dir: &Path) -> [f64; 2] {
    let mut last = None;
    train(recipe, dir, Options::default(), &mut |event| match event {
        Event::Evaluated(line) => last = Some(line.clone()),
        Event::Skipped(skip) => panic!("{}: {}", skip.id, skip.reason),
        _ => {}
    })
    .unwrap();
    let last = last.unwrap();
    ["text-video", "video-text"].map(|name| last.outcomes[name].value("r1").unwrap())
}

#[test]
fn clips_that_only_their_order_tells_apart_are_memorised_over_a_frozen_image_tower() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = turns(dir.path());
    let (first, second) = (dir.path().join("mean"), dir.path().join("temporal"));
    // Without a table videos are images of several frames: their mean is the same for both orders.
    let blind = run(&recipe(&manifest, 150, &towers(false), ""), &first);
    assert!(blind.iter().all(|r1| *r1 <= 0.67), "{blind:?}");
    let model = format!("init = \"{}\"\n[video]\n{TEMPORAL}", first.display());
    let frozen = "[[group]]\nmatch = \"image.*\"\nfreeze = true\n";
    let sees = run(&recipe(&manifest, 250, &model, frozen), &second);
    assert_eq!(sees, [1.0, 1.0]);
    let load = |run: &Path| Model::load(&checkpoint::model_dir(run), tch::Device::Cpu).unwrap();
    let (before, after) = (load(&first), load(&second));
    assert!(before.config().video.is_none() && after.modalities().contains(&Modality::Video));
    for (name, p) in before.params().iter().filter(|(n, _)| n.starts_with("image.")) {
        assert_eq!(after.params().get(name).unwrap().tensor, p.tensor, "{name}");
    }
    let out = after.params().get("video.out.weight").unwrap();
    assert!(out.tensor.abs().max().double_value(&[]) > 0.0);
}

#[test]
fn clips_that_only_their_audio_tells_apart_are_memorised_by_both_rules() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = tones(dir.path());
    for (name, rule) in [
        ("deaf", "frames = 2\n".to_owned()),
        ("mean", "frames = 2\naudio = { kind = \"mean\", weight = 0.5 }\n".to_owned()),
        ("token", format!("{TEMPORAL}audio = {{ kind = \"token\" }}\n")),
    ] {
        let model =
            towers(true).replace("[processor.image]", &format!("[model.video]\n{rule}[processor.image]"));
        let mut recipe = recipe(&manifest, if name == "deaf" { 30 } else { 120 }, &model, "");
        recipe.data[0].per_batch = Some(5);
        let found = run(&recipe, &dir.path().join(name));
        if name == "deaf" {
            assert!(found.iter().all(|r1| *r1 < 0.5), "{found:?}");
        } else {
            assert_eq!(found, [1.0, 1.0], "{name}");
        }
    }
}

/// One batch of clips under every loss of the fusion part, over a temporal tower.
#[test]
fn clips_are_captioned_and_matched_over_a_video_tower() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = turns(dir.path());
    let model =
        towers(false).replace("[processor.image]", &format!("[model.video]\n{TEMPORAL}[processor.image]"));
    let fusion =
        "[fusion]\nmemory = [\"image\"]\nframes = 4\ntransformer = { width = 16, depth = 1, heads = 2 }\n";
    let mut recipe = recipe(&manifest, 2, &model, fusion);
    recipe.objective.terms.extend([CAPTION, MATCH]);
    run(&recipe, &dir.path().join("run"));
    let line = fs::read_to_string(dir.path().join("run/metrics.jsonl")).unwrap();
    assert!(
        ["caption", "match", "text_video"].iter().all(|name| line.contains(&format!("\"{name}\""))),
        "{line}"
    );
}

#[test]
fn a_video_table_stands_where_its_towers_come_from() {
    let table = format!("[video]\n{TEMPORAL}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.toml");
    let both = recipe(Path::new("m.jsonl"), 1, &format!("{}{table}", towers(false)), "");
    fs::write(&path, both.to_toml().unwrap()).unwrap();
    let e = Recipe::load(&path, &[], &[]).unwrap_err().to_string();
    assert!(e.contains("goes with init; beside [model] it is [model.video]"), "{e}");
    // More frames than the video tower has places for are refused before the first step.
    let manifest = turns(dir.path());
    let model =
        towers(false).replace("[processor.image]", &format!("[model.video]\n{TEMPORAL}[processor.image]"));
    let fusion =
        "[fusion]\nmemory = [\"image\"]\nframes = 5\ntransformer = { width = 16, depth = 1, heads = 2 }\n";
    let mut asks = recipe(&manifest, 1, &model, fusion);
    asks.objective.terms.push(CAPTION);
    let e = train(&asks, &dir.path().join("run"), Options::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(e.contains("fusion.frames: 5, but the video tower takes at most 4"), "{e}");
    // What a recipe does not say is not written into its run.
    let plain = recipe(Path::new("m.jsonl"), 1, &towers(false), "").to_toml().unwrap();
    assert!(!plain.contains("[video]") && !plain.contains("[model.video]"));
}

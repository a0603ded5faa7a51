//! Trainings with a fusion part. Each by itself in its program's order: libtorch's random generator belongs to the process.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use support::things;
use unisono_fusion::FusionModel;
use unisono_train::tracking::{self, Line};
use unisono_train::{Error, Event, Options, Recipe, Summary, checkpoint, train};

/// One training at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Every loss there is.
const ALL: &str = "[[objective]]\nkind = \"contrastive\"\n[[objective]]\nkind = \"caption\"\n[[objective]]\nkind = \"match\"\nweight = 0.5\n";

fn fused(manifest: &Path, steps: u64, objective: &str, more: &str) -> Recipe {
    let m = manifest.display();
    let mut captions = String::new();
    for from in ["image", "audio"] {
        captions += &format!(
            "[[evaluate]]\nkind = \"captioning\"\nname = \"{from}\"\nsource = \"{m}\"\nsplit = \"train\"\nfrom = \"{from}\"\n"
        );
    }
    let text = support::recipe_text(manifest, steps, &format!("{captions}{more}"));
    let text = format!("best = \"image.cider_d\"\n{text}");
    let fusion = "[fusion]\nmemory = [\"image\", \"audio\"]\ncontext_length = 12\n\
                  transformer = { width = 24, depth = 2, heads = 3, mlp_ratio = 2.0, dropout = 0.05 }\n";
    let text = text.replace("[[objective]]\nkind = \"contrastive\"\n", &format!("{fusion}{objective}"));
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

fn run(recipe: &Recipe, dir: &Path, options: Options) -> Result<Summary, Error> {
    train(recipe, dir, options, &mut |_| {})
}

/// Images alone and audio files alone, as two sources: the memories of a batch differ.
fn apart(mut recipe: Recipe) -> Recipe {
    use unisono_encoders::Modality::{Audio, Image, Text};
    let mut second = recipe.data[0].clone();
    recipe.data[0].uses = vec![Text, Image];
    second.uses = vec![Text, Audio];
    second.name = "sounds".into();
    recipe.data.push(second);
    recipe
}

#[test]
fn sixteen_items_are_captioned_word_for_word() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let recipe = fused(&things(dir.path()), 250, ALL, "");
    let mut recipe = apart(recipe);
    recipe.best = None;
    recipe.evaluate.retain(|p| p.kind() == "captioning");
    let mut last = None;
    train(&recipe, &dir.path().join("run"), Options::default(), &mut |event| {
        if let Event::Evaluated(line) = event {
            last = Some(line.clone());
        }
    })
    .unwrap();
    for (name, o) in &last.unwrap().outcomes {
        assert_eq!((o.items, o.value("exact")), (16, Some(1.0)), "{name}");
        assert!(o.value("cider_d").unwrap() > 7.0, "{name} {o:?}");
    }
    let best = checkpoint::model_dir(&dir.path().join("run"));
    let model = FusionModel::load(&best, tch::Device::Cpu).unwrap();
    // Matching was learned beside: a true text beats another.
    let image = image::open(dir.path().join("red-disc.png")).unwrap().to_rgb8();
    let seen = [model.encode_images(&[model.towers().image_processor().unwrap().prepare(&image)]).unwrap()];
    let p = |text: &str| model.matches(&[text], &seen).unwrap()[0];
    assert!(p("a red disc") > 0.9 && p("a blue corner") < 0.1, "{} {}", p("a red disc"), p("a blue corner"));
}

/// Vectors of the shared space in place of tokens, and no words but those of the captions: what is frozen does not run, and one layer serves images
/// and audio files alike.
#[test]
fn items_are_captioned_by_their_vectors_in_known_words() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let objective =
        "[[objective]]\nkind = \"contrastive\"\nby_source = true\n[[objective]]\nkind = \"caption\"\n";
    let mut recipe = apart(fused(&things(dir.path()), 400, objective, ""));
    recipe.best = None;
    recipe.evaluate.retain(|p| p.kind() == "captioning");
    let fusion = recipe.fusion.as_mut().unwrap();
    (fusion.prefix, fusion.known_words) = (3, true);
    let mut last = None;
    train(&recipe, &dir.path().join("run"), Options::default(), &mut |event| {
        if let Event::Evaluated(line) = event {
            last = Some(line.clone());
        }
    })
    .unwrap();
    for (name, o) in &last.unwrap().outcomes {
        assert_eq!((o.items, o.value("exact")), (16, Some(1.0)), "{name}");
    }
    let best = checkpoint::model_dir(&dir.path().join("run"));
    let model = FusionModel::load(&best, tch::Device::Cpu).unwrap();
    let known = &model.config().words;
    assert!(model.config().memory.by_vectors() && known.len() > 4);
    // Whatever is asked of it, and however it is drawn: every word is one of them.
    let image = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb([(x * 8) as u8, (y * 8) as u8, 99]));
    let seen = [model.encode_images(&[model.towers().image_processor().unwrap().prepare(&image)]).unwrap()];
    assert_eq!(seen[0].tokens.size(), [1, 1, model.towers().config().embed_dim]);
    let memory = model.cross_kv(&seen).unwrap();
    let options = unisono_fusion::Generation { temperature: 5.0, ..model.config().generation.clone() };
    for first in 0..20 {
        let made = model.caption(&memory, &model.caption_prompt("").unwrap(), &options, first, None).unwrap();
        let text = model.decode(&made[0]).unwrap();
        for word in model.text().unwrap().words(&text).unwrap() {
            assert!(known.contains(&word), "{text}");
        }
    }
    // A prompt goes before, whatever its words.
    let prompt = model.caption_prompt("zebra").unwrap();
    let made = model.caption(&memory, &prompt, &model.config().generation.clone(), 0, None).unwrap();
    assert!(model.decode(&made[0]).unwrap().starts_with("zebra"));
}

/// What twenty steps of all losses together gave when they were written down; any change of arithmetic or of a draw shows.
#[test]
fn twenty_steps_of_every_loss_are_as_expected() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let mut recipe = apart(fused(&things(dir.path()), 20, ALL, ""));
    // Small steps: rounding, which differs from processor to processor, is not blown up.
    recipe.optimizer.lr = 1e-3;
    let out = dir.path().join("run");
    run(&recipe, &out, Options::default()).unwrap();
    let lines: Vec<_> = tracking::read(&out.join("metrics.jsonl"))
        .unwrap()
        .into_iter()
        .filter_map(|l| if let Line::Train(t) = l { Some(t) } else { None })
        .collect();
    type Found = (u64, f64, Vec<(String, f64)>);
    let found: Vec<Found> =
        lines.iter().map(|l| (l.step, l.loss, l.pairs.clone().into_iter().collect())).collect();
    println!("{found:?}");
    let want: [(u64, [f64; 5]); 2] = WANTED;
    assert_eq!(found.len(), 2);
    for ((step, loss, parts), (at, values)) in found.iter().zip(want) {
        assert_eq!(*step, at);
        let names: Vec<&str> = parts.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["caption", "match", "text_audio", "text_image"]);
        let all = std::iter::once(*loss).chain(parts.iter().map(|(_, v)| *v));
        for (found, want) in all.zip(values) {
            assert!((found - want).abs() < 1e-4, "step {step}: {found} {want}");
        }
    }
}

/// Step, then the whole loss, caption, match, text_audio, text_image.
const WANTED: [(u64, [f64; 5]); 2] = [
    (10, [11.911885738372803, 5.512617301940918, 0.7611357748508454, 3.0345256328582764, 2.9841751575469972]),
    (20, [9.924538898468018, 5.272097444534301, 0.6492147028446198, 2.334670639038086, 1.9931631803512573]),
];

#[test]
fn an_interruption_changes_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let recipe = fused(&things(dir.path()), 8, ALL, "[checkpoint]\nevery = 3");
    let [a, b] = ["a", "b"].map(|n| dir.path().join(n));
    run(&recipe, &a, Options::default()).unwrap();
    let stop = AtomicBool::new(false);
    train(&recipe, &b, Options { stop: Some(&stop), ..Options::default() }, &mut |event| {
        if matches!(event, Event::Step(s) if s.step == 4) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap();
    assert!(run(&recipe, &b, Options { resume: true, ..Options::default() }).unwrap().finished);
    for file in ["training.safetensors", "model.safetensors", "fusion.safetensors", "fusion.json"] {
        let read = |run: &Path| fs::read(checkpoint::last(run).join(file)).unwrap();
        assert!(read(&a) == read(&b), "the interrupted run differs in {file}");
    }
}

/// Align, then fuse: the second run begins with the first one's towers, which stay as they are.
#[test]
fn a_run_begins_with_anothers_towers_and_may_freeze_them() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let aligned = Recipe::parse(&support::recipe_text(&manifest, 4, ""), Path::new("test.toml")).unwrap();
    let (first, second) = (dir.path().join("align"), dir.path().join("fuse"));
    run(&aligned, &first, Options::default()).unwrap();
    let frozen = ["text.*", "image.*", "audio.*", "logit_scale.*"]
        .map(|m| format!("[[group]]\nmatch = \"{m}\"\nfreeze = true\n"))
        .concat();
    let mut recipe = fused(&manifest, 3, "[[objective]]\nkind = \"caption\"\n", &frozen);
    let both = dir.path().join("both.toml");
    recipe.init = Some(first.clone());
    fs::write(&both, recipe.to_toml().unwrap()).unwrap();
    let e = Recipe::load(&both, &[], &[]).unwrap_err().to_string();
    assert!(e.contains("leave [model] out"), "{e}");
    recipe.model = None;
    fs::write(&both, recipe.to_toml().unwrap()).unwrap();
    let recipe = Recipe::load(&both, &[], &[]).unwrap();
    run(&recipe, &second, Options::default()).unwrap();
    let weights = |run: &Path| fs::read(checkpoint::model_dir(run).join("model.safetensors")).unwrap();
    let load =
        |run: &Path| unisono_encoders::Model::load(&checkpoint::model_dir(run), tch::Device::Cpu).unwrap();
    let (a, b) = (load(&first), load(&second));
    for (name, p) in a.params().iter() {
        assert_eq!(b.params().get(name).unwrap().tensor, p.tensor, "{name}");
    }
    assert!(weights(&first) == weights(&second));
    assert!(checkpoint::model_dir(&second).join("fusion.json").is_file());
    for (set, says) in [
        ("objective=[{ kind = \"contrastive\" }]", "would learn nothing"),
        ("fusion.memory=[\"text\"]", "expected image, audio, or both"),
        ("fusion.transformer.heads=5", "heads: 5 does not divide"),
    ] {
        let outcome = Recipe::load(&both, &[set.to_owned()], &[]).and_then(|r| {
            run(&r, &dir.path().join("refused"), Options { fresh: true, ..Options::default() }).map(|_| ())
        });
        let e = outcome.unwrap_err().to_string();
        assert!(e.contains(says), "{set}: {e}");
    }
}

#[test]
fn videos_are_captioned_in_the_order_of_their_frames() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let manifest = things(dir.path());
    let things: Vec<serde_json::Value> =
        fs::read_to_string(&manifest).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let ffmpeg = unisono_media::video::Ffmpeg::find(None).unwrap();
    // One thing, then another; every second video shows the other twice, so that lengths differ. The reverse of each is there too.
    let (mut lines, mut videos) = (String::new(), Vec::new());
    for i in 0..16 {
        let (one, other) = if i % 2 == 0 { (i, i + 1) } else { (i, i - 1) };
        let frames = dir.path().join(format!("v{i}"));
        fs::create_dir(&frames).unwrap();
        let shown = if i % 4 < 2 { vec![one, other] } else { vec![one, other, other] };
        for (n, thing) in shown.iter().enumerate() {
            let image = dir.path().join(things[*thing]["image"].as_str().unwrap());
            fs::copy(image, frames.join(format!("{n}.png"))).unwrap();
        }
        let path = dir.path().join(format!("v{i}.mkv"));
        let made = std::process::Command::new(ffmpeg.program())
            .args(["-loglevel", "error", "-framerate", "5", "-i"])
            .arg(frames.join("%d.png"))
            .args(["-c:v", "png"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        // Few words: the writer's positions are few. Both things of a pair are of one colour.
        let word = |thing: usize, n| things[thing]["text"].as_str().unwrap().split(' ').nth(n).unwrap();
        let text = format!("{} {} {}", word(one, 1), word(one, 2), word(other, 2));
        lines += &format!(
            "{{\"id\":\"v{i}\",\"text\":\"{text}\",\"video\":\"v{i}.mkv\",\"split\":\"train\",\"lang\":\"en\"}}\n"
        );
        videos.push((path, text));
    }
    let manifest = dir.path().join("videos.jsonl");
    fs::write(&manifest, lines).unwrap();
    let mut recipe = fused(
        &manifest,
        400,
        "[[objective]]\nkind = \"contrastive\"\n[[objective]]\nkind = \"caption\"\n",
        "",
    );
    recipe.best = None;
    recipe.evaluate.clear();
    recipe.fusion.as_mut().unwrap().frames = 3;
    recipe.fusion.as_mut().unwrap().memory = vec![unisono_encoders::Modality::Image];
    let out = dir.path().join("run");
    run(&recipe, &out, Options::default()).unwrap();
    let model = FusionModel::load(&checkpoint::model_dir(&out), tch::Device::Cpu).unwrap();
    let processor = model.towers().image_processor().unwrap();
    let limits = unisono_media::video::VideoLimits::default();
    let seen: Vec<Vec<_>> = videos
        .iter()
        .map(|(path, _)| {
            let video = ffmpeg.probe(path, &limits).unwrap();
            let frames = ffmpeg.sample(&video, model.most_frames(), &limits).unwrap();
            frames.iter().map(|f| processor.prepare(&f.image)).collect()
        })
        .collect();
    assert!(seen.iter().any(|v| v.len() == 2) && seen.iter().any(|v| v.len() == 3));
    let memory = model.cross_kv(&model.encode_videos(&seen).unwrap()).unwrap();
    let prompt = model.caption_prompt("").unwrap();
    let found = model.caption(&memory, &prompt, &model.config().generation.clone(), 0, None).unwrap();
    let said: Vec<String> = found.iter().map(|g| model.decode(g).unwrap()).collect();
    let right = said.iter().zip(&videos).filter(|(said, (_, text))| *said == text).count();
    assert_eq!(right, 16, "{said:?}");
}

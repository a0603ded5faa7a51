//! Trainings of towers that are not square: oblong ones, and flexible ones whose images keep their shape.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use image::{Rgb, RgbImage};
use std::fs;
use std::path::{Path, PathBuf};
use unisono_encoders::Model;
use unisono_train::{Error, Options, Recipe, Summary, checkpoint, train};

/// Eight bars, upright or lying, each with a caption; their images have shapes of their own.
fn bars(dir: &Path) -> PathBuf {
    let mut lines = String::new();
    for i in 0..8u32 {
        let (w, h) = if i % 2 == 0 { (60, 18 + i) } else { (18 + i, 60) };
        let tone = [30 * i as u8, 255 - 30 * i as u8, if i < 4 { 0 } else { 200 }];
        RgbImage::from_pixel(w, h, Rgb(tone)).save(dir.join(format!("{i}.png"))).unwrap();
        let way = if i % 2 == 0 { "lying" } else { "upright" };
        lines += &format!(
            "{{\"id\":\"{i}\",\"text\":\"{way} number {i}\",\"image\":\"{i}.png\",\"split\":\"train\"}}\n"
        );
    }
    fs::write(dir.join("manifest.jsonl"), lines).unwrap();
    dir.join("manifest.jsonl")
}

fn recipe(manifest: &Path, image: &str, processor: &str, more: &str) -> Recipe {
    let m = manifest.display();
    let text = format!(
        r#"
seed = 5
steps = 80
device = "cpu"
threads = 1
[model]
embed_dim = 16
[model.text]
vocab_size = 300
context_length = 12
pooling = "mean"
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
[model.image]
pooling = "mean"
stem = {{ kind = "patch", size = [6, 6] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
{image}
[processor.image]
{processor}
[[data]]
name = "bars"
source = "{m}"
split = "train"
per_batch = 8
[augment.image]
crop = {{ scale = [0.9, 1.1] }}
rotate = 3.0
[optimizer]
lr = 1e-2
[loader]
workers = 2
[[evaluate]]
kind = "retrieval"
name = "image-text"
source = "{m}"
split = "train"
from = "image"
to = "text"
{more}
"#
    );
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

fn run(recipe: &Recipe, dir: &Path) -> Result<Summary, Error> {
    train(recipe, dir, Options::default(), &mut |_| {})
}

const CONTRASTIVE: &str = "[[objective]]\nkind = \"contrastive\"\n";
const FLEXIBLE: &str = "size = 24\nflexible = true";
const PATCHES: &str = "size = 24\nfit = \"patches\"\npatch = 6";

#[test]
fn oblong_and_flexible_towers_memorise() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = bars(dir.path());
    for (name, image, processor) in
        [("oblong", "size = [12, 30]", "size = [12, 30]\nfit = \"stretch\""), ("flexible", FLEXIBLE, PATCHES)]
    {
        let out = dir.path().join(name);
        let summary = run(&recipe(&manifest, image, processor, CONTRASTIVE), &out).unwrap();
        assert!(summary.finished && summary.skipped.is_empty(), "{name}");
        assert_eq!(summary.best.map(|(score, _)| score), Some(1.0), "{name}");
        Model::load(&checkpoint::model_dir(&out), tch::Device::Cpu).unwrap();
    }
}

#[test]
fn a_budget_of_tokens_learns_of_images_that_keep_their_shape() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = bars(dir.path());
    let more = format!("{CONTRASTIVE}[batch]\ntokens = 24\n");
    let out = dir.path().join("run");
    let summary = run(&recipe(&manifest, FLEXIBLE, PATCHES, &more), &out).unwrap();
    assert!(summary.finished && summary.skipped.is_empty());
    assert_eq!(summary.best.map(|(score, _)| score), Some(1.0));
}

#[test]
fn captions_are_learned_of_images_of_many_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = bars(dir.path());
    let more = format!(
        "[fusion]\nmemory = [\"image\"]\ncontext_length = 12\n\
         transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}\n\
         {CONTRASTIVE}[[objective]]\nkind = \"caption\"\n[[objective]]\nkind = \"match\"\n\
         [[evaluate]]\nkind = \"captioning\"\nname = \"bars\"\nsource = \"{}\"\nsplit = \"train\"\nfrom = \"image\"\n",
        manifest.display()
    );
    let best = Some("bars.cider_d".to_owned());
    let recipe = Recipe { steps: 4, best, ..recipe(&manifest, FLEXIBLE, PATCHES, &more) };
    let summary = run(&recipe, &dir.path().join("run")).unwrap();
    assert!(summary.finished && summary.skipped.is_empty());
}

#[test]
fn patches_for_a_tower_of_one_size_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = bars(dir.path());
    let refused = |image: &str, processor: &str| {
        run(&recipe(&manifest, image, processor, CONTRASTIVE), &dir.path().join("run"))
            .unwrap_err()
            .to_string()
    };
    let e = refused("size = 24", PATCHES);
    assert!(e.contains("processor.image.fit") && e.contains("model.image.flexible"), "{e}");
    let e = refused(FLEXIBLE, "size = 24\nfit = \"patches\"\npatch = 8");
    assert!(e.contains("processor.image.patch") && e.contains("6 x 6"), "{e}");
}

//! A training of an image tower of convolutions: it learns, and an interruption changes nothing, the norms' statistics among it. Alone in its
//! program: libtorch's random generator belongs to the process.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use unisono_encoders::Model;
use unisono_encoders::config::ImageConfig;
use unisono_train::{Event, Options, Recipe, Summary, checkpoint, train};

fn recipe(manifest: &Path) -> Recipe {
    let text = support::recipe_text(manifest, 60, "[checkpoint]\nevery = 60");
    let begin = text.find("[model.image]").unwrap();
    let end = begin + 1 + text[begin + 1..].find("\n[").unwrap();
    let net = "[model.image]\nkind = \"efficientnet\"\nsize = 16\nstem = 8\nhead = 24\ndrop_path = 0.1\nstages = [\n  \
        { channels = 8, repeats = 1, expansion = 1.0 },\n  \
        { channels = 12, repeats = 2, stride = 2, kernel = 5, expansion = 3.0, squeeze = 0.25 },\n]\n";
    let text = [&text[..begin], net, &text[end..]].concat();
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

fn run(recipe: &Recipe, dir: &Path, stop_at: Option<u64>, resume: bool) -> Summary {
    let stop = AtomicBool::new(false);
    let options = Options { stop: Some(&stop), resume, ..Options::default() };
    train(recipe, dir, options, &mut |event| {
        if matches!(event, Event::Step(s) if Some(s.step) == stop_at) {
            stop.store(true, Ordering::Relaxed);
        }
    })
    .unwrap()
}

#[test]
fn a_net_of_convolutions_learns_and_goes_on_where_it_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = recipe(&support::things(dir.path()));
    let [whole, parts] = ["whole", "parts"].map(|n| dir.path().join(n));
    let summary = run(&recipe, &whole, None, false);
    assert!(summary.finished && summary.skipped.is_empty());
    assert_eq!(run(&recipe, &parts, Some(23), false).step, 23);
    assert!(run(&recipe, &parts, None, true).finished);
    for file in ["training.safetensors", "model.safetensors", "config.json"] {
        let of = |run: &Path| fs::read(checkpoint::last(run).join(file)).unwrap();
        assert!(of(&whole) == of(&parts), "{file}");
    }
    let model = Model::load(&checkpoint::model_dir(&whole), tch::Device::Cpu).unwrap();
    assert!(matches!(model.config().image, Some(ImageConfig::EfficientNet(_))));
    let moved = &model.params().get("image.head.norm.running_mean").unwrap().tensor;
    assert!(moved.abs().max().double_value(&[]) > 0.01, "the statistics stood still");
    assert!(summary.best.is_none_or(|(score, _)| score > 0.5), "{:?}", summary.best);
}

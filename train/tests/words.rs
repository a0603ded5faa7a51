//! Records of one caption are no negatives of each other, whether the caption is read or not.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use unisono_train::setup::{Sources, sampler};
use unisono_train::towers::model;
use unisono_train::{Recipe, batch, data::Preparer};

#[test]
fn records_of_the_same_words_are_positives() {
    let dir = tempfile::tempdir().unwrap();
    support::things(dir.path());
    let manifest = dir.path().join("same.jsonl");
    let line = |id: &str, text: &str, thing: &str| {
        format!(
            "{{\"id\":\"{id}\",\"text\":\"{text}\",\"image\":\"{thing}.png\",\"audio\":\"{thing}.wav\",\"split\":\"train\"}}\n"
        )
    };
    let lines = [
        line("a", "A plain  café", "red-disc"),
        line("b", "a plain cafe\\u0301", "blue-bar"),
        line("c", "another square", "green-cross"),
    ];
    fs::write(&manifest, lines.concat()).unwrap();
    for uses in ["", "uses = [\"image\", \"audio\"]\n"] {
        let file = dir.path().join("recipe.toml");
        let text = support::recipe_text(&manifest, 1, "");
        fs::write(&file, text.replace("per_batch = 16\n", &format!("per_batch = 16\n{uses}"))).unwrap();
        let recipe = Recipe::load(&file, &[], &[]).unwrap();
        let sampler = sampler(&recipe, &mut Sources::default()).unwrap();
        let towers = model(&recipe, &sampler, tch::Device::Cpu).unwrap();
        let preparer = Preparer::new(&recipe, &towers, None).unwrap();
        let mut samples: Vec<_> = sampler
            .batch(0)
            .iter()
            .map(|d| preparer.prepare(d, &sampler.record(d).unwrap()).unwrap())
            .collect();
        samples.sort_by(|a, b| a.id.cmp(&b.id));
        samples.dedup_by(|a, b| a.id == b.id);
        assert_eq!(samples.len(), 3);
        let items = batch::items(&samples);
        assert!(items.positive(0, 1) && !items.positive(0, 2) && !items.positive(1, 2), "{uses}");
    }
}

//! A plan of a small recipe.

use super::*;
use std::path::Path;

/// Two sources, one of which is read; `more` stands at the end.
fn recipe(dir: &Path, top: &str, more: &str) -> Recipe {
    let lines: String = (0..40)
        .map(|i| {
            format!(
                "{{\"id\":\"{i}\",\"text\":\"a thing {i}\",\"image\":\"none-{i}.png\",\"split\":\"train\"}}\n"
            )
        })
        .collect();
    std::fs::write(dir.join("known.jsonl"), lines).unwrap();
    let text = format!(
        r#"
seed = 3
steps = 100
device = "cpu"
threads = 1
{top}
[model]
embed_dim = 16
[model.text]
vocab_size = 280
context_length = 12
pooling = "mean"
transformer = {{ width = 16, depth = 2, heads = 2, mlp_ratio = 2.0, dropout = 0.1 }}
[model.image]
size = 16
pooling = "mean"
stem = {{ kind = "patch", size = [8, 8] }}
transformer = {{ width = 16, depth = 1, heads = 2, mlp_ratio = 2.0 }}
[processor.image]
size = 16
[[data]]
name = "known"
source = "{}"
split = "train"
per_batch = 8
[[data]]
name = "unknown"
source = "far/shards-{{000..009}}.tar"
per_batch = 4
[[objective]]
kind = "contrastive"
[optimizer]
lr = 1e-3
{more}
"#,
        dir.join("known.jsonl").display()
    );
    Recipe::parse(&text, Path::new("test.toml")).unwrap()
}

#[test]
fn parameters_memory_and_epochs_are_counted_and_no_medium_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let found = plan(&recipe(dir.path(), "", ""), 2).unwrap();
    assert_eq!((found.batch, found.micro, found.method.as_str()), (12, 12, "whole"));
    let names: Vec<&str> = found.towers.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["text", "image", "logit_scale"]);
    assert!(found.towers.iter().all(|t| t.frozen == 0 && !t.kept));
    let numbers: u64 = found.towers.iter().map(|t| t.trained).sum();
    // Images have no buffers: every number is trained, with two moments and a step count a tensor.
    assert_eq!((found.memory.weights, found.memory.gradients), (4 * numbers, 4 * numbers));
    assert!(found.memory.optimizer > 8 * numbers && found.memory.optimizer < 9 * numbers);
    assert_eq!(found.data[0].epochs, Some(8.0 * 100.0 / 40.0));
    assert_eq!((found.data[1].records, found.data[1].epochs), (None, None));
    assert!(
        found.notes.iter().any(|n| n.starts_with("unknown: its records are not counted")),
        "{:?}",
        found.notes
    );
    assert!(found.flops > 0.0 && found.seconds > 0.0 && found.probe.steps == 2);
    let said = found.to_string();
    assert!(
        said.contains("known: 40 records, 8 a batch, 20.0 epochs")
            && said.contains("100 steps of 12 samples"),
        "{said}"
    );
}

#[test]
fn what_is_frozen_is_said_with_its_rule_and_kept_towers_do_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let rules = "[[group]]\nmatch = \"image.projection.*\"\n[[group]]\nmatch = \"image.*\"\nfreeze = true\n";
    let all = plan(&recipe(dir.path(), "", ""), 1).unwrap();
    let found = plan(&recipe(dir.path(), "[batch]\nmicro = 5\n", rules), 1).unwrap();
    assert_eq!((found.method.as_str(), found.micro), ("cached", 5));
    let image = found.towers.iter().find(|t| t.name == "image").unwrap();
    assert!(image.kept && image.trained == 16 * 16 && image.frozen > 0, "{image:?}");
    assert_eq!(found.frozen.len(), 1);
    assert_eq!((found.frozen[0].rule.as_str(), found.frozen[0].numbers), ("image.*", image.frozen));
    assert!(found.memory.gradients < all.memory.gradients && found.flops < all.flops);
    assert_eq!(found.memory.features, 40 * 16 * 4);
}

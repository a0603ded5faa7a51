//! A training is PyTorch's: thirty losses of `fixtures/training.py`, with warm-up, cosine, weight decay and clipping. Alone in its program, as
//! `resume.rs` is.
#![allow(clippy::unwrap_used, missing_docs)]

use image::{Rgb, RgbImage};
use std::fs;
use std::path::Path;
use unisono_train::{Event, Options, Recipe, train};

const ITEMS: u32 = 8;

/// `losses` and `norms` of `fixtures/training.py`.
const LOSSES: [f64; 30] = [
    2.700112, 2.289734, 1.928733, 1.78198, 1.589368, 1.408937, 1.186092, 0.927651, 0.700381, 0.486595,
    0.34561, 0.283209, 0.201057, 0.179961, 0.129203, 0.105062, 0.081023, 0.054673, 0.041441, 0.033347,
    0.026676, 0.021625, 0.018317, 0.016274, 0.015033, 0.014284, 0.013832, 0.013564, 0.013417, 0.01335,
];
/// The mean of the norms of steps 0 to 9.
const NORM: f64 = 3.8518;

/// `fixtures/checkpoints/clip-gelu` with a tokenizer of its own: word `wK` is 4 + K, 0 begins, 3 ends.
fn model(dir: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/checkpoints/clip-gelu");
    fs::create_dir(dir).unwrap();
    for name in ["config.json", "preprocessor_config.json", "model.safetensors"] {
        fs::copy(from.join(name), dir.join(name)).unwrap();
    }
    let special = ["<s>", "<pad>", "<unk>", "</s>"];
    let words: Vec<String> =
        special.iter().map(|s| (*s).to_owned()).chain((0..90).map(|k| format!("w{k}"))).collect();
    let vocab: Vec<String> = words.iter().enumerate().map(|(i, word)| format!("\"{word}\":{i}")).collect();
    let added: Vec<String> = special
        .iter()
        .enumerate()
        .map(|(id, content)| format!(
            r#"{{"id":{id},"content":"{content}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}"#
        ))
        .collect();
    let around = |sequences: &[&str]| {
        let token = |t: &str| format!(r#"{{"SpecialToken":{{"id":"{t}","type_id":0}}}}"#);
        let sequence = |s: &&str| format!(r#"{{"Sequence":{{"id":"{s}","type_id":0}}}}"#);
        let inner: Vec<String> = sequences.iter().map(sequence).collect();
        format!("[{},{},{}]", token("<s>"), inner.join(","), token("</s>"))
    };
    let text = format!(
        r#"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{}],"normalizer":null,
"pre_tokenizer":{{"type":"WhitespaceSplit"}},
"post_processor":{{"type":"TemplateProcessing","single":{},"pair":{},
"special_tokens":{{"<s>":{{"id":"<s>","ids":[0],"tokens":["<s>"]}},"</s>":{{"id":"</s>","ids":[3],"tokens":["</s>"]}}}}}},
"decoder":null,"model":{{"type":"WordLevel","vocab":{{{}}},"unk_token":"<unk>"}}}}"#,
        added.join(","),
        around(&["A"]),
        around(&["A", "B"]),
        vocab.join(",")
    );
    fs::write(dir.join("tokenizer.json"), text).unwrap();
}

fn data(dir: &Path) {
    let mut lines = String::new();
    for i in 0..ITEMS {
        let value = |x: u32, y: u32, c: u32| ((x * (i + 3) + y * (2 * i + 1) + c * (40 + i)) % 256) as u8;
        let image = RgbImage::from_fn(28, 28, |x, y| Rgb([0, 1, 2].map(|c| value(x, y, c))));
        image.save(dir.join(format!("{i}.png"))).unwrap();
        let words: Vec<String> = (0..3 + i % 4).map(|k| format!("w{}", (i * 11 + k * 7) % 90)).collect();
        let caption = words.join(" ");
        lines +=
            &format!("{{\"id\":\"{i}\",\"text\":\"{caption}\",\"image\":\"{i}.png\",\"split\":\"train\"}}\n");
    }
    fs::write(dir.join("pairs.jsonl"), lines).unwrap();
}

#[test]
fn thirty_losses_are_pytorchs() {
    let dir = tempfile::tempdir().unwrap();
    model(&dir.path().join("clip"));
    data(dir.path());
    let at = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        r#"
seed = 1
steps = 30
device = "cpu"
threads = 1
init = "{}"
[[data]]
name = "pairs"
source = "{}"
split = "train"
per_batch = {ITEMS}
[[objective]]
kind = "contrastive"
[optimizer]
lr = 2e-3
betas = [0.9, 0.98]
eps = 1e-8
weight_decay = 0.1
warmup = 5
clip = 1.0
# transformers' patches have no bias; our tower has one, of zeros.
[[group]]
match = "image.stem.bias"
freeze = true
"#,
        at("clip"),
        at("pairs.jsonl")
    );
    let recipe = Recipe::parse(&text, Path::new("golden.toml")).unwrap();
    let mut losses = Vec::new();
    let run = dir.path().join("run");
    train(&recipe, &run, Options::default(), &mut |event| {
        if let Event::Step(step) = event {
            losses.push(step.loss);
        }
    })
    .unwrap();
    assert_eq!(losses.len(), LOSSES.len());
    for (step, (found, expected)) in losses.iter().zip(LOSSES).enumerate() {
        assert!((found - expected).abs() < 1e-4, "step {step}: {found}, expected {expected}: {losses:?}");
    }
    let lines = unisono_train::tracking::read(&run.join("metrics.jsonl")).unwrap();
    let unisono_train::tracking::Line::Train(first) = &lines[0] else {
        unreachable!("the first line is of steps")
    };
    assert!((first.grad_norm - NORM).abs() < 1e-3, "{}", first.grad_norm);
    assert_eq!(first.grad_norms.keys().collect::<Vec<_>>(), ["image", "logit_scale", "text"]);
}

//! Scorers of pairs of texts against the library that wrote them (fixtures/heads.py): the same ids, segments and numbers.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use serde::Deserialize;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::config::Score;
use unisono_encoders::export::{self, Format};
use unisono_encoders::{Input, Model, Precision, families, to_vec};
use unisono_processors::Pair;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pairs").join(name)
}

/// What the library makes of some pairs.
#[derive(Deserialize)]
struct Golden {
    pairs: Vec<(String, String)>,
    ids: Vec<Vec<i64>>,
    segments: Vec<Vec<i64>>,
    logits: serde_json::Value,
    scores: serde_json::Value,
}

impl Golden {
    fn read(name: &str) -> Self {
        serde_json::from_slice(&std::fs::read(fixture(name).join("pairs.json")).unwrap()).unwrap()
    }
}

/// One after another, however they are nested.
fn numbers(value: &serde_json::Value) -> Vec<f64> {
    match value.as_array() {
        Some(all) => all.iter().flat_map(numbers).collect(),
        None => vec![value.as_f64().unwrap()],
    }
}

fn load(name: &str) -> Model {
    Model::load(&fixture(name), Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn encode(model: &Model, golden: &Golden) -> Vec<Pair> {
    let processor = model.text_processor().unwrap();
    golden.pairs.iter().map(|(a, b)| processor.encode_pair(a, b).unwrap()).collect()
}

fn logits(model: &Model, pairs: &[Pair]) -> Vec<f64> {
    to_vec(&model.pair_logits(pairs).unwrap()).unwrap().into_iter().map(f64::from).collect()
}

fn far(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

const SCORERS: [(&str, Score, bool); 6] = [
    ("bert", Score::Sigmoid, true),
    ("bert-old", Score::Raw, true),
    ("roberta", Score::Sigmoid, false),
    ("xlm-roberta", Score::Raw, false),
    ("several", Score::Raw, true),
    ("distilbert", Score::Sigmoid, false),
];

#[test]
fn pairs_have_the_librarys_ids_and_numbers() {
    for (name, score, segments) in SCORERS {
        let (mut model, golden) = (load(name), Golden::read(name));
        let classifier = model.classifier().unwrap();
        assert_eq!((classifier.score, classifier.pair.unwrap().segments), (score, segments), "{name}");
        let pairs = encode(&model, &golden);
        for (i, pair) in pairs.iter().enumerate() {
            assert_eq!(pair.ids, golden.ids[i], "{name} {i}");
            let second: Vec<bool> = golden.segments[i].iter().map(|s| *s == 1).collect();
            assert_eq!(pair.second, second, "{name} {i}");
        }
        let want = numbers(&golden.logits);
        let found = logits(&model, &pairs);
        let worst = far(&found, &want);
        println!("{name:16} {worst:.1e}");
        assert!(worst <= 2e-6, "{name}: {worst:.1e}");
        let scores: Vec<f64> = match score {
            Score::Sigmoid => found.iter().map(|l| 1.0 / (1.0 + (-l).exp())).collect(),
            _ => found.clone(),
        };
        assert!(far(&scores, &numbers(&golden.scores)) < 1e-6, "{name}");
        // Each alone, as it is in a batch of other lengths.
        let labels = want.len() / pairs.len();
        for (i, pair) in pairs.iter().enumerate() {
            let alone = logits(&model, std::slice::from_ref(pair));
            assert!(far(&alone, &found[i * labels..(i + 1) * labels]) < 1e-6, "{name} {i}");
        }
        model.prepare(Precision::Fp32).unwrap();
        assert!(far(&logits(&model, &pairs), &want) < 1e-5, "{name}, packed");
    }
}

#[test]
fn a_saved_scorer_scores_alike() {
    for name in ["bert-old", "roberta"] {
        let (model, golden, dir) = (load(name), Golden::read(name), tempfile::tempdir().unwrap());
        export::write(&model, dir.path(), Format::Unisono).unwrap();
        assert_eq!(families::numbers_of_a_pair(dir.path()).unwrap(), Some(1));
        let again = Model::load(dir.path(), Device::Cpu).unwrap();
        assert_eq!(again.classifier(), model.classifier());
        let pairs = encode(&again, &golden);
        assert_eq!(logits(&again, &pairs), logits(&model, &pairs));
    }
    assert_eq!(families::numbers_of_a_pair(&fixture("several")).unwrap(), Some(3));
    for name in ["bert", "vit", "clip-gelu"] {
        let dir = fixture("../checkpoints").join(name);
        assert_eq!(families::numbers_of_a_pair(&dir).unwrap(), None, "{name}");
    }
}

#[test]
fn what_is_no_pair_or_no_scorer_is_refused() {
    let model = load("bert");
    let e = model.class_logits([Input::Text(&[2, 3])]).unwrap();
    assert_eq!(e.size(), [1, 1], "one text alone is a sequence, too");
    assert!(model.pair_logits(&[]).is_err());
    let tower = Model::load(&fixture("../checkpoints/head-vit"), Device::Cpu).unwrap();
    let pair = Pair { ids: vec![1, 2], second: vec![false, true] };
    let e = tower.pair_logits(std::slice::from_ref(&pair)).unwrap_err().to_string();
    assert!(e.contains("compares no texts"), "{e}");
    let e = model.pair_logits(&[Pair { ids: vec![5; 31], second: vec![false; 31] }]).unwrap_err().to_string();
    assert!(e.contains("text of 31 tokens, the context length is 30"), "{e}");
    // The padding of RoBERTa's kin shifts positions, in either text.
    let e = load("roberta").text_processor().unwrap().encode_pair("a", "b <pad> c").unwrap_err().to_string();
    assert!(e.contains("<pad>"), "{e}");
}

/// A copy of a scorer with one of its files changed.
fn changed(name: &str, file: &str, change: impl Fn(&mut serde_json::Value)) -> Result<Model, String> {
    let dir = support::copy(&fixture(name));
    support::change(&dir.path().join(file), change);
    Model::load(dir.path(), Device::Cpu).map_err(|e| e.to_string())
}

#[test]
fn what_would_change_a_score_is_read_or_refused() {
    let own = "config_sentence_transformers.json";
    let linear = "torch.nn.modules.linear.Identity";
    let raw = changed("bert", own, |c| c["activation_fn"] = linear.into()).unwrap();
    assert_eq!(raw.classifier().unwrap().score, Score::Raw);
    let e =
        changed("bert", own, |c| c["activation_fn"] = "torch.nn.modules.activation.Tanh".into()).unwrap_err();
    assert!(e.contains("activation_fn: expected torch.nn.modules.activation.Sigmoid or"), "{e}");
    let e = changed("bert", own, |c| {
        c["prompts"] = serde_json::json!({"query": "query: "});
        c["default_prompt_name"] = "query".into();
    });
    assert!(e.unwrap_err().contains("prompts are not put before pairs"), "");
    let e = changed("bert", "modules.json", |c| {
        let dense = serde_json::json!({"path": "1_Dense", "type": "sentence_transformers.models.Dense"});
        c.as_array_mut().unwrap().push(dense);
    });
    assert!(e.unwrap_err().contains("modules.json: a scorer of pairs: expected a Transformer"));
    let e = changed("bert", "sentence_bert_config.json", |c| c["module_output_name"] = "other".into());
    assert!(e.unwrap_err().contains("module_output_name: expected \"scores\""));
    let short = changed("bert", "tokenizer_config.json", |c| c["model_max_length"] = 9.into()).unwrap();
    assert_eq!(short.text_processor().unwrap().encode_pair("a red bus", "a red bus").unwrap().ids.len(), 9);
    let e = changed("xlm-roberta", "config.json", |c| c["sentence_transformers"]["more"] = 1.into());
    assert!(e.unwrap_err().contains("sentence_transformers.more: expected no such key"));
}

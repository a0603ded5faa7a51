//! Classifiers against the library that wrote them (fixtures/heads.py): the same tensors give the same numbers, and labels mean what they mean there.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::path::Path;
use support::{Golden, checkpoint, distance, golden};
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::{ClassifierInput, Score};
use unisono_encoders::export::{self, Format};
use unisono_encoders::{Input, Modality, Mode, Model, Precision};

fn load(name: &str) -> Model {
    Model::load(&checkpoint(name), Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// `[3, K]`.
fn logits(model: &Model, g: &Golden) -> Tensor {
    tch::no_grad(|| {
        if let Some(mel) = g.get("in.mel") {
            let lengths = Tensor::full([3], mel.size()[1], (Kind::Int64, Device::Cpu));
            return model.class_logits_of(&model.forward_audio(mel, &lengths, Mode::Eval).unwrap()).unwrap();
        }
        if let Some(pixels) = g.get("in.pixels") {
            return model.class_logits_of(&model.forward_image(pixels, Mode::Eval).unwrap()).unwrap();
        }
        let one = |i| model.forward_image(&g[&format!("in.picture.{i}")].unsqueeze(0), Mode::Eval).unwrap();
        let rows: Vec<Tensor> = (0..3).map(|i| model.class_logits_of(&one(i)).unwrap()).collect();
        Tensor::cat(&rows, 0)
    })
}

const HEADS: [(&str, ClassifierInput, Score, usize); 9] = [
    ("vit", ClassifierInput::Pooled, Score::Softmax, 6),
    ("vit-several", ClassifierInput::Pooled, Score::Sigmoid, 3),
    ("dinov2", ClassifierInput::FirstMean, Score::Softmax, 5),
    ("dinov2-registers", ClassifierInput::FirstMean, Score::Softmax, 4),
    ("clip", ClassifierInput::Mean, Score::Softmax, 4),
    ("siglip", ClassifierInput::Mean, Score::Softmax, 4),
    ("siglip2", ClassifierInput::Mean, Score::Softmax, 4),
    ("ast", ClassifierInput::Pooled, Score::Softmax, 5),
    ("ast-several", ClassifierInput::Pooled, Score::Sigmoid, 5),
];

const LABELS: [&str; 6] =
    ["tench", "crane", "goldfish, Carassius auratus", "crane", "a \"quoted\" one", "ägypten"];

#[test]
fn numbers_and_probabilities_are_the_librarys() {
    for (kind, input, score, count) in HEADS {
        let name = format!("head-{kind}");
        let (mut model, g) = (load(&name), golden(&checkpoint(&name)));
        let classifier = model.classifier().unwrap().clone();
        let audio = kind.starts_with("ast");
        assert_eq!(classifier.modality, if audio { Modality::Audio } else { Modality::Image });
        assert_eq!((classifier.input, classifier.score), (input, score), "{name}");
        assert_eq!(classifier.labels, LABELS[..count]);
        let found = logits(&model, &g);
        let far = distance(&found, &g["out.logits"]);
        assert!(far < 1e-5, "{name}: {far:.1e}");
        println!("{name:24} {far:.1e}");
        let probabilities = match score {
            Score::Softmax => found.softmax(-1, Kind::Double),
            _ => found.to_kind(Kind::Double).sigmoid(),
        };
        assert!(distance(&probabilities, &g["out.probabilities"]) < 1e-6, "{name}");
        model.prepare(Precision::Fp32).unwrap();
        assert!(distance(&logits(&model, &g), &g["out.logits"]) < 1e-5, "{name}, packed");
    }
}

#[test]
fn a_saved_model_keeps_its_classifier() {
    for name in ["head-dinov2", "head-ast-several"] {
        let (model, g, dir) = (load(name), golden(&checkpoint(name)), tempfile::tempdir().unwrap());
        export::write(&model, dir.path(), Format::Unisono).unwrap();
        let again = Model::load(dir.path(), Device::Cpu).unwrap();
        assert_eq!(again.classifier(), model.classifier());
        assert_eq!(logits(&again, &g), logits(&model, &g));
        let without = again.without_classifier();
        assert!(without.classifier().is_none());
        assert!(without.params().iter().all(|(name, _)| !name.starts_with("classifier")));
        let e = without.class_logits(std::iter::empty::<Input>()).unwrap_err().to_string();
        assert!(e.contains("no classifier"), "{e}");
    }
}

#[test]
fn images_of_several_shapes_are_classified_as_each_alone() {
    let model = load("head-siglip2");
    let image = |h: u32, w: u32| {
        image::RgbImage::from_fn(w, h, |x, y| image::Rgb([(x * 9) as u8, (y * 7) as u8, (x * y) as u8]))
    };
    let images = [image(15, 15), image(10, 20), image(15, 15), image(25, 5)];
    let all = model.class_logits(images.iter().map(Input::Image)).unwrap();
    for (i, one) in images.iter().enumerate() {
        let alone = model.class_logits([Input::Image(one)]).unwrap();
        assert!(distance(&alone, &all.narrow(0, i as i64, 1)) < 1e-5, "{i}");
    }
    let e = model.class_logits([Input::Text(&[1])]).unwrap_err().to_string();
    assert_eq!(e, "the classifier's modality is image, found an input of text");
}

/// A copy of a checkpoint with its configuration changed.
fn changed(dir: &Path, change: impl Fn(&mut serde_json::Value)) -> Result<Model, String> {
    for name in ["model.safetensors", "preprocessor_config.json", "config.json"] {
        std::fs::copy(checkpoint("head-vit").join(name), dir.join(name)).unwrap();
    }
    support::change(&dir.join("config.json"), change);
    Model::load(dir, Device::Cpu).map_err(|e| e.to_string())
}

#[test]
fn labels_that_do_not_fit_the_head_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut serde_json::Value), words: &[&str]| {
        let e = changed(dir.path(), change).unwrap_err();
        assert!(!e.contains('\n') && words.iter().all(|w| e.contains(w)), "{e}");
    };
    refused(
        &|c| drop(c["id2label"].as_object_mut().unwrap().remove("4")),
        &["config.json: id2label: expected 6 labels", "found 5 and none for 4"],
    );
    refused(
        &|c| c["id2label"]["6"] = "more".into(),
        &["config.json: id2label.6: expected numbers from 0 to 5, 6 labels"],
    );
    refused(&|c| c["id2label"]["0"] = 7.into(), &["id2label.0: expected a string, found 7"]);
    refused(&|c| c["problem_type"] = "guess".into(), &["problem_type: expected single_label_classification"]);
    // As the library names them where nothing is named.
    let bare = changed(dir.path(), |c| drop(c.as_object_mut().unwrap().remove("id2label"))).unwrap();
    assert_eq!(bare.classifier().unwrap().labels[5], "LABEL_5");
    let raw = changed(dir.path(), |c| c["problem_type"] = "regression".into()).unwrap();
    assert_eq!(raw.classifier().unwrap().score, Score::Raw);
    // A tower that was saved without its head has none.
    assert!(load("vit").classifier().is_none());
}

//! Nets of inverted bottlenecks against the libraries that wrote them (fixtures/efficientnet.py), and what a tower of convolutions keeps to.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use image::RgbImage;
use serde_json::{Value, json};
use std::path::Path;
use support::{Golden, checkpoint, copy, distance, golden};
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::{
    Activation, EfficientNetConfig, Padding, Pooling, ProjectionConfig, Size, StageConfig,
};
use unisono_encoders::{Modality, Mode, Model, ModelConfig, Pass, Precision, Processors, batch, families};
use unisono_nn::tensors;
use unisono_processors::{ImageProcessor, Keys};

const NETS: [(&str, usize); 5] = [
    ("efficientnet-lite", 6),
    ("efficientnet-tf", 5),
    ("efficientnet-b0", 0),
    ("efficientnet-tf-b0", 4),
    ("efficientnet-fork", 5),
];

fn load(name: &str) -> (Model, Golden) {
    let dir = checkpoint(name);
    (Model::load(&dir, Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}")), golden(&dir))
}

/// A changed copy of a fixture.
fn changed(name: &str, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let dir = copy(&checkpoint(name));
    support::change(&dir.path().join("config.json"), change);
    dir
}

fn refused(dir: &Path) -> String {
    let said = families::load(dir, Device::Cpu).unwrap_err().to_string();
    assert!(!said.contains('\n') && !said.contains("libtorch"), "{said}");
    said
}

#[test]
fn classifiers_are_the_librarys() {
    for (name, rows) in NETS {
        let (mut model, golden) = load(name);
        assert_eq!(model.classifier().map_or(0, |c| c.labels.len()), rows, "{name}");
        if rows == 0 {
            continue;
        }
        for told in ["apart", "folded"] {
            let found = tch::no_grad(|| {
                let out = model.forward_image(&golden["in.pixels"], Mode::Eval).unwrap();
                model.class_logits_of(&out).unwrap()
            });
            let far = distance(&found, &golden["out.logits"]);
            assert!(far < 1e-5, "{name} {told}: {far}");
            model.prepare(Precision::Fp32).unwrap();
        }
    }
    let labels = |name: &str| load(name).0.classifier().unwrap().labels.clone();
    let named = ["tench", "crane", "goldfish, Carassius auratus", "crane", "n5"];
    assert_eq!(labels("efficientnet-tf"), named);
    assert_eq!(labels("efficientnet-fork"), named);
    assert_eq!(labels("efficientnet-tf-b0"), ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]);
}

#[test]
fn images_are_those_of_timms_transform() {
    for (name, _) in NETS {
        let (model, golden) = load(name);
        let (h, w, _) = golden["in.photo"].size3().unwrap();
        let bytes = Vec::<u8>::try_from(golden["in.photo"].to_kind(Kind::Uint8).view([-1])).unwrap();
        let photo = RgbImage::from_raw(w as u32, h as u32, bytes).unwrap();
        let processor = model.image_processor().unwrap();
        let found = batch::images(processor, &[processor.prepare(&photo)], Device::Cpu).unwrap();
        let far = distance(&found.get(0), &golden["out.photo"]);
        assert!(far < 1e-6, "{name}: {far}");
    }
}

/// Dotted paths of all values that are read as a whole.
fn paths(at: &str, value: &Value, out: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) if key != "label_descriptions" => paths(&format!("{at}/{key}"), value, out),
            _ => out.push(format!("{at}/{key}")),
        }
    }
}

#[test]
fn every_key_that_timm_writes_is_read_or_listed_or_refused() {
    let listed = Keys::new(&[families::KEYS]).unwrap();
    let mut keys = 0;
    for name in ["efficientnet-tf", "efficientnet-fork"] {
        let mut all = Vec::new();
        let written: Value =
            serde_json::from_slice(&std::fs::read(checkpoint(name).join("config.json")).unwrap()).unwrap();
        paths("", &written, &mut all);
        all.extend(["/pretrained_cfg/label_offset", "/model_args/act_layer", "/more"].map(str::to_owned));
        for path in all {
            keys += 1;
            let (place, key) = path.rsplit_once('/').unwrap();
            let never = json!({"never": 1});
            let dir = changed(name, |config| {
                if config.pointer(place).is_none() {
                    config[place.trim_start_matches('/')] = json!({});
                }
                config.pointer_mut(place).unwrap()[key] = never.clone();
            });
            let dotted = path[1..].replace('/', ".");
            match families::load(dir.path(), Device::Cpu) {
                Err(e) => assert!(e.to_string().contains(key), "{dotted}: {e}"),
                Ok(_) => assert!(listed.reason(&dotted, &never, "efficientnet").is_some(), "{dotted}"),
            }
        }
    }
    assert!(keys > 30, "{keys}");
}

#[test]
fn what_is_wrong_is_said_by_its_name() {
    let of =
        |key: &str, value: Value| refused(changed("efficientnet-lite", |c| c[key] = value.clone()).path());
    let other = of("architecture", json!("efficientnet_es"));
    assert!(
        other.contains("architecture: expected a net of timm's") && other.contains("efficientnet_es"),
        "{other}"
    );
    assert!(of("global_pool", json!("max")).contains("global_pool: expected avg"));
    assert!(of("label_names", json!(["one"])).contains("label_names: expected 6 names"));
    // Another family's weights, weights that are cut short, a net whose last stage is missing.
    let dir = changed("efficientnet-lite", |_| ());
    std::fs::copy(checkpoint("vit").join("model.safetensors"), dir.path().join("model.safetensors")).unwrap();
    assert!(refused(dir.path()).contains("conv_stem.weight: expected a convolution"));
    let dir = changed("efficientnet-fork", |_| ());
    let path = dir.path().join("pytorch_model.bin");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    assert!(refused(dir.path()).contains("pytorch_model.bin"));
    let dir = changed("efficientnet-lite", |_| ());
    let path = dir.path().join("model.safetensors");
    let kept: Vec<(String, Tensor)> =
        tensors::read(&path).unwrap().0.into_iter().filter(|(n, _)| !n.starts_with("blocks.6.")).collect();
    tensors::write(&path, &kept, Default::default()).unwrap();
    assert!(refused(dir.path()).contains("expected the 7 stages of efficientnet_lite0, found 6"));
}

fn small(drop_path: f64, squeeze: Option<f64>) -> Model {
    let stage = |channels, repeats, kernel, stride, expansion| StageConfig {
        channels,
        repeats,
        kernel,
        stride,
        expansion,
        squeeze,
    };
    let image = EfficientNetConfig {
        size: Size { sides: [19, 22] },
        stem: 6,
        stages: vec![stage(6, 1, 3, 1, 1.0), stage(10, 2, 5, 2, 3.0)],
        head: 14,
        activation: Activation::Silu,
        padding: Padding::Same,
        norm_eps: 1e-3,
        drop_path,
        pooling: Pooling::Mean,
        projection: ProjectionConfig::Linear { bias: false },
    };
    let config = ModelConfig { embed_dim: 8, image: Some(image.into()), ..ModelConfig::default() };
    let image = ImageProcessor { size: Size { sides: [19, 22] }, ..ImageProcessor::new(19) };
    let processors = Processors { image: Some(image), ..Processors::default() };
    Model::new(config, processors, 3, Device::Cpu).unwrap()
}

fn pixels(n: i64) -> Tensor {
    (Tensor::arange(n * 3 * 19 * 22, (Kind::Float, Device::Cpu)) * 0.37).sin().view([n, 3, 19, 22])
}

#[test]
fn a_batch_is_its_singles_and_a_saved_tower_comes_back() {
    for squeeze in [None, Some(0.25)] {
        comes_back(small(0.0, squeeze));
    }
}

fn comes_back(mut model: Model) {
    let x = pixels(5);
    let _ = model.forward_image(&x, Mode::Train).unwrap();
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    let again = Model::load(dir.path(), Device::Cpu).unwrap();
    assert_eq!(again.config(), model.config());
    for prepared in [false, true] {
        if prepared {
            model.prepare(Precision::Fp32).unwrap();
        }
        tch::no_grad(|| {
            let all = model.forward_image(&x, Mode::Eval).unwrap();
            assert_eq!((all.tokens.size(), all.pooled.size()), (vec![5, 5 * 6, 14], vec![5, 14]));
            assert!(distance(&all.tokens.mean_dim(1, false, Kind::Float), &all.pooled) < 1e-6);
            let other = again.forward_image(&x, Mode::Eval).unwrap();
            assert!(distance(&all.pooled, &other.pooled) < 1e-5);
            for i in 0..5 {
                let one = model.forward_image(&x.narrow(0, i, 1), Mode::Eval).unwrap();
                let far = distance(&one.pooled.get(0), &all.pooled.get(i));
                assert!(far < if prepared { f64::MIN_POSITIVE } else { 1e-6 }, "{prepared} {i}: {far}");
            }
        });
    }
    let e = model.forward_image(&x.narrow(2, 0, 18), Mode::Eval).unwrap_err().to_string();
    assert!(e.contains("images of [3, 18, 22], this tower takes [3, 19, 22]"), "{e}");
    let e = model.forward_frames(&x, 2, Mode::Eval).unwrap_err().to_string();
    assert!(e.contains("5 images are no clips of 2 frames"), "{e}");
}

/// Where activations are wide, prepared towers see an image at a time and then all of them.
#[test]
fn images_that_go_alone_are_those_that_go_together() {
    let stage = |channels, stride, expansion| StageConfig {
        channels,
        repeats: 1,
        kernel: 3,
        stride,
        expansion,
        squeeze: None,
    };
    let image = EfficientNetConfig {
        size: Size::from(128),
        stem: 24,
        stages: vec![stage(8, 2, 3.0), stage(12, 2, 2.0)],
        head: 10,
        activation: Activation::Relu6,
        padding: Padding::Same,
        norm_eps: 1e-3,
        drop_path: 0.0,
        pooling: Pooling::Mean,
        projection: ProjectionConfig::None,
    };
    let config = ModelConfig { embed_dim: 10, image: Some(image.into()), ..ModelConfig::default() };
    let processors = Processors { image: Some(ImageProcessor::new(128)), ..Processors::default() };
    let mut model = Model::new(config, processors, 3, Device::Cpu).unwrap();
    let x =
        (Tensor::arange(3 * 3 * 128 * 128, (Kind::Float, Device::Cpu)) * 0.37).sin().view([3, 3, 128, 128]);
    tch::no_grad(|| {
        let want = model.forward_image(&x, Mode::Eval).unwrap();
        model.prepare(Precision::Fp32).unwrap();
        let found = model.forward_image(&x, Mode::Eval).unwrap();
        assert!(distance(&found.tokens, &want.tokens) < 1e-5);
        for i in 0..3 {
            let one = model.forward_image(&x.narrow(0, i, 1), Mode::Eval).unwrap();
            assert_eq!(one.pooled.get(0), found.pooled.get(i), "{i}");
        }
    });
}

/// Central differences of a scalar of the output, in a few entries of every parameter.
#[test]
fn gradients_equal_finite_differences() {
    let model = small(0.0, Some(0.5));
    let x = pixels(2);
    let loss = || {
        let out = model.project_raw(Modality::Image, &model.forward_image(&x, Mode::Eval).unwrap().pooled);
        let out = out.unwrap();
        let weights = (Tensor::arange(out.numel() as i64, (Kind::Float, Device::Cpu)) * 0.7).sin();
        (out.view([-1]) * weights).sum(Kind::Double) * 20.0
    };
    loss().backward();
    let mut checked = 0;
    for (name, param) in model.params().iter().filter(|(_, p)| p.trainable) {
        let (grad, flat) = (param.tensor.grad().view([-1]), param.tensor.detach().view([-1]));
        for at in [grad.abs().argmax(0, false).int64_value(&[]), grad.numel() as i64 / 2] {
            let before = flat.double_value(&[at]);
            let moved = |by: f64| {
                let _ = flat.get(at).fill_(before + by);
                tch::no_grad(loss).double_value(&[])
            };
            let step = 4e-3;
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let _ = flat.get(at).fill_(before);
            let g = grad.double_value(&[at]);
            assert!((slope - g).abs() < 4e-3 + 0.03 * g.abs(), "{name}[{at}]: {slope} {g}");
            checked += 1;
        }
    }
    assert!(checked > 60, "{checked}");
}

/// While training the statistics move, branches are dropped by the pass's seed, and a trace hears of every block.
#[test]
fn training_moves_statistics_and_drops_branches() {
    let (model, still) = (small(0.9, None), small(0.0, None));
    let x = pixels(6);
    let moved = |model: &Model| model.params().get("image.stem.norm.running_mean").unwrap().tensor.copy();
    let before = moved(&model);
    let of = |model: &Model, seed: i64| {
        tch::manual_seed(seed);
        tch::no_grad(|| model.forward_image(&x, Mode::Train).unwrap().pooled)
    };
    let first = of(&model, 1);
    assert!(distance(&before, &moved(&model)) > 0.0);
    assert_eq!(first, of(&model, 1));
    assert!(distance(&first, &of(&model, 2)) > 0.0);
    assert_eq!(of(&still, 1), of(&still, 2));
    let heard = std::cell::RefCell::new(Vec::new());
    let trace = |name: &str, x: &Tensor| {
        heard.borrow_mut().push((name.to_owned(), x.size()[1]));
        Ok(())
    };
    let pass = Pass { trace: Some(&trace), ..Pass::EVAL };
    tch::no_grad(|| model.forward_image(&x, pass)).unwrap();
    let want =
        [("image.stages.0.blocks.0", 6), ("image.stages.1.blocks.0", 10), ("image.stages.1.blocks.1", 10)];
    assert_eq!(heard.into_inner(), want.map(|(n, c)| (n.to_owned(), c)));
}

#[test]
fn lower_precision_keeps_the_direction() {
    for (name, _) in NETS {
        for (precision, least) in [(Precision::Bf16, 0.999), (Precision::Int8, 0.98)] {
            let (mut model, golden) = load(name);
            tch::no_grad(|| {
                let want = model.forward_image(&golden["in.pixels"], Mode::Eval).unwrap().pooled;
                model.prepare(precision).unwrap();
                let found = model.forward_image(&golden["in.pixels"], Mode::Eval).unwrap().pooled;
                let cosine = Tensor::cosine_similarity(&found, &want, 1, 1e-9).min().double_value(&[]);
                assert!(cosine > least, "{name} {precision}: {cosine}");
            });
        }
    }
}

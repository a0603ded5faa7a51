//! The towers against plain PyTorch (fixtures/towers.py), and their invariances.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use support::{Golden, distance, fixtures, processors};
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode, Model, ModelConfig, TowerOutput};
use unisono_nn::tensors;

fn model(tag: &str) -> (Model, Golden) {
    let text = std::fs::read_to_string(fixtures().join("towers").join(format!("{tag}.json"))).unwrap();
    let config: ModelConfig = serde_json::from_str(&text).unwrap();
    let processors = processors(&config);
    let model = Model::new(config, processors, 1, Device::Cpu).unwrap();
    let (all, _) = tensors::read(&fixtures().join("towers").join("golden.safetensors")).unwrap();
    let of = |prefix: String| {
        let strip =
            move |(n, t): (&String, &Tensor)| Some((n.strip_prefix(&prefix)?.to_owned(), t.shallow_clone()));
        all.iter().filter_map(strip).collect::<Golden>()
    };
    model.params().copy_from(&of(format!("{tag}.weight."))).unwrap();
    (model, of(format!("{tag}.")))
}

/// Tokens where they are real, pooled vectors, unit vectors: each within 1e-5.
fn compare(name: &str, model: &Model, modality: Modality, out: &TowerOutput, golden: &Golden) {
    let want = |what: &str| &golden[&format!("out.{modality}.{what}")];
    let real = match &out.mask {
        Some(m) => m.to_kind(Kind::Float).unsqueeze(-1),
        None => Tensor::from(1f32),
    };
    let tokens = distance(&(&out.tokens * &real), &(want("tokens") * &real));
    let pooled = distance(&out.pooled, want("pooled"));
    let vector = distance(&model.project(modality, &out.pooled).unwrap(), want("vector"));
    assert!(tokens < 1e-5 && pooled < 1e-5 && vector < 1e-5, "{name} {modality}: {tokens} {pooled} {vector}");
}

#[test]
fn the_towers_agree_with_plain_pytorch() {
    for tag in ["conv", "patch"] {
        let (model, golden) = model(tag);
        tch::no_grad(|| {
            if let Some(ids) = golden.get("in.ids") {
                let out = model.forward_text(ids, &golden["in.mask"], Mode::Eval).unwrap();
                compare(tag, &model, Modality::Text, &out, &golden);
            }
            let out = model.forward_image(&golden["in.pixels"], Mode::Eval).unwrap();
            compare(tag, &model, Modality::Image, &out, &golden);
            let out = model.forward_audio(&golden["in.mel"], &golden["in.lengths"], Mode::Eval).unwrap();
            compare(tag, &model, Modality::Audio, &out, &golden);
        });
    }
}

#[test]
fn a_batch_is_its_singles_and_padding_changes_nothing() {
    for tag in ["conv", "patch"] {
        let (model, golden) = model(tag);
        let row = |name: &str, i: i64, n: i64| {
            let t = golden[name].narrow(0, i, 1);
            if t.dim() > 1 && n > 0 { t.narrow(1, 0, n) } else { t }
        };
        for i in 0..3i64 {
            let same = |modality: Modality, out: TowerOutput| {
                let want = golden[&format!("out.{modality}.pooled")].narrow(0, i, 1);
                let d = distance(&out.pooled, &want);
                assert!(d < 1e-5, "{tag} {modality} {i}: {d}");
            };
            if golden.contains_key("in.ids") {
                let n = [9, 4, 1][i as usize];
                let (ids, mask) = (row("in.ids", i, n), row("in.mask", i, n));
                same(Modality::Text, model.forward_text(&ids, &mask, Mode::Eval).unwrap());
            }
            same(Modality::Image, model.forward_image(&row("in.pixels", i, 0), Mode::Eval).unwrap());
            let lengths = row("in.lengths", i, 0);
            let n = lengths.int64_value(&[0]);
            same(Modality::Audio, model.forward_audio(&row("in.mel", i, n), &lengths, Mode::Eval).unwrap());
        }
    }
}

/// Central differences of a scalar of the output, in a few entries of every parameter.
#[test]
fn gradients_equal_finite_differences() {
    let (model, golden) = model("conv");
    let weigh = |v: Tensor| {
        let n = v.numel() as i64;
        let w = (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.7).sin().view_as(&v);
        (v * w).sum(Kind::Double)
    };
    let loss = || {
        let t = model.forward_text(&golden["in.ids"], &golden["in.mask"], Mode::Train).unwrap();
        let i = model.forward_image(&golden["in.pixels"], Mode::Eval).unwrap();
        let a = model.forward_audio(&golden["in.mel"], &golden["in.lengths"], Mode::Eval).unwrap();
        let p = |m, o: &TowerOutput| weigh(model.project(m, &o.pooled).unwrap());
        p(Modality::Text, &t) + p(Modality::Image, &i) + p(Modality::Audio, &a)
    };
    loss().backward();
    let mut checked = 0;
    for (name, param) in model.params().iter().filter(|(n, p)| p.trainable && !n.starts_with("logit_scale")) {
        let (grad, flat) = (param.tensor.grad().view([-1]), param.tensor.detach().view([-1]));
        let largest = grad.abs().argmax(0, false).int64_value(&[]);
        for at in [largest, grad.numel() as i64 / 2] {
            let before = flat.double_value(&[at]);
            let moved = |by: f64| {
                let _ = flat.get(at).fill_(before + by);
                tch::no_grad(loss).double_value(&[])
            };
            let step = 4e-3;
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let _ = flat.get(at).fill_(before);
            let g = grad.double_value(&[at]);
            // The steps of single precision and the curvature leave about 1e-3.
            assert!((slope - g).abs() < 4e-3 + 0.03 * g.abs(), "{name}[{at}]: {slope} {g}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn a_model_directory_round_trips_and_a_cut_one_is_refused() {
    let (model, _) = model("conv");
    let dir = tempfile::tempdir().unwrap();
    model.save(dir.path()).unwrap();
    let again = Model::load(dir.path(), Device::Cpu).unwrap();
    assert_eq!((again.config(), again.modalities().len()), (model.config(), 3));
    let texts = ["a b", "", "ж 🚌"];
    assert_eq!(model.embed_text(&texts).unwrap(), again.embed_text(&texts).unwrap());
    let weights = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    let e = Model::load(dir.path(), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("model.safetensors") && e.contains("no whole safetensors file"), "{e}");
    std::fs::write(&weights, bytes).unwrap();
    let config = dir.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"format_version\": 1", "\"format_version\": 9")).unwrap();
    let e = Model::load(dir.path(), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("format version 9, this build reads 1"), "{e}");
    std::fs::write(&config, text.replace("\"heads\": 5", "\"heads\": 4")).unwrap();
    let e = Model::load(dir.path(), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("audio.transformer.heads: 4 does not divide width 15"), "{e}");
}

#[test]
fn what_a_tower_cannot_take_is_an_error() {
    let (model, golden) = model("conv");
    let wide = Tensor::zeros([1, 10], (Kind::Int64, Device::Cpu));
    let mask = Tensor::ones([1, 10], (Kind::Bool, Device::Cpu));
    assert!(
        model.forward_text(&wide, &mask, Mode::Eval).unwrap_err().to_string().contains("context length is 9")
    );
    let small = Tensor::zeros([1, 3, 18, 19], (Kind::Float, Device::Cpu));
    assert!(model.forward_image(&small, Mode::Eval).unwrap_err().to_string().contains("takes [3, 19, 19]"));
    let long = Tensor::zeros([1, 80, 11], (Kind::Float, Device::Cpu));
    let n = Tensor::from_slice(&[80i64]);
    assert!(model.forward_audio(&long, &n, Mode::Eval).unwrap_err().to_string().contains("at most 10"));
    assert!(model.forward_audio(&golden["in.mel"].narrow(2, 0, 5), &n, Mode::Eval).is_err());
    let (images_only, _) = (self::model("patch").0, ());
    assert!(
        images_only
            .embed_text(&["x"])
            .unwrap_err()
            .to_string()
            .contains("no text tower; it has: image, audio")
    );
}

//! Public checkpoints against the libraries that wrote them (fixtures/checkpoints.py): the same inputs give the same tokens, pooled
//! vectors and projected vectors.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use unisono_encoders::{Modality, Mode, Model, TowerOutput, import, tensors};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/checkpoints")
}

type Golden = BTreeMap<String, Tensor>;

fn golden(dir: &Path) -> Golden {
    tensors::read(&dir.join("golden.safetensors")).unwrap().0
}

fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// The largest difference, before normalisation; tokens where they are real.
fn compare(model: &Model, m: Modality, out: &TowerOutput, golden: &Golden, rows: Option<i64>) -> f64 {
    let want = |what: &str| {
        let t = golden.get(&format!("out.{m}.{what}"))?;
        Some(match rows {
            Some(i) => t.narrow(0, i, 1),
            None => t.shallow_clone(),
        })
    };
    let mut worst = 0f64;
    if let Some(tokens) = want("tokens") {
        let n = out.tokens.size()[1];
        let real = match &out.mask {
            Some(m) => m.to_kind(Kind::Float).unsqueeze(-1),
            None => Tensor::from(1f32),
        };
        worst = distance(&(&out.tokens * &real), &(tokens.narrow(1, 0, n) * &real));
    }
    worst = worst.max(distance(&out.pooled, &want("pooled").unwrap()));
    worst.max(distance(&model.project_raw(m, &out.pooled).unwrap(), &want("vector").unwrap()))
}

fn check(dir: &Path) -> Vec<(String, f64)> {
    let name = dir.file_name().unwrap().to_string_lossy().into_owned();
    let imported = import::load(dir, Device::Cpu).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (model, g) = (imported.model, golden(dir));
    assert!(imported.report.is_exact() && imported.report.loaded > 10);
    let mut found = Vec::new();
    tch::no_grad(|| {
        if let Some(ids) = g.get("in.ids") {
            let mask = g["in.mask"].to_kind(Kind::Bool);
            let out = model.forward_text(ids, &mask, Mode::Eval).unwrap();
            found.push((format!("{name} text"), compare(&model, Modality::Text, &out, &g, None)));
        }
        if let Some(pixels) = g.get("in.pixels") {
            let out = model.forward_image(pixels, Mode::Eval).unwrap();
            found.push((format!("{name} image"), compare(&model, Modality::Image, &out, &g, None)));
        }
        for i in 0..3 {
            if let Some(picture) = g.get(&format!("in.picture.{i}")) {
                let out = model.forward_image(&picture.unsqueeze(0), Mode::Eval).unwrap();
                found.push((
                    format!("{name} picture {i}"),
                    compare(&model, Modality::Image, &out, &g, Some(i)),
                ));
            }
        }
        if let Some(mel) = g.get("in.mel") {
            let lengths = Tensor::full([3], mel.size()[1], (Kind::Int64, Device::Cpu));
            let out = model.forward_audio(mel, &lengths, Mode::Eval).unwrap();
            found.push((format!("{name} audio"), compare(&model, Modality::Audio, &out, &g, None)));
        }
    });
    assert!(!found.is_empty(), "{name}: no inputs");
    for (what, name) in [
        (model.logit_scale(Modality::Text, Modality::Image), "scale"),
        (model.logit_bias(Modality::Text, Modality::Image), "bias"),
    ] {
        if let (Some(ours), Some(theirs)) = (what, g.get(&format!("out.logit_{name}"))) {
            assert_eq!(ours.double_value(&[]), theirs.view([-1]).double_value(&[0]));
        }
    }
    found
}

#[test]
fn every_family_gives_the_vectors_of_its_library() {
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(fixtures()).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    let found: Vec<(String, f64)> = dirs.iter().filter(|d| d.is_dir()).flat_map(|d| check(d)).collect();
    let table: Vec<String> = found.iter().map(|(n, d)| format!("{n:32} {d:.1e}")).collect();
    println!("{}", table.join("\n"));
    assert!(found.len() >= 30, "{}", found.len());
    assert!(found.iter().all(|(_, d)| *d <= 1e-5), "\n{}", table.join("\n"));
}

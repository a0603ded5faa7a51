//! Audio front ends against transformers (fixtures/audio.py): within 1e-4.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tch::{Device, Tensor};
use unisono_encoders::batch;
use unisono_nn::tensors;
use unisono_processors::Json;
use unisono_processors::{LogMel, MelConfig};

fn audio(n: usize, rate: u32) -> Vec<f32> {
    let mut state = n as u64;
    let tau = std::f64::consts::TAU;
    (0..n)
        .map(|i| {
            state = (state * 1_664_525 + 1_013_904_223) % (1 << 32);
            let t = i as f64 / f64::from(rate);
            let chirps =
                0.4 * (tau * (200.0 + 900.0 * t) * t).sin() + 0.2 * (tau * (3000.0 - 500.0 * t) * t).sin();
            (chirps + 0.01 * (state as f64 / 4_294_967_296.0 - 0.5)) as f32
        })
        .collect()
}

fn cases() -> (PathBuf, BTreeMap<String, Value>) {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/audio");
    let text = std::fs::read_to_string(dir.join("cases.json")).unwrap();
    (dir, serde_json::from_str(&text).unwrap())
}

fn front_end(name: &str) -> LogMel {
    let (dir, cases) = cases();
    let path = dir.join("cases.json");
    LogMel::new(MelConfig::from_hugging_face(Json::new(&path, &cases[name])).unwrap()).unwrap()
}

#[test]
fn spectrograms_are_those_of_the_library() {
    let (dir, _) = cases();
    let (golden, _) = tensors::read(&dir.join("golden.safetensors")).unwrap();
    let mut report = Vec::new();
    for (name, want) in &golden {
        let (case, n) = name.split_once('/').unwrap();
        let mel = front_end(case);
        let rate = mel.config().sample_rate;
        let found = mel.process(&audio(n.parse().unwrap(), rate)).unwrap();
        let m = mel.config().mels as i64;
        let mut found = Tensor::from_slice(&found).view([-1, m]);
        // Long ones are kept in part.
        let step = if case == "clap-default" {
            40
        } else if case == "ast-default" {
            16
        } else if case == "whisper-default" {
            30
        } else {
            1
        };
        found = found.slice(0, None::<i64>, None::<i64>, step);
        let want = want.reshape([-1, m]);
        assert_eq!(found.size(), want.size(), "{name}");
        let worst = (found - want).abs().max().double_value(&[]);
        report.push(format!("{name:36} {worst:.1e}"));
        assert!(worst <= 1e-4, "{}", report.join("\n"));
    }
    println!("{}", report.join("\n"));
    assert!(golden.len() >= 15);
}

#[test]
fn fused_audios_share_a_batch_with_short_ones() {
    let mel = front_end("clap-fusion-repeatpad");
    let (short, long) =
        (mel.process(&audio(1500, 8000)).unwrap(), mel.process(&audio(20_011, 8000)).unwrap());
    let (batch, own) = batch::spectrograms(&mel, &[&short, &long], 1, Device::Cpu).unwrap();
    assert_eq!((batch.size(), Vec::<i64>::try_from(&own).unwrap()), (vec![2, 4, 81, 64], vec![1, 4]));
    assert_eq!(batch.get(0).get(0), batch.get(0).get(3));
    assert!(batch::spectrograms(&mel, &[&short[1..]], 1, Device::Cpu).is_err());
}

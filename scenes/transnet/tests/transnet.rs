//! TransNetV2 beside its reference (fixtures/transnet.py).
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use unisono_nn::tensors;
use unisono_transnet::{
    Boundary, FRAME, HEIGHT, TransNet, TransNetConfig, TransNetStream, WEIGHTS, WIDTH, import, scenes,
};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/transnet")
}

fn golden() -> BTreeMap<String, Tensor> {
    tensors::read(&fixtures().join("golden.safetensors")).unwrap().0
}

fn wave(number: i64, n: i64) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + number * 104_729) % 10_007) as f64 / 10_007.0 - 0.5).collect()
}

/// The reference's names and shapes of a network of F = 4, D = 13, with the script's made-up weights.
fn small(dir: &Path) {
    let mut shapes: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    let mut linear = |name: &str, from: i64, to: i64| {
        shapes.insert(format!("{name}.weight"), vec![to, from]);
        shapes.insert(format!("{name}.bias"), vec![to]);
    };
    linear("fc1", 64 * 18 + 256, 13);
    linear("cls_layer1", 13, 1);
    linear("cls_layer2", 13, 1);
    linear("frame_sim_layer.projection", 16 + 32 + 64, 128);
    linear("frame_sim_layer.fc", 101, 128);
    linear("color_hist_layer.fc", 101, 128);
    let mut channels = 3;
    for stage in 0..3 {
        let filters = 4 << stage;
        for layer in 0..2 {
            let p = format!("SDDCNN.{stage}.DDCNN.{layer}");
            for dilation in [1, 2, 4, 8] {
                let p = format!("{p}.Conv3D_{dilation}.layers");
                shapes.insert(format!("{p}.0.weight"), vec![2 * filters, channels, 1, 3, 3]);
                shapes.insert(format!("{p}.1.weight"), vec![filters, 2 * filters, 3, 1, 1]);
            }
            for name in ["weight", "bias", "running_mean", "running_var"] {
                shapes.insert(format!("{p}.bn.{name}"), vec![4 * filters]);
            }
            shapes.insert(format!("{p}.bn.num_batches_tracked"), vec![]);
            channels = 4 * filters;
        }
    }
    let all: Vec<(String, Tensor)> = (0..)
        .zip(shapes)
        .map(|(number, (name, shape))| {
            let mut values = wave(number, shape.iter().product());
            let each = shape.iter().skip(1).product::<i64>() as f64;
            for v in &mut values {
                if name.ends_with("running_var") || name.ends_with("bn.weight") {
                    *v += 1.0;
                } else if shape.len() > 1 {
                    *v = *v * 5.0 / each.sqrt();
                }
            }
            (name, Tensor::from_slice(&values).to_kind(Kind::Float).reshape(shape.as_slice()))
        })
        .collect();
    tensors::write(&dir.join(WEIGHTS), &all, HashMap::new()).unwrap();
}

/// The script's made-up frames.
fn made_up(n: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(n * FRAME);
    for t in 0..n {
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                for c in 0..3 {
                    let v = x * (3 + t / 11) + y * 5 + c * 40 + t * 2 + (t / 11) * 90 + x * y / 7;
                    bytes.push((v % 256) as u8);
                }
            }
        }
    }
    bytes
}

fn tensor(bytes: &[u8], windows: i64) -> Tensor {
    Tensor::from_slice(bytes).view([windows, -1, HEIGHT as i64, WIDTH as i64, 3])
}

fn apart(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

fn boundaries(net: &TransNet, bytes: &[u8], batch: usize) -> Vec<Boundary> {
    let mut stream = TransNetStream::new(net, batch);
    let mut found = Vec::new();
    for frame in bytes.chunks(FRAME) {
        found.extend(stream.push(frame).unwrap());
    }
    found.extend(stream.finish().unwrap());
    found
}

fn compare(found: &[Boundary], golden: &BTreeMap<String, Tensor>, name: &str, most: f64) {
    let single: Vec<f32> = found.iter().map(|b| b.single).collect();
    let many: Vec<f32> = found.iter().map(|b| b.many_hot).collect();
    let a = apart(&Tensor::from_slice(&single), &golden[&format!("{name}.single")]);
    let b = apart(&Tensor::from_slice(&many), &golden[&format!("{name}.many_hot")]);
    println!("{name}: {a:.1e} {b:.1e}");
    assert!(a < most && b < most, "{name}: {a} {b}");
}

#[test]
fn a_small_transnet_gives_what_the_reference_gives() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let golden = golden();
    let net = import(dir.path(), Device::Cpu).unwrap();
    let config = TransNetConfig { filters: 4, hidden: 13, ..TransNetConfig::default() };
    assert_eq!(net.config(), &config);
    let plain = import(dir.path(), Device::Cpu).unwrap().without_kernel();
    for net in [&net, &plain] {
        let (single, many) = net.forward(&tensor(&made_up(60), 2)).unwrap();
        let (a, b) = (apart(&single, &golden["small.single"]), apart(&many, &golden["small.many_hot"]));
        println!("logits: {a:.1e} {b:.1e}");
        assert!(a < 1e-5 && b < 1e-5, "{a} {b}");
        for n in [1, 7, 50, 51, 120] {
            for batch in [1, 3] {
                compare(&boundaries(net, &made_up(n), batch), &golden, &format!("small.{n}"), 2e-6);
            }
        }
    }
    assert!(boundaries(&net, &[], 1).is_empty());
    // Saved and loaded, it is the same.
    let saved = tempfile::tempdir().unwrap();
    net.save(saved.path()).unwrap();
    let loaded = TransNet::load(saved.path(), Device::Cpu).unwrap();
    assert_eq!(boundaries(&loaded, &made_up(60), 1), boundaries(&net, &made_up(60), 1));
}

#[test]
fn windows_of_transnet_do_not_depend_on_their_batch() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let net = import(dir.path(), Device::Cpu).unwrap();
    let bytes = made_up(40);
    let (both, _) = net.forward(&tensor(&bytes, 2)).unwrap();
    for (i, half) in bytes.chunks(20 * FRAME).enumerate() {
        let (alone, _) = net.forward(&tensor(half, 1)).unwrap();
        assert!(apart(&alone.squeeze_dim(0), &both.get(i as i64)) < 1e-6);
    }
}

#[test]
fn what_is_no_frame_and_no_transnet_is_named() {
    let dir = tempfile::tempdir().unwrap();
    small(dir.path());
    let net = import(dir.path(), Device::Cpu).unwrap();
    let e = TransNetStream::new(&net, 1).push(&[0; 7]).unwrap_err().to_string();
    assert_eq!(e, "expected a frame of 3888 bytes (48x27 pixels, 3 bytes each), found 7");
    for wrong in [
        Tensor::zeros([1, 5, 27, 48, 3], (Kind::Float, Device::Cpu)),
        tensor(&made_up(2), 1).view([1, 2, 48, 27, 3]),
    ] {
        let e = net.forward(&wrong).unwrap_err().to_string();
        assert!(e.starts_with("expected frames [B, T, 27, 48, 3] of Uint8, found ["), "{e}");
    }
    assert!(net.forward(&tensor(&[], 1).view([1, 0, 27, 48, 3])).is_err());
    let e = TransNet::load(dir.path(), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("config.json"), "{e}");
    std::fs::write(dir.path().join("config.json"), "{\"model_type\":\"clip\",\"format_version\":1}").unwrap();
    let e = TransNet::load(dir.path(), Device::Cpu).unwrap_err().to_string();
    assert!(
        e.ends_with("expected model_type \"transnetv2\" of format version 1, found \"clip\" of 1"),
        "{e}"
    );
    let other = tempfile::tempdir().unwrap();
    tensors::write(
        &other.path().join(WEIGHTS),
        &[("a".into(), Tensor::zeros([1], (Kind::Float, Device::Cpu)))],
        HashMap::new(),
    )
    .unwrap();
    let e = import(other.path(), Device::Cpu).unwrap_err().to_string();
    assert!(e.contains("no TransNetV2: tensor SDDCNN.0.DDCNN.0.Conv3D_1.layers.1.weight is missing"), "{e}");
}

/// The published weights where set-up fetched them, else `None`, said.
fn published() -> Option<TransNet> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = set("UNISONO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("unisono")))
        .or_else(|| set("HOME").map(|d| d.join(".cache/unisono")))?;
    let archive = cache.join("transnetv2/pytorch_model.bin");
    if !archive.is_file() {
        eprintln!("skipped: {} is not there; `cargo xtask setup` fetches it", archive.display());
        return None;
    }
    // A folder with the archive alone: what another job made of it is not under test.
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(&archive, dir.path().join("pytorch_model.bin")).unwrap();
    Some(import(dir.path(), Device::Cpu).unwrap())
}

#[test]
fn the_published_transnet_sees_in_a_film_what_the_reference_sees() {
    let Some(net) = published() else { return };
    assert_eq!(net.config(), &TransNetConfig::default());
    let golden = golden();
    let mosaic = image::open(fixtures().join("frames.png")).unwrap().to_rgb8();
    let frame = |i: u32| -> Vec<u8> {
        let (left, top) = (i % 12 * WIDTH as u32, i / 12 * HEIGHT as u32);
        image::imageops::crop_imm(&mosaic, left, top, WIDTH as u32, HEIGHT as u32).to_image().into_raw()
    };
    let order = Vec::<i64>::try_from(golden["film.order"].to_kind(Kind::Int64).reshape([-1])).unwrap();
    let mut bytes = Vec::new();
    for three in order.chunks(3) {
        let (a, b, w) = (frame(three[0] as u32), frame(three[1] as u32), three[2] as u32);
        bytes
            .extend(a.iter().zip(&b).map(|(a, b)| ((u32::from(*a) * (8 - w) + u32::from(*b) * w) / 8) as u8));
    }
    let found = boundaries(&net, &bytes, 2);
    compare(&found, &golden, "film", 1e-5);
    let single: Vec<f32> = found.iter().map(|b| b.single).collect();
    let shots: Vec<i64> = scenes(&single, 0.5).into_iter().flatten().map(|i| i as i64).collect();
    assert_eq!(
        shots,
        Vec::<i64>::try_from(golden["film.scenes"].to_kind(Kind::Int64).reshape([-1])).unwrap()
    );
}

//! Weights in and out: kinds, shards, and files that say other than they hold.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};
use unisono_nn::weights::Weights;
use unisono_nn::{Init, Params, Scope, tensors};

fn wave(shape: &[i64]) -> Tensor {
    let n: i64 = shape.iter().product();
    (Tensor::arange(n, (Kind::Float, Device::Cpu)) * 0.37).sin().view(shape)
}

fn write(path: &Path, of: &[(&str, Tensor)]) {
    let all: Vec<(String, Tensor)> = of.iter().map(|(n, t)| ((*n).to_owned(), t.shallow_clone())).collect();
    tensors::write(path, &all, HashMap::new()).unwrap();
}

/// A safetensors file with this table and these numbers behind it.
fn raw(path: &Path, header: &str, data: &[u8]) {
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    fs::write(path, bytes).unwrap();
}

fn model(shapes: &[(&str, &[i64])]) -> Params {
    let root = Scope::root(1, Device::Cpu);
    for (name, shape) in shapes {
        let _ = root.param(name, shape, Init::Const(9.0)).unwrap();
    }
    root.finish()
}

#[test]
fn every_kind_comes_as_single_precision() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let whole = Tensor::from_slice(&[0f32, 1.0, 3.0, 100.0]);
    let kinds = [
        ("f64", Kind::Double),
        ("f16", Kind::Half),
        ("bf16", Kind::BFloat16),
        ("i64", Kind::Int64),
        ("i32", Kind::Int),
        ("i16", Kind::Int16),
        ("i8", Kind::Int8),
        ("u8", Kind::Uint8),
    ];
    let mut all: Vec<(&str, Tensor)> = kinds.iter().map(|(n, k)| (*n, whole.to_kind(*k))).collect();
    all.push(("bool", Tensor::from_slice(&[true, false])));
    write(&path, &all);
    let weights = Weights::open(dir.path()).unwrap();
    for (name, kind) in kinds {
        assert_eq!(weights.kind(name), Some(kind));
        let found = weights.get(name).unwrap().unwrap();
        assert_eq!((found.kind(), &found), (Kind::Float, &whole), "{name}");
    }
    let found = Vec::<f32>::try_from(weights.get("bool").unwrap().unwrap()).unwrap();
    assert_eq!(found, [1.0, 0.0]);
    assert_eq!((weights.elements(), weights.shape("i8")), (34, Some(&[4i64][..])));
    let (back, _) = tensors::read(&path).unwrap();
    all.iter().for_each(|(name, want)| assert_eq!(&back[*name], want, "{name}"));
}

/// Half precision has 11 bits and bfloat16 has 8: what they round to is what is read.
#[test]
fn narrow_kinds_are_read_to_their_last_bit() {
    let dir = tempfile::tempdir().unwrap();
    let values = Tensor::from_slice(&[1.0f32 + 1.0 / 1024.0, -1.0 / 3.0, 65_504.0, 6.1e-5, 0.0]);
    write(
        &dir.path().join("model.safetensors"),
        &[("f16", values.to_kind(Kind::Half)), ("bf16", values.to_kind(Kind::BFloat16))],
    );
    let weights = Weights::open(dir.path()).unwrap();
    let of = |name: &str| Vec::<f32>::try_from(weights.get(name).unwrap().unwrap()).unwrap();
    let want: Vec<f32> = Vec::try_from(&values).unwrap();
    for (found, want) in of("f16").iter().zip(&want) {
        assert!((found - want).abs() <= want.abs() / 2048.0, "{found} {want}");
    }
    // A bfloat16 is the upper half of a single-precision number, rounded to even.
    for (found, want) in of("bf16").iter().zip(&want) {
        let bits = want.to_bits();
        let rounded = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
        assert_eq!(found.to_bits(), rounded);
    }
}

/// An index and three shards, as large checkpoints come.
fn sharded(dir: &Path) -> PathBuf {
    for (i, names) in [["a", "b"], ["c", "d"], ["e", "f"]].iter().enumerate() {
        let shard = dir.join(format!("model-0000{}-of-00003.safetensors", i + 1));
        write(&shard, &names.map(|n| (n, wave(&[2, 3]) + i as f64)));
    }
    let map: Vec<String> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .enumerate()
        .map(|(i, n)| format!("\"{n}\": \"model-0000{}-of-00003.safetensors\"", i / 2 + 1))
        .collect();
    let index = dir.join("model.safetensors.index.json");
    fs::write(&index, format!("{{\"metadata\": {{}}, \"weight_map\": {{{}}}}}", map.join(", "))).unwrap();
    index
}

#[test]
fn shards_are_one_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    sharded(dir.path());
    let weights = Weights::open(dir.path()).unwrap();
    assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "f"]);
    for (name, shard) in [("a", 0.0), ("d", 1.0), ("e", 2.0)] {
        assert_eq!(weights.get(name).unwrap().unwrap(), wave(&[2, 3]) + shard, "{name}");
    }
    let names = ["a", "b", "c", "d", "e", "f"];
    let shapes: Vec<(&str, &[i64])> = names.iter().map(|n| (*n, &[2i64, 3][..])).collect();
    let params = model(&shapes);
    assert_eq!(weights.fill(&params).unwrap().loaded, 6);
    assert_eq!(params.get("f").unwrap().tensor.detach(), wave(&[2, 3]) + 2.0);
}

#[test]
fn shards_that_lack_something_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let index = sharded(dir.path());
    let text = fs::read_to_string(&index).unwrap();
    let refused = |text: &str| {
        fs::write(&index, text).unwrap();
        Weights::open(dir.path()).unwrap_err().to_string()
    };
    let second = "model-00002-of-00003.safetensors";
    for (from, to, told) in [
        (
            "\"d\": \"model-00002",
            "\"gone\": \"model-00002",
            "tensor gone is not in it, though model.safetensors.index.json says so",
        ),
        (second, "../x.safetensors", "is no file name"),
        (second, "/etc/hostname", "is no file name"),
        ("\"weight_map\"", "\"weights\"", "weight_map"),
        ("{", "[", "model.safetensors.index.json"),
    ] {
        let said = refused(&text.replacen(from, to, usize::MAX));
        assert!(said.contains(told) && !said.contains('\n'), "{told}: {said}");
    }
    fs::remove_file(dir.path().join(second)).unwrap();
    let said = refused(&text);
    assert!(said.contains("shard 2 of 3 that model.safetensors.index.json lists is not there"), "{said}");
}

#[test]
fn a_table_that_lies_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let entry = |dtype: &str, shape: &str, from: u64, to: u64| {
        format!("{{\"x\": {{\"dtype\": \"{dtype}\", \"shape\": {shape}, \"data_offsets\": [{from}, {to}]}}}}")
    };
    raw(&path, &entry("F32", "[2, 2]", 0, 16), &[0; 16]);
    assert_eq!(Weights::open(dir.path()).unwrap().shape("x"), Some(&[2i64, 2][..]));
    for (header, data) in [
        (entry("F32", "[2, 2]", 0, 32), 16),
        (entry("F32", "[2, 3]", 0, 16), 16),
        (entry("F32", "[2, 2]", 4, 20), 20),
        (entry("F32", "[9223372036854775807, 9]", 0, 16), 16),
        (entry("F32", "[-2, -2]", 0, 16), 16),
        (entry("F32", "[0, 9223372036854775807, 9]", 0, 0), 0),
        (entry("F32", "[1, 1, 1, 1, 1, 1, 1, 1, 4]", 0, 16), 16),
        (entry("F8_E4M3", "[16]", 0, 16), 16),
        (entry("F32", "[2, 2]", 0, 16), 12),
        (entry("F32", "[2, 2]", 0, 16), 99),
        ("{\"x\": 3}".to_owned(), 0),
        ("[]".to_owned(), 0),
        (String::new(), 0),
    ] {
        raw(&path, &header, &vec![0; data]);
        let said = Weights::open(dir.path()).unwrap_err().to_string();
        assert!(said.starts_with(&path.display().to_string()) && !said.contains('\n'), "{header}: {said}");
    }
    // A table of 2^60 bytes, and one that ends in the middle of the file's length.
    for length in [1u64 << 60, u64::MAX, 400] {
        fs::write(&path, [&length.to_le_bytes()[..], &[b' '; 64]].concat()).unwrap();
        let said = Weights::open(dir.path()).unwrap_err().to_string();
        assert!(said.contains("model.safetensors"), "{length}: {said}");
    }
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    raw(&path, &format!("{{\"x\": {nested}}}"), &[]);
    assert!(Weights::open(dir.path()).is_err());
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write(&path, &[("a", wave(&[3, 2])), ("b", wave(&[5]).to_kind(Kind::BFloat16))]);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        assert!(Weights::open(dir.path()).is_err(), "{cut}");
    }
}

#[test]
fn filling_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    write(&path, &[("a", wave(&[2, 3])), ("b", wave(&[4])), ("left", wave(&[1]))]);
    let weights = Weights::open_file(&path).unwrap();
    let params = model(&[("a", &[2, 3]), ("b", &[5]), ("gone", &[1])]);
    let said = weights.fill(&params).unwrap_err().to_string();
    for told in ["1 missing (gone)", "1 unexpected (left)", "b: expected shape [5], found [4]"] {
        assert!(said.contains(told), "{said}");
    }
    // Nothing of it was copied.
    assert_eq!(params.get("a").unwrap().tensor.double_value(&[1, 2]), 9.0);
    let blank = Scope::blank(Device::Cpu, weights.room());
    assert!(blank.param("huge", &[1 << 40], Init::Const(0.0)).is_err());
    assert!(blank.param("b", &[4], Init::Const(0.0)).is_ok());
}

#[test]
fn the_safest_file_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pytorch_model.bin"), b"no archive").unwrap();
    assert!(
        Weights::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("pytorch_model.bin: neither a zip archive")
    );
    write(&dir.path().join("model.safetensors"), &[("a", wave(&[2]))]);
    assert!(Weights::open(dir.path()).unwrap().has("a"));
    assert!(!Weights::has_open_clip(dir.path()));
    write(&dir.path().join("open_clip_model.safetensors"), &[("c", wave(&[2]))]);
    assert!(Weights::has_open_clip(dir.path()) && Weights::open_open_clip(dir.path()).unwrap().has("c"));
}

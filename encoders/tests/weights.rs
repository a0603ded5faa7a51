//! PyTorch archives (fixtures/weights.py): tensors are read, programs are refused.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::PathBuf;
use tch::Kind;
use unisono_nn::tensors;
use unisono_nn::weights::Weights;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/weights").join(name)
}

/// A checkpoint folder with this file as its weights.
fn folder(name: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("pytorch_model.bin");
    std::fs::copy(fixture(name), &at).unwrap();
    (dir, at)
}

#[test]
fn tensors_of_archives_are_those_of_safetensors() {
    let (want, _) = tensors::read(&fixture("views.safetensors")).unwrap();
    for name in ["views.bin", "nested.bin", "legacy.bin"] {
        let (dir, _) = folder(name);
        let weights = Weights::open(dir.path()).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), want.keys().map(String::as_str).collect::<Vec<_>>());
        for (tensor, want) in &want {
            let found = weights.get(tensor).unwrap().unwrap();
            assert_eq!((found.size(), found.kind()), (want.size(), Kind::Float), "{name} {tensor}");
            assert_eq!(&found, want, "{name} {tensor}");
        }
        assert_eq!(weights.kind("half"), Some(Kind::Half));
        assert!(weights.get("none").unwrap().is_none());
    }
}

#[test]
fn programs_are_refused_with_a_way_out() {
    for (name, words) in [
        ("evil.bin", ["it asks to run posix.system", "torch.load('pytorch_model.bin')"]),
        ("script.bin", ["a TorchScript program", "convert it where Python runs"]),
    ] {
        let (dir, _) = folder(name);
        let e = Weights::open(dir.path()).unwrap_err().to_string();
        assert!(
            e.contains("pytorch_model.bin: ") && words.iter().all(|w| e.contains(w)) && !e.contains('\n'),
            "{name}: {e}"
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let e = Weights::open(dir.path()).unwrap_err().to_string();
    assert!(e.contains("no weights here; expected one of model.safetensors"), "{e}");
}

#[test]
fn an_archive_cut_anywhere_is_an_error_and_no_crash() {
    for name in ["nested.bin", "legacy.bin"] {
        cut_anywhere(name);
    }
    // What an old file's tail says of its storages.
    let (dir, at) = folder("legacy.bin");
    let bytes = std::fs::read(&at).unwrap();
    let said = |bytes: Vec<u8>| {
        std::fs::write(&at, bytes).unwrap();
        Weights::open(dir.path()).unwrap_err().to_string()
    };
    let more = said([&bytes[..], b"x"].concat());
    assert!(more.contains("no whole file of tensors: 1 bytes are left over"), "{more}");
    // The keys end the last program; the first storage's length follows it.
    let first = bytes.windows(2).rposition(|w| w == b"e.").unwrap() + 2;
    let mut lies = bytes.clone();
    lies[first + 5] = 0x7f;
    let lies = said(lies);
    assert!(lies.contains("is said to have") && !lies.contains('\n'), "{lies}");
    let turned = bytes.windows(13).position(|w| w == b"little_endian").unwrap();
    let mut other = bytes.clone();
    let on = other[turned..].iter().position(|b| *b == 0x88).unwrap();
    other[turned + on] = 0x89;
    assert!(said(other).contains("puts a number's highest byte first"));
}

fn cut_anywhere(name: &str) {
    let (dir, at) = folder(name);
    let bytes = std::fs::read(&at).unwrap();
    for cut in (0..bytes.len()).step_by(97) {
        std::fs::write(&at, &bytes[..cut]).unwrap();
        assert!(Weights::open(dir.path()).is_err(), "{cut}");
    }
    // A byte changed anywhere in the pickle: an error or other tensors, never a crash.
    for i in (0..bytes.len().min(1500)).step_by(3) {
        let mut broken = bytes.clone();
        broken[i] ^= 0x55;
        std::fs::write(&at, &broken).unwrap();
        if let Ok(weights) = Weights::open(dir.path()) {
            let names: Vec<String> = weights.names().map(str::to_owned).collect();
            names.iter().for_each(|n| drop(weights.get(n)));
        }
    }
}

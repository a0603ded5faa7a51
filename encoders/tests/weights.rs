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
    for name in ["views.bin", "nested.bin"] {
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
fn programs_and_old_archives_are_refused_with_a_way_out() {
    for (name, words) in [
        ("evil.bin", ["it asks to run posix.system", "torch.load('pytorch_model.bin')"]),
        ("legacy.bin", ["not a zip archive", "convert it where Python runs"]),
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
    let (dir, at) = folder("nested.bin");
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

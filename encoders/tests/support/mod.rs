//! What tests of checkpoints share; each takes a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tch::Tensor;
use unisono_encoders::{ModelConfig, Processors};
use unisono_nn::tensors;
use unisono_processors::{ImageProcessor, LogMel, MelConfig, TextProcessor, Vocabulary, train_tokenizer};

/// Inputs and outputs of the library that wrote a checkpoint.
pub type Golden = BTreeMap<String, Tensor>;

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A folder of `fixtures/checkpoints`.
pub fn checkpoint(name: &str) -> PathBuf {
    fixtures().join("checkpoints").join(name)
}

pub fn golden(dir: &Path) -> Golden {
    tensors::read(&dir.join("golden.safetensors")).unwrap().0
}

/// The largest difference.
pub fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// A copy of a folder, to be changed.
pub fn copy(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(from, dir.path());
    dir
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() { copy_folder(&from, &to) } else { fs::copy(&from, to).map(drop).unwrap() }
    }
}

/// Changes a JSON file.
pub fn change(path: &Path, change: impl Fn(&mut serde_json::Value)) {
    let mut value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

/// Processors of the sizes that a model's towers take.
pub fn processors(c: &ModelConfig) -> Processors {
    Processors {
        text: c.text.as_ref().map(|t| {
            let tokenizer = train_tokenizer(["a b", "c"].into_iter(), 260, Vocabulary::Bpe).unwrap();
            TextProcessor::new(tokenizer, t.context_length as usize, t.vocab_size).unwrap()
        }),
        image: c.image.as_ref().map(|i| ImageProcessor::new(i.size().sides[0] as u32)),
        audio: c
            .audio
            .as_ref()
            .map(|a| LogMel::new(MelConfig::speech(a.most()[1] as usize, a.most()[0] as usize)).unwrap()),
        ..Processors::default()
    }
}

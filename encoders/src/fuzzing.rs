//! Every parser of a model file, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::families;
use std::path::Path;
pub use tch::Device;
pub use unisono_nn::fuzzing::{ctranslate2, pickle, safetensors};
use unisono_nn::tensors;
use unisono_processors::{read_sentencepiece, tokenizer_of};

/// A SentencePiece model.
pub fn sentencepiece(bytes: &[u8]) {
    read_sentencepiece(Path::new("spiece.model"), bytes);
}

/// Texts that each tokenizer is given.
const TEXTS: [&str; 6] = [
    "",
    "a red bus",
    "  A\u{301} \u{fdfa}🚌\n\t1234!! ",
    "<s></s>[CLS]<|endoftext|>",
    "\u{0}\u{7f}\u{feff}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

/// A `tokenizer.json`.
pub fn tokenizer(bytes: &[u8]) {
    let Ok(processor) = tokenizer_of(Path::new("tokenizer.json"), bytes) else { return };
    for text in TEXTS {
        if let Ok(ids) = processor.encode(text) {
            assert!(ids.len() <= processor.context_length() && ids.iter().all(|id| *id < 1 << 20));
        }
    }
}

/// The files of a model folder but for its weights, each behind a zero byte: `config.json`, `preprocessor_config.json`,
/// `generation_config.json`, `tokenizer_config.json`, `open_clip_config.json`. They are written to `dir` and the model there is read.
pub fn configuration(dir: &Path, bytes: &[u8]) {
    const FILES: [&str; 5] = [
        "config.json",
        "preprocessor_config.json",
        "generation_config.json",
        "tokenizer_config.json",
        "open_clip_config.json",
    ];
    let mut parts = bytes.splitn(FILES.len(), |b| *b == 0);
    for name in FILES {
        let path = dir.join(name);
        match parts.next() {
            Some(part) if !part.is_empty() => drop(std::fs::write(path, part)),
            _ => drop(std::fs::remove_file(path)),
        }
    }
    // What is asked of a configuration is asked of its weights; one number is in them.
    let weights = dir.join("model.safetensors");
    if !weights.exists() {
        let one = [("logit_scale".to_owned(), tch::Tensor::from(1f32))];
        drop(tensors::write(&weights, &one, std::collections::HashMap::new()));
    }
    let _ = families::load(dir, Device::Cpu);
}

//! From decoded media and texts to what a tower sees, exactly as its model was trained to see them: the contract. Its settings are part of the
//! model (`preprocessor_config.json`, `tokenizer.json`). Tensors are made elsewhere: nothing here knows of them, nor of models' names.

mod charsmap;
mod clean;
mod contract;
mod error;
mod frontend;
mod guard;
mod image;
mod image_files;
mod json;
mod lengths;
mod mel;
mod modality;
mod mojibake;
mod patterns;
mod pieces;
pub mod prepare;
mod ranges;
mod resize;
#[cfg(target_arch = "x86_64")]
mod resize_avx2;
mod sentencepiece;
mod size;
mod text;
mod tokenizer_files;

pub use clean::Cleaning;
pub use contract::{Contract, Heard, Medium, Prepared, Processors};
pub use error::{Error, Result};
pub use frontend::{Fill, Framing, Frontend, Log, Scale};
pub use image::{Alpha, Fit, ImageProcessor, Interpolation, Rounding};
pub use json::{Json, optional_json, read_json};
pub use mel::{LogMel, MelConfig};
pub use modality::Modality;
pub use size::Size;
pub use text::of_bytes as tokenizer_of;
pub use text::{TextProcessor, TextRules, Vocabulary, train_tokenizer};
pub use tokenizer_files::{from_sentencepiece as read_sentencepiece, read as read_tokenizer};

//! From media to tensors, exactly as the model was trained to see them. Their settings are part of the model (`preprocessor_config.json`).

mod charsmap;
mod clean;
mod frontend;
mod guard;
mod image;
mod image_files;
mod lengths;
mod mel;
mod mojibake;
mod patterns;
mod pieces;
mod resize;
#[cfg(target_arch = "x86_64")]
mod resize_avx2;
mod sentencepiece;
mod text;
mod tokenizer_files;

pub use clean::Cleaning;
pub use frontend::{Fill, Framing, Frontend, Log, Scale};
pub use image::{Alpha, Fit, ImageProcessor, Interpolation, Rounding};
pub use mel::{LogMel, MelConfig};
pub(crate) use text::of_bytes as tokenizer_of;
pub use text::{TextProcessor, TextRules, Vocabulary, train_tokenizer};
pub(crate) use tokenizer_files::{from_sentencepiece as read_sentencepiece, read as read_tokenizer};

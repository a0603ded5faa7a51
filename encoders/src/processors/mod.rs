//! From media to tensors, exactly as the model was trained to see them. Their settings are part of the model (`preprocessor_config.json`).

mod image;
mod image_files;
mod mel;
mod resize;
mod text;

pub use image::{Alpha, Fit, ImageProcessor, Interpolation, Rounding};
pub use mel::{LogMel, MelConfig};
pub use text::{TextProcessor, Vocabulary, train_tokenizer};

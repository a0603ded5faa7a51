//! From media to tensors, exactly as the model was trained to see them. Their settings are part of the model (`preprocessor_config.json`).

mod image;
mod mel;
mod text;

pub use image::{Fit, ImageProcessor, Interpolation};
pub use mel::{LogMel, MelConfig};
pub use text::{TextProcessor, Vocabulary, train_tokenizer};

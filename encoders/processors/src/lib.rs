//! From decoded media and texts to what a tower sees, exactly as its model was trained to see them: the contract. Its settings are part of the
//! model (`preprocessor_config.json`, `tokenizer.json`). Tensors are made elsewhere: nothing here knows of them, nor of models' names.

mod contract;
mod error;
mod image;
mod json;
mod keys;
mod mel;
mod modality;
pub mod prepare;
mod prompts;
mod ranges;
mod size;
mod tokenizer;

pub use contract::{AudioTiming, Contract, Medium, Prepared, Processors};
pub use error::{Error, Result};
pub use image::{Alpha, Fit, ImageProcessor, Interpolation, Rounding};
pub use json::{Json, optional_json, read_json};
pub use keys::{Keys, Reads};
pub use mel::{AudioWindow, Fill, Framing, Frontend, Log, LogMel, MelConfig, Scale, sounding};
pub use modality::Modality;
pub use prompts::{Prompt, Prompts, Role};
pub use size::Size;
pub use tokenizer::{
    Cleaning, Pair, TextProcessor, TextRules, Vocabulary, read_sentencepiece, read_tokenizer, tokenizer_of,
    train_tokenizer,
};

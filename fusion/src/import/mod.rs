//! Fusion parts of model directories: this project's own (`fusion.json`, `fusion.safetensors` beside the towers' files), and those of
//! other libraries' checkpoints.

mod blip;
mod coca;
mod faster_whisper;
mod load;
mod plan;
mod whisper;

pub use load::{is, load};

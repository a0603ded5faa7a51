//! Towers for text, images and audio, their projections into one space, the processors that feed them, and model files.
//!
//! Start at [`Model`]: it loads a model directory and embeds strings, images and samples.

pub mod adapters;
pub mod batch;
mod blend;
mod classifier;
mod classify;
pub mod clips;
mod composed;
pub mod config;
pub mod conv;
mod directory;
mod embed;
mod error;
pub mod export;
pub mod families;
pub mod features;
pub mod files;
mod forward;
#[doc(hidden)]
pub mod fuzzing;
mod gather;
pub mod htsat;
mod identity;
mod logits;
mod model;
mod modules;
mod pairs;
pub mod pool;
mod projection;
mod prompts;
mod reading;
mod resize;
pub mod stem;
mod texts;
pub mod towers;
pub mod video;
mod windows;

pub use composed::{Borrowed, BorrowedDecoder};
pub use config::{ModelConfig, PromptConfig, VideoConfig};
pub use directory::model_dir;
pub use embed::{similarity, to_vec};
pub use error::{Error, Result};
pub use features::{Features, Input, TowerFeatures};
pub use gather::Gathered;
pub use identity::{identity, identity_with_fusion};
pub use model::Model;
pub use towers::TowerOutput;
pub use unisono_nn::{Draws, LoadReport, Mode, Params, Pass, Precision};
pub use unisono_processors::{AudioWindow, Modality, Processors, Prompt, Prompts, Role, prepare::Clip};

//! Towers for text, images and sound, their projections into one space, the processors that feed them, and model files.
//!
//! Start at [`Model`]: it loads a model directory and embeds strings, pictures and samples.

pub mod batch;
pub mod clips;
pub mod config;
mod directory;
mod embed;
mod error;
pub mod export;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod htsat;
pub mod import;
mod model;
pub mod pool;
mod prompts;
mod sizes;
pub mod stem;
pub mod towers;
pub mod video;
mod watch;

pub use config::ModelConfig;
pub use directory::model_dir;
pub use embed::{similarity, to_vec};
pub use error::{Error, Result};
pub use model::Model;
pub use prompts::PromptConfig;
pub use towers::TowerOutput;
pub use unisono_nn::{LoadReport, Mode, Params, Pass, Precision};
pub use unisono_processors::{Modality, Processors, prepare::Clip};
pub use video::VideoConfig;

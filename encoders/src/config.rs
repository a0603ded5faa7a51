//! What a model is made of: read from `config.json` and from a recipe's `[model]` table.

mod audio;
mod checks;
mod classifier;
mod clips;
mod flops;
mod htsat;
mod model;
mod prompts;
mod read;
mod stem;
#[cfg(test)]
mod tests;
mod towers;
mod video;
mod widths;

pub use audio::AudioConfig;
pub use classifier::{ClassifierConfig, ClassifierInput, PairConfig, Score};
pub use htsat::HtsatConfig;
pub use model::ModelConfig;
pub use prompts::PromptConfig;
pub use towers::{
    ClassToken, ConvConfig, ImageConfig, Pooling, ProjectionConfig, SpectrogramConfig, StemConfig, TextConfig,
};
pub use unisono_nn::config::{
    Activation, FinalNorm, NormKind, NormPlace, RelativeConfig, RotaryConfig, TransformerConfig, within,
};
pub use unisono_processors::Size;
pub use video::{AudioRule, FramePooling, Sampling, VideoConfig};

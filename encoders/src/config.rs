//! What a model is made of: read from `config.json` and from a recipe's `[model]` table.

mod audio;
mod checks;
mod classifier;
mod clips;
mod efficientnet;
mod flops;
mod htsat;
mod image;
mod kinds;
mod matryoshka;
mod model;
mod modules;
mod prompts;
mod read;
mod reading;
mod speech;
mod stem;
#[cfg(test)]
mod tests;
mod towers;
mod video;
mod widths;

pub use audio::AudioConfig;
pub use classifier::{ClassifierConfig, ClassifierInput, PairConfig, Score};
pub(crate) use efficientnet::BlockConfig;
pub use efficientnet::{EfficientNetConfig, StageConfig};
pub use htsat::HtsatConfig;
pub use image::ImageConfig;
pub use matryoshka::Matryoshka;
pub use model::ModelConfig;
pub use modules::{DenseActivation, ModuleConfig};
pub use prompts::PromptConfig;
pub use reading::ReadingConfig;
pub use speech::SpeechDecoderConfig;
pub use towers::{
    ClassToken, ConvConfig, Pooling, ProjectionConfig, SpectrogramConfig, StemConfig, TextConfig, VitConfig,
};
pub use unisono_nn::Padding;
pub use unisono_nn::config::{
    Activation, AdapterConfig, AdapterKind, FinalNorm, NormKind, NormPlace, RelativeConfig, RotaryConfig,
    TransformerConfig, within,
};
pub use unisono_processors::Size;
pub use video::{AudioRule, FramePooling, Sampling, VideoConfig};

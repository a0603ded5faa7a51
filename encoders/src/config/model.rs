//! A model as a whole.

use super::{HtsatConfig, ImageConfig, SpectrogramConfig, TextConfig, VideoConfig};
use serde::{Deserialize, Serialize};

/// A model: up to three towers and the space that they share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "super::read::Written")]
pub struct ModelConfig {
    /// Dimension D of the shared space.
    pub embed_dim: i64,
    /// The text tower, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextConfig>,
    /// The image tower, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageConfig>,
    /// The audio tower, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioConfig>,
    /// How a clip's frames, which the image tower sees, become one vector; absent: [`VideoConfig::default`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoConfig>,
    /// A learned number is added to the scaled cosines of each pair of modalities (SigLIP, Zhai et al. 2023).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub logit_bias: bool,
}

/// The audio tower, told by its `kind`; without one, a `transformer`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum AudioConfig {
    /// Blocks over a spectrogram of any length, or over the grid of its cells.
    Transformer(SpectrogramConfig),
    /// CLAP's windowed one.
    Htsat(HtsatConfig),
}

impl From<SpectrogramConfig> for AudioConfig {
    fn from(c: SpectrogramConfig) -> Self {
        Self::Transformer(c)
    }
}

//! A model as a whole.

use super::read::Written;
use super::{
    AdapterConfig, AudioConfig, ClassifierConfig, ImageConfig, Matryoshka, ReadingConfig, TextConfig,
    VideoConfig,
};
use serde::{Deserialize, Serialize};

/// A model: up to three towers and the space that they share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
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
    /// What one of the towers was trained to tell apart, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierConfig>,
    /// The text tower reads what the image tower's classifier says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<ReadingConfig>,
    /// What embeddings may be cut to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matryoshka: Option<Matryoshka>,
    /// Low-rank adapters beside the weights of some layers, if it was trained with such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterConfig>,
}

impl ModelConfig {
    /// A model without towers, to be filled.
    pub fn new(embed_dim: i64) -> Self {
        Self { embed_dim, ..Self::default() }
    }
}

impl TryFrom<Written> for ModelConfig {
    type Error = String;
    fn try_from(w: Written) -> Result<Self, String> {
        let audio = match (w.audio, w.htsat) {
            (Some(_), Some(_)) => return Err("htsat: expected one audio tower, found audio besides".into()),
            (audio, htsat) => audio.or(htsat.map(AudioConfig::Htsat)),
        };
        let Written {
            embed_dim,
            text,
            image,
            video,
            logit_bias,
            classifier,
            reading,
            matryoshka,
            adapter,
            ..
        } = w;
        Ok(Self {
            embed_dim,
            text,
            image,
            audio,
            video,
            logit_bias,
            classifier,
            reading,
            matryoshka,
            adapter,
        })
    }
}

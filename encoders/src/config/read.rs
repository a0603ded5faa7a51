//! Configurations as they are written, now and by earlier versions.

use super::{
    AdapterConfig, AudioConfig, ClassifierConfig, HtsatConfig, ImageConfig, Matryoshka, ReadingConfig,
    TextConfig, VideoConfig,
};
use serde::Deserialize;

/// `[model]` and `config.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub embed_dim: i64,
    pub text: Option<TextConfig>,
    pub image: Option<ImageConfig>,
    pub audio: Option<AudioConfig>,
    /// Where version 0.1's first model folders have CLAP's audio tower.
    pub htsat: Option<HtsatConfig>,
    pub video: Option<VideoConfig>,
    #[serde(default)]
    pub logit_bias: bool,
    pub classifier: Option<ClassifierConfig>,
    pub reading: Option<ReadingConfig>,
    pub matryoshka: Option<Matryoshka>,
    pub adapter: Option<AdapterConfig>,
}

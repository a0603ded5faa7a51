//! The audio tower of either kind.

use super::kinds::{rest, told};
use super::{HtsatConfig, SpectrogramConfig};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

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

impl<'de> Deserialize<'de> for AudioConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (kind, map) = told(from)?;
        match kind.as_ref().map_or(Some("transformer"), |kind| kind.as_str()) {
            Some("transformer") => rest(map).map(Self::Transformer),
            Some("htsat") => rest(map).map(Self::Htsat),
            _ => {
                let found = kind.unwrap_or_default();
                Err(D::Error::custom(format!("kind: expected \"transformer\" or \"htsat\", found {found}")))
            }
        }
    }
}

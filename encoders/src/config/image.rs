//! The image tower of any kind.

use super::kinds::{rest, told};
use super::{EfficientNetConfig, VitConfig};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

/// The image tower, told by its `kind`; without one, a `transformer`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ImageConfig {
    /// Blocks over patches, or over what a few convolutions make of an image.
    Transformer(VitConfig),
    /// Convolutions alone.
    EfficientNet(EfficientNetConfig),
}

impl From<VitConfig> for ImageConfig {
    fn from(c: VitConfig) -> Self {
        Self::Transformer(c)
    }
}

impl From<EfficientNetConfig> for ImageConfig {
    fn from(c: EfficientNetConfig) -> Self {
        Self::EfficientNet(c)
    }
}

impl<'de> Deserialize<'de> for ImageConfig {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (kind, map) = told(from)?;
        match kind.as_ref().map_or(Some("transformer"), |kind| kind.as_str()) {
            Some("transformer") => rest(map).map(Self::Transformer),
            Some("efficientnet") => rest(map).map(Self::EfficientNet),
            _ => {
                let found = kind.unwrap_or_default();
                let message = format!("kind: expected \"transformer\" or \"efficientnet\", found {found}");
                Err(D::Error::custom(message))
            }
        }
    }
}

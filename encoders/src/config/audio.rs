//! The audio tower of either kind.

use super::{HtsatConfig, SpectrogramConfig};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

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
        fn read<T: DeserializeOwned, E: Error>(map: Map<String, Value>) -> Result<T, E> {
            T::deserialize(Value::Object(map)).map_err(E::custom)
        }
        let mut map = Map::deserialize(from)?;
        match map.remove("kind") {
            None => read::<SpectrogramConfig, _>(map).map(Self::Transformer),
            Some(Value::String(kind)) if kind == "transformer" => read(map).map(Self::Transformer),
            Some(Value::String(kind)) if kind == "htsat" => read(map).map(Self::Htsat),
            Some(kind) => {
                Err(D::Error::custom(format!("kind: expected \"transformer\" or \"htsat\", found {kind}")))
            }
        }
    }
}

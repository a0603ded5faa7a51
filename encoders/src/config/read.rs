//! Configurations as they are written, now and by earlier versions.

use super::{AudioConfig, HtsatConfig, ImageConfig, ModelConfig, SpectrogramConfig, TextConfig, VideoConfig};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// `[model]` and `config.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    embed_dim: i64,
    text: Option<TextConfig>,
    image: Option<ImageConfig>,
    audio: Option<AudioConfig>,
    /// Where version 0.1's first model folders have CLAP's audio tower.
    htsat: Option<HtsatConfig>,
    video: Option<VideoConfig>,
    #[serde(default)]
    logit_bias: bool,
}

impl TryFrom<Written> for ModelConfig {
    type Error = String;
    fn try_from(w: Written) -> Result<Self, String> {
        let audio = match (w.audio, w.htsat) {
            (Some(_), Some(_)) => return Err("htsat: expected one audio tower, found audio besides".into()),
            (audio, htsat) => audio.or(htsat.map(AudioConfig::Htsat)),
        };
        let Written { embed_dim, text, image, video, logit_bias, .. } = w;
        Ok(Self { embed_dim, text, image, audio, video, logit_bias })
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

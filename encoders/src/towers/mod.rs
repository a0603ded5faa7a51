//! The towers, a file each. Each returns its tokens and one pooled vector; the projection is the model's.

mod audio;
mod image;
mod text;

use crate::config::{AudioConfig, ModelConfig};
use crate::htsat::Htsat;
use crate::video::VideoTower;
use crate::{Modality, Result};
pub use audio::AudioTower;
pub use image::ImageTower;
use tch::Tensor;
pub use text::TextTower;
use unisono_nn::{Init, Precision, Scope};

/// What a tower makes of a batch.
#[derive(Debug)]
pub struct TowerOutput {
    /// `[B, T, W]`, after the final norm where that is over the tokens; prefix tokens first.
    pub tokens: Tensor,
    /// `[B, T]` bool, true where a token is real; `None` when all are.
    pub mask: Option<Tensor>,
    /// `[B, W]`.
    pub pooled: Tensor,
}

/// A tower of any kind.
#[derive(Debug)]
pub(crate) enum Tower {
    Text(TextTower),
    Image(ImageTower),
    Audio(AudioTower),
    Htsat(Htsat),
    Video(VideoTower),
}

impl Tower {
    /// The tower of a modality under `scope`, where the model has one. Whatever sees pictures sees videos.
    pub fn new(modality: Modality, scope: &Scope, c: &ModelConfig) -> Result<Option<Self>> {
        Ok(Some(match modality {
            Modality::Text => match &c.text {
                Some(c) => Self::Text(TextTower::new(scope, c)?),
                None => return Ok(None),
            },
            Modality::Image => match &c.image {
                Some(c) => Self::Image(ImageTower::new(scope, c)?),
                None => return Ok(None),
            },
            Modality::Audio => match &c.audio {
                Some(AudioConfig::Transformer(c)) => Self::Audio(AudioTower::new(scope, c)?),
                Some(AudioConfig::Htsat(c)) => Self::Htsat(Htsat::new(scope, c)?),
                None => return Ok(None),
            },
            Modality::Video => match c.watches() {
                Some(video) => Self::Video(VideoTower::new(scope, &video, c)?),
                None => return Ok(None),
            },
        }))
    }

    /// Packs the blocks' weights for inference.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        match self {
            Self::Text(tower) => tower.prepare(precision),
            Self::Image(tower) => tower.prepare(precision),
            Self::Audio(tower) => tower.prepare(precision),
            Self::Htsat(tower) => tower.prepare(precision),
            Self::Video(tower) => tower.prepare(precision),
        }
    }
}

/// Learned tokens before the others.
pub(crate) fn prefix(scope: &Scope, n: i64, width: i64) -> Result<Option<Tensor>> {
    if n == 0 {
        return Ok(None);
    }
    Ok(Some(scope.param("prefix", &[n, width], Init::Normal(0.02))?))
}

pub(crate) fn with_prefix(prefix: Option<&Tensor>, x: Tensor, b: i64) -> Result<Tensor> {
    let Some(prefix) = prefix else { return Ok(x) };
    let (n, w) = prefix.size2()?;
    Ok(Tensor::f_cat(&[prefix.f_unsqueeze(0)?.f_expand([b, n, w], false)?, x], 1)?)
}

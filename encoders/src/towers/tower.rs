//! A tower of any kind.

use super::{AudioTower, ImageTower, TextTower};
use crate::config::{AudioConfig, ModelConfig};
use crate::htsat::Htsat;
use crate::video::VideoTower;
use crate::{Modality, Result};
use unisono_nn::{Precision, Scope};

/// A tower of any kind.
#[derive(Debug)]
pub(crate) enum Tower {
    Text(TextTower),
    Image(ImageTower),
    Audio(AudioTower),
    Htsat(Box<Htsat>),
    Video(VideoTower),
}

impl Tower {
    /// The tower of a modality under `scope`, where the model has one. Whatever sees images sees videos.
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
                Some(AudioConfig::Htsat(c)) => Self::Htsat(Box::new(Htsat::new(scope, c)?)),
                None => return Ok(None),
            },
            Modality::Video => match c.video_config() {
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

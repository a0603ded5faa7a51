//! The image tower of any kind.

use crate::config::ImageConfig;
use crate::conv::EfficientNet;
use crate::towers::output::TowerOutput;
use crate::towers::vit::VisionTransformer;
use crate::{Error, Result};
use tch::Tensor;
use unisono_nn::{Pass, Precision, Scope};

/// Pixels → tokens.
#[derive(Debug)]
pub enum ImageTower {
    /// Blocks over patches.
    Transformer(VisionTransformer),
    /// Convolutions alone.
    EfficientNet(EfficientNet),
}

impl ImageTower {
    /// Builds the tower under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &ImageConfig) -> Result<Self> {
        Ok(match c {
            ImageConfig::Transformer(c) => Self::Transformer(VisionTransformer::new(scope, c)?),
            ImageConfig::EfficientNet(c) => Self::EfficientNet(EfficientNet::new(scope, c)?),
        })
    }

    /// Packs the weights for inference.
    pub(crate) fn prepare(&mut self, precision: Precision) -> Result<()> {
        match self {
            Self::Transformer(tower) => tower.prepare(precision),
            Self::EfficientNet(tower) => tower.prepare(precision),
        }
    }

    /// Whether a frame's tokens depend on the other frames of its clip.
    pub(crate) fn mixes_frames(&self) -> bool {
        match self {
            Self::Transformer(tower) => tower.mixes_frames(),
            Self::EfficientNet(_) => false,
        }
    }

    /// `pixels` `[B, 3, H, W]` fp32, normalised (channels-last strides are the fast ones), of the configured size; a flexible
    /// tower takes any multiple of its patch, at most 4,096 of them.
    ///
    /// # Errors
    /// Another size, or libtorch's.
    pub fn forward(&self, pixels: &Tensor, pass: &Pass) -> Result<TowerOutput> {
        self.forward_clips(pixels, 1, pass)
    }

    /// [`forward`](Self::forward) over the frames of clips, `frames` of each one after another.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and a number of images that `frames` does not divide.
    pub fn forward_clips(&self, pixels: &Tensor, frames: i64, pass: &Pass) -> Result<TowerOutput> {
        let b = pixels.size4()?.0;
        if frames < 1 || b % frames != 0 {
            return Err(Error::Input(format!("{b} images are no clips of {frames} frames")));
        }
        match self {
            Self::Transformer(tower) => tower.forward_clips(pixels, frames, pass),
            Self::EfficientNet(tower) => tower.forward(pixels, pass),
        }
    }
}

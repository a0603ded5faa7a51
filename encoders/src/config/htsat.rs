//! HTS-AT's sizes.

use super::{ProjectionConfig, within};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use unisono_nn::Activation;

/// The tower's sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HtsatConfig {
    /// Mel bands M.
    pub mels: i64,
    /// Side of the square that the spectrogram is folded into; a multiple of `mels`.
    pub size: i64,
    /// Patch height and width.
    pub patch: [i64; 2],
    /// Distance of patches.
    pub stride: [i64; 2],
    /// Width after the stem; every stage but the last doubles it.
    pub width: i64,
    /// Blocks of each stage.
    pub depths: Vec<i64>,
    /// Attention heads of each stage.
    pub heads: Vec<i64>,
    /// Side of the attention windows, in patches.
    pub window: i64,
    /// Hidden width of the feed-forward part, in units of the stage's width.
    pub mlp_ratio: f64,
    /// Between the two feed-forward layers.
    #[serde(default)]
    pub activation: Activation,
    /// Added to the variance in the blocks' layer norms.
    pub norm_eps: f64,
    /// A layer norm after the stem.
    pub stem_norm: bool,
    /// Long audio files come as four spectrograms that are fused after the stem (attentional feature fusion, Dai et al. 2021); the value
    /// is by what the fusion's inner width is divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<i64>,
    /// From the pooled vector to the shared space.
    #[serde(default)]
    pub projection: ProjectionConfig,
}

impl HtsatConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        within("audio.mels", self.mels, 4096)?;
        // An audio file is a square of this side, a window attends among the square of its side: real ones are 256 and 8.
        within("audio.size", self.size, 1024)?;
        within("audio.width", self.width, 1 << 14)?;
        within("audio.window", self.window, 64)?;
        let n = self.depths.len();
        if n == 0 || n > 8 || self.heads.len() != n {
            return Err(Error::config(
                "audio.depths",
                "expected 1 to 8 stages, each with a depth and a number of heads",
            ));
        }
        for axis in 0..2 {
            within("audio.patch", self.patch[axis], self.size)?;
            within("audio.stride", self.stride[axis], self.patch[axis])?;
        }
        if self.size % self.mels != 0 || self.size % self.stride[0] != 0 || self.size % self.stride[1] != 0 {
            return Err(Error::config("audio.size", "expected a multiple of mels and of the stride"));
        }
        for (key, value, most) in [("mlp_ratio", self.mlp_ratio, 64.0), ("norm_eps", self.norm_eps, 1.0)] {
            if !(value > 0.0 && value <= most) {
                return Err(Error::config(
                    format!("audio.{key}"),
                    format!("expected more than 0 and at most {most}, found {value}"),
                ));
            }
        }
        for (stage, (depth, heads)) in self.depths.iter().zip(&self.heads).enumerate() {
            within("audio.depths", *depth, 1024)?;
            within("audio.heads", *heads, 1 << 12)?;
            if (self.width << stage) % heads != 0 {
                return Err(Error::config(
                    "audio.heads",
                    format!("{heads} does not divide width {}", self.width << stage),
                ));
            }
        }
        if self.fusion.is_some_and(|r| r < 1 || r > self.width) {
            return Err(Error::config("audio.fusion", format!("expected 1 to {}", self.width)));
        }
        Ok(())
    }

    /// Width of the pooled vector.
    pub fn out_width(&self) -> i64 {
        self.width << (self.depths.len() as i64 - 1).clamp(0, 8)
    }

    /// How often the spectrogram's bands fit into the square's side.
    pub(crate) fn folds(&self) -> i64 {
        self.size / self.mels
    }

    /// Frames that fill the square.
    pub fn frames(&self) -> i64 {
        self.size * self.folds()
    }
}

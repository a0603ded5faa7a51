//! The settings of a spectrogram, and their bounds.

use super::frontend::{Fill, Frontend};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The audio half of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MelConfig {
    /// Hz; audio files are resampled to it.
    #[serde(default = "rate")]
    pub sample_rate: u32,
    /// FFT length, in samples.
    #[serde(default = "n_fft")]
    pub n_fft: usize,
    /// Hann window, in samples, at most `n_fft`.
    #[serde(default = "window")]
    pub window: usize,
    /// Distance of frames, in samples.
    #[serde(default = "hop")]
    pub hop: usize,
    /// Bands M, on the HTK mel scale.
    #[serde(default = "mels")]
    pub mels: usize,
    /// Lowest edge, Hz.
    #[serde(default = "f_min")]
    pub f_min: f32,
    /// Highest edge, Hz; at most half the sample rate.
    #[serde(default = "f_max")]
    pub f_max: f32,
    /// Power added before the logarithm.
    #[serde(default = "floor")]
    pub floor: f32,
    /// The natural logarithm of the power has this mean …
    #[serde(default = "mean")]
    pub mean: f32,
    /// … and this standard deviation taken out.
    #[serde(default = "std_dev")]
    pub std: f32,
    /// Frames kept of a longer audio file, from its start.
    #[serde(default = "max_frames")]
    pub max_frames: usize,
    /// A public model's front end in place of this project's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<Frontend>,
}

fn rate() -> u32 {
    16_000
}
fn n_fft() -> usize {
    512
}
fn window() -> usize {
    400
}
fn hop() -> usize {
    160
}
fn mels() -> usize {
    64
}
fn f_min() -> f32 {
    50.0
}
fn f_max() -> f32 {
    7_600.0
}
fn floor() -> f32 {
    1e-6
}
fn mean() -> f32 {
    -6.0
}
fn std_dev() -> f32 {
    4.0
}
fn max_frames() -> usize {
    400
}

impl MelConfig {
    /// Speech at 16 kHz: 64 bands, windows of 25 ms every 10 ms.
    pub fn speech(mels: usize, max_frames: usize) -> Self {
        Self {
            sample_rate: rate(),
            n_fft: n_fft(),
            window: window(),
            hop: hop(),
            mels,
            f_min: f_min(),
            f_max: f_max(),
            floor: floor(),
            mean: mean(),
            std: std_dev(),
            max_frames,
            frontend: None,
        }
    }

    /// Whether silence that fills a window behind a short sound is cut off again ([`Fill::Cut`]).
    pub fn cuts(&self) -> bool {
        self.frontend.as_ref().is_some_and(|f| f.fill == Fill::Cut)
    }

    /// These settings with [`Fill::Cut`] in place of [`Fill::Pad`]; `None`: silence fills no window here.
    pub fn cut(&self) -> Option<Self> {
        let f = self.frontend.as_ref().filter(|f| matches!(f.fill, Fill::Pad | Fill::Cut) && !f.fusion)?;
        Some(Self { frontend: Some(Frontend { fill: Fill::Cut, ..f.clone() }), ..self.clone() })
    }

    /// Refuses sizes that no spectrogram can have or that would cost gigabytes.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self) -> Result<()> {
        let bad = |field: &str, why: String| Err(Error::config(format!("audio.{field}"), why));
        for (field, value, least, most) in [
            ("sample_rate", self.sample_rate as usize, 100, 384_000),
            ("n_fft", self.n_fft, 2, 1 << 16),
            ("window", self.window, 1, self.n_fft),
            ("hop", self.hop, 1, 1 << 16),
            ("mels", self.mels, 1, self.n_fft / 2),
            ("max_frames", self.max_frames, 1, 1 << 20),
        ] {
            if !(least..=most).contains(&value) {
                return bad(field, format!("expected {least} to {most}, found {value}"));
            }
        }
        let nyquist = self.sample_rate as f32 / 2.0;
        if !(self.f_min >= 0.0 && self.f_min < self.f_max && self.f_max <= nyquist) {
            return bad(
                "f_max",
                format!("expected f_min < f_max <= {nyquist} Hz, found {} and {}", self.f_min, self.f_max),
            );
        }
        if !(self.floor > 0.0 && self.std > 0.0 && self.mean.is_finite()) {
            return bad("floor", "floor and std must be positive".into());
        }
        // A long audio file that is gone through window by window has so many values for each of its samples.
        if self.mels > 4 * self.hop {
            return bad(
                "hop",
                format!("expected at least a quarter of the {} bands, found {}", self.mels, self.hop),
            );
        }
        let mut frames = self.max_frames;
        if let Some(f) = &self.frontend {
            f.validate()?;
            frames = frames.max(f.samples / self.hop);
        }
        let (values, most) = (frames.saturating_mul(self.mels), 1 << 24);
        if values > most {
            return bad(
                "max_frames",
                format!(
                    "{frames} frames of {} bands are {values} values, expected at most {most}",
                    self.mels
                ),
            );
        }
        let (work, most) = (frames.saturating_mul(self.n_fft), 1 << 30);
        if work > most {
            return bad(
                "n_fft",
                format!("{frames} frames of {} samples are {work}, expected at most {most}", self.n_fft),
            );
        }
        Ok(())
    }
}

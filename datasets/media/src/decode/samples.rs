//! Decoded audio files, and what they may be.

use crate::{Error, Limits, Result};
use std::path::Path;

/// Sample rates outside are mistakes in a header; resampling from 1 Hz would make a small file enormous.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A decoded audio file: one channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// Samples in [-1, 1].
    pub samples: Vec<f32>,
    /// Samples per second, in Hz.
    pub sample_rate: u32,
}

impl Audio {
    /// Duration in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.sample_rate)
    }
}

pub(crate) fn check_rate(path: &Path, rate: u32) -> Result<()> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    let expected = format!("a sample rate of {} to {} Hz", RATES.start(), RATES.end());
    Err(Error::media(path, expected, format!("{rate} Hz")))
}

pub(crate) fn check_length(path: &Path, samples: u64, rate: u32, limits: &Limits) -> Result<()> {
    let seconds = samples as f64 / f64::from(rate);
    if seconds <= limits.max_seconds || samples == 0 {
        return Ok(());
    }
    Err(Error::Limit {
        path: path.to_path_buf(),
        what: "the audio",
        found: format!("at least {seconds:.1} seconds"),
        limit: format!("{} seconds", limits.max_seconds),
        option: "max_seconds",
    })
}

//! Decoded audio files, and what they may be.

use crate::{Error, Limits, Result};
use std::fmt;
use std::ops::Range;
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

/// How long an audio file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Samples of its one channel.
    pub samples: u64,
    /// Samples per second, in Hz.
    pub sample_rate: u32,
}

impl Extent {
    /// Duration in seconds.
    pub fn seconds(self) -> f64 {
        self.samples as f64 / f64::from(self.sample_rate)
    }
}

/// Which samples of an audio file are wanted.
#[derive(Clone, Copy)]
pub enum Wanted<'a> {
    /// All of them.
    Whole,
    /// So many from the beginning, of a file with so many Hz.
    First(&'a dyn Fn(u32) -> u64),
    /// These, of a file of that extent.
    Range(&'a dyn Fn(Extent) -> Range<u64>),
}

impl fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "Whole",
            Self::First(_) => "First",
            Self::Range(_) => "Range",
        })
    }
}

impl Wanted<'_> {
    /// Which of the samples that there are.
    pub(super) fn of(&self, extent: Extent) -> Range<u64> {
        let range = match self {
            Self::Whole => 0..extent.samples,
            Self::First(count) => 0..count(extent.sample_rate),
            Self::Range(of) => of(extent),
        };
        let start = range.start.min(extent.samples);
        start..range.end.clamp(start, extent.samples)
    }
}

/// A part of an audio file.
#[derive(Debug, Clone, PartialEq)]
pub struct Excerpt {
    /// Its samples.
    pub audio: Audio,
    /// How many samples of the file are before it.
    pub start: u64,
    /// How long the whole file is.
    pub extent: Extent,
}

impl Excerpt {
    /// What is wanted of an audio file that is there whole.
    pub(super) fn of(mut audio: Audio, wanted: &Wanted) -> Self {
        let extent = Extent { samples: audio.samples.len() as u64, sample_rate: audio.sample_rate };
        let range = wanted.of(extent);
        audio.samples.truncate(range.end as usize);
        audio.samples.drain(..range.start as usize);
        Self { audio, start: range.start, extent }
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

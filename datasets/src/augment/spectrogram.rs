use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{between, check_range, check_value};
use crate::Result;

/// Random changes to a log-mel spectrogram: SpecAugment's masks (Park et al. 2019), time stretching, a shift in time, and one along
/// frequency, which imitates another voice's pitch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectrogramAugment {
    /// Number of masked stretches of time.
    pub time_masks: usize,
    /// Widest time mask, as a share of the frames; the width is drawn from 0 to it.
    pub time_width: f32,
    /// Number of masked bands of frequency.
    pub freq_masks: usize,
    /// Widest frequency mask, as a share of the bins.
    pub freq_width: f32,
    /// Factor on the number of frames, drawn from `[low, high]`: above 1 speaks slower.
    pub time_stretch: [f32; 2],
    /// Largest shift along frequency either way, in bins.
    pub freq_shift: usize,
    /// Largest shift in time either way, as a share of the frames; the number of frames stays.
    pub time_shift: f32,
}

impl Default for SpectrogramAugment {
    fn default() -> Self {
        Self {
            time_masks: 0,
            time_width: 0.1,
            freq_masks: 0,
            freq_width: 0.1,
            time_stretch: [1.0; 2],
            freq_shift: 0,
            time_shift: 0.0,
        }
    }
}

impl SpectrogramAugment {
    /// Checks every parameter; call it before a run starts.
    ///
    /// # Errors
    /// [`crate::Error::Options`] naming the parameter, its allowed range and its value.
    pub fn validate(&self) -> Result<()> {
        check_value("time_width", self.time_width, [0.0, 1.0])?;
        check_value("freq_width", self.freq_width, [0.0, 1.0])?;
        check_value("time_shift", self.time_shift, [0.0, 1.0])?;
        check_value("time_masks", self.time_masks as f32, [0.0, 100.0])?;
        check_value("freq_masks", self.freq_masks as f32, [0.0, 100.0])?;
        check_value("freq_shift", self.freq_shift as f32, [0.0, 1000.0])?;
        check_range("time_stretch", self.time_stretch, [0.1, 10.0])
    }

    /// A changed copy of `mel` (`[T, n_mels]`, row-major); masked and uncovered places become `fill`. The number of
    /// frames changes by the stretch factor. With the defaults it is equal.
    pub fn apply(&self, mel: &[f32], n_mels: usize, fill: f32, rng: &mut impl Rng) -> Vec<f32> {
        if n_mels == 0 || mel.len() < n_mels {
            return mel.to_vec();
        }
        let stretch = between(self.time_stretch, rng);
        let mut out = if stretch == 1.0 { mel.to_vec() } else { stretch_time(mel, n_mels, stretch) };
        let shift = self.freq_shift.min(n_mels) as i64;
        if shift > 0 {
            shift_bins(&mut out, n_mels, rng.random_range(-shift..=shift), fill);
        }
        let frames = out.len() / n_mels;
        let shift = ((frames as f32 * self.time_shift) as usize).min(frames) as i64;
        if shift > 0 {
            shift_frames(&mut out, n_mels, rng.random_range(-shift..=shift), fill);
        }
        for _ in 0..self.time_masks {
            let span = draw_span(frames, self.time_width, rng);
            out[span.start * n_mels..span.end * n_mels].fill(fill);
        }
        for _ in 0..self.freq_masks {
            let span = draw_span(n_mels, self.freq_width, rng);
            out.chunks_exact_mut(n_mels).for_each(|frame| frame[span.clone()].fill(fill));
        }
        out
    }
}

/// A stretch of at most `share` of `length`, its width and place drawn evenly.
fn draw_span(length: usize, share: f32, rng: &mut impl Rng) -> std::ops::Range<usize> {
    let widest = ((length as f32 * share) as usize).min(length);
    let width = rng.random_range(0..=widest);
    let start = rng.random_range(0..=length - width);
    start..start + width
}

/// Linear interpolation between frames, first and last kept.
fn stretch_time(mel: &[f32], n_mels: usize, factor: f32) -> Vec<f32> {
    let frames = mel.len() / n_mels;
    let target = ((frames as f32 * factor).round() as usize).max(1);
    let step = if target > 1 { (frames - 1) as f32 / (target - 1) as f32 } else { 0.0 };
    let mut out = Vec::with_capacity(target * n_mels);
    for frame in 0..target {
        let position = frame as f32 * step;
        let left = (position as usize).min(frames - 1);
        let fraction = position - left as f32;
        let (a, b) = (&mel[left * n_mels..][..n_mels], &mel[(left + 1).min(frames - 1) * n_mels..][..n_mels]);
        out.extend(a.iter().zip(b).map(|(a, b)| a + (b - a) * fraction));
    }
    out
}

/// Moves the frames later (`shift` > 0) or earlier, by at most their number.
fn shift_frames(mel: &mut [f32], n_mels: usize, shift: i64, fill: f32) {
    let amount = (shift.unsigned_abs() as usize * n_mels).min(mel.len());
    let keep = mel.len() - amount;
    if shift > 0 {
        mel.copy_within(..keep, amount);
        mel[..amount].fill(fill);
    } else {
        mel.copy_within(amount.., 0);
        mel[keep..].fill(fill);
    }
}

/// Moves every frame's bins up (`shift` > 0) or down.
fn shift_bins(mel: &mut [f32], n_mels: usize, shift: i64, fill: f32) {
    let amount = (shift.unsigned_abs() as usize).min(n_mels);
    for frame in mel.chunks_exact_mut(n_mels) {
        if shift > 0 {
            frame.copy_within(..n_mels - amount, amount);
            frame[..amount].fill(fill);
        } else {
            frame.copy_within(amount.., 0);
            frame[n_mels - amount..].fill(fill);
        }
    }
}

#[cfg(test)]
#[path = "../tests/augment_spectrogram.rs"]
mod tests;

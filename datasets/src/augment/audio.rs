use rand::Rng;
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::noise::{self, NoiseColour};
use super::{between, chance, check_range, check_value};
use crate::{Result, SourceConfig};

/// Random changes to a waveform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioAugment {
    /// Seconds of a part that is taken from anywhere in a longer recording; 0: the whole, of which a model hears the beginning.
    pub window: f32,
    /// Gain in decibels, drawn from `[low, high]`.
    pub gain_db: [f32; 2],
    /// Largest shift in time either way, in seconds: silence comes in where samples leave; the length stays.
    pub shift: f32,
    /// Playback speed, drawn from `[low, high]`; tempo and pitch change together, the length becomes `n / speed`.
    pub speed: [f32; 2],
    /// Probability of noise.
    pub noise: f32,
    /// Signal-to-noise ratio in decibels, drawn from `[low, high]`. Recordings and pink noise are measured, and meet it; white noise meets
    /// it on the average, within 0.1 dB from a second on.
    pub noise_snr_db: [f32; 2],
    /// What noise is made up, where there is no source of it: `white` or `pink`.
    pub noise_colour: NoiseColour,
    /// Recordings of noise: what has records with audio files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_source: Option<SourceConfig>,
}

impl Default for AudioAugment {
    fn default() -> Self {
        Self {
            window: 0.0,
            gain_db: [0.0; 2],
            shift: 0.0,
            speed: [1.0; 2],
            noise: 0.0,
            noise_snr_db: [10.0, 30.0],
            noise_colour: NoiseColour::White,
            noise_source: None,
        }
    }
}

impl AudioAugment {
    /// Checks every parameter; call it before a run starts.
    ///
    /// # Errors
    /// [`crate::Error::Options`] naming the parameter, its allowed range and its value.
    pub fn validate(&self) -> Result<()> {
        check_value("window", self.window, [0.0, 3600.0])?;
        check_range("gain_db", self.gain_db, [-100.0, 100.0])?;
        check_value("shift", self.shift, [0.0, 3600.0])?;
        check_range("speed", self.speed, [0.1, 10.0])?;
        check_value("noise", self.noise, [0.0, 1.0])?;
        check_range("noise_snr_db", self.noise_snr_db, [-100.0, 100.0])
    }

    /// The part of a recording that is taken, wherever it lies in it; a shorter recording whole.
    pub fn cut<'a>(&self, samples: &'a [f32], rate: u32, rng: &mut impl Rng) -> &'a [f32] {
        samples.get(self.part(samples.len(), rate, rng)).unwrap_or(samples)
    }

    /// Which of so many samples [`cut`](Self::cut) takes.
    pub fn part(&self, samples: usize, rate: u32, rng: &mut impl Rng) -> Range<usize> {
        let length = (f64::from(self.window) * f64::from(rate)).round() as usize;
        if length == 0 || samples <= length {
            return 0..samples;
        }
        let start = rng.random_range(0..=samples - length);
        start..start + length
    }

    /// A changed copy of `samples` (one channel, `rate` Hz). With the defaults it is equal. Values may exceed [-1, 1]
    /// after a gain. Noise is made up here; that of a source is [`mix`](Self::mix)ed in.
    pub fn apply(&self, samples: &[f32], rate: u32, rng: &mut impl Rng) -> Vec<f32> {
        let speed = between(self.speed, rng);
        let mut out = if speed == 1.0 { samples.to_vec() } else { stretch(samples, speed) };
        let shift = (between([-self.shift, self.shift], rng) * rate as f32).round() as i64;
        shift_in_time(&mut out, shift);
        let gain_db = between(self.gain_db, rng);
        if gain_db != 0.0 {
            let gain = 10f32.powf(gain_db / 20.0);
            out.iter_mut().for_each(|s| *s *= gain);
        }
        if self.noise_source.is_none() && chance(self.noise, rng) {
            let snr = between(self.noise_snr_db, rng);
            if self.noise_colour == NoiseColour::Pink {
                let pink = noise::pink(out.len(), rng);
                noise::mix(&mut out, &pink, 0, snr);
                return out;
            }
            let power = out.iter().map(|s| s * s).sum::<f32>() / out.len().max(1) as f32;
            // Uniform noise in [-a, a] has power a² / 3.
            let amplitude = (3.0 * power * 10f32.powf(-snr / 10.0)).sqrt();
            out.iter_mut().for_each(|s| *s += amplitude * (2.0 * rng.random::<f32>() - 1.0));
        }
        out
    }

    /// Whether a recording of `noise_source` is mixed in.
    pub fn mixes(&self, rng: &mut impl Rng) -> bool {
        self.noise_source.is_some() && chance(self.noise, rng)
    }

    /// Adds a recording of noise at the rate of the samples: a part from anywhere in it, over again where it is shorter, at the ratio of powers that
    /// is drawn.
    pub fn mix(&self, samples: &mut [f32], noise: &[f32], rng: &mut impl Rng) {
        let snr = between(self.noise_snr_db, rng);
        let last = noise.len().saturating_sub(if noise.len() > samples.len() { samples.len() } else { 1 });
        noise::mix(samples, noise, rng.random_range(0..=last), snr);
    }
}

/// Reads the samples at `speed` by linear interpolation: for the few per cent of an augmentation its loss of treble is
/// smaller than that between two microphones.
fn stretch(samples: &[f32], speed: f32) -> Vec<f32> {
    let Some(last) = samples.len().checked_sub(1) else { return Vec::new() };
    let length = ((samples.len() as f64 / f64::from(speed)).round() as usize).max(1);
    let at = |k: usize| {
        let position = k as f64 * f64::from(speed);
        let left = (position as usize).min(last);
        let fraction = (position - left as f64).min(1.0) as f32;
        samples[left] + (samples[(left + 1).min(last)] - samples[left]) * fraction
    };
    (0..length).map(at).collect()
}

/// Moves samples later (`shift` > 0) or earlier, filling with silence.
fn shift_in_time(samples: &mut [f32], shift: i64) {
    let amount = (shift.unsigned_abs() as usize).min(samples.len());
    let keep = samples.len() - amount;
    if shift > 0 {
        samples.copy_within(..keep, amount);
        samples[..amount].fill(0.0);
    } else {
        samples.copy_within(amount.., 0);
        samples[keep..].fill(0.0);
    }
}

#[cfg(test)]
#[path = "../tests/augment_audio.rs"]
mod tests;

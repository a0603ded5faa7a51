use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{between, check_range, check_value};
use crate::Result;

/// Random changes to a waveform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AudioAugment {
    /// Gain in decibels, drawn from `[low, high]`.
    pub gain_db: [f32; 2],
    /// Largest shift in time either way, in seconds: silence comes in where samples leave; the length stays.
    pub shift: f32,
    /// Playback speed, drawn from `[low, high]`; tempo and pitch change together, the length becomes `n / speed`.
    pub speed: [f32; 2],
    /// Probability of white noise.
    pub noise: f32,
    /// Signal-to-noise ratio in decibels, drawn from `[low, high]`.
    pub noise_snr_db: [f32; 2],
}

impl Default for AudioAugment {
    fn default() -> Self {
        Self { gain_db: [0.0; 2], shift: 0.0, speed: [1.0; 2], noise: 0.0, noise_snr_db: [10.0, 30.0] }
    }
}

impl AudioAugment {
    /// Checks every parameter; call it before a run starts.
    ///
    /// # Errors
    /// [`crate::Error::Options`] naming the parameter, its allowed range and its value.
    pub fn validate(&self) -> Result<()> {
        check_range("gain_db", self.gain_db, [-100.0, 100.0])?;
        check_value("shift", self.shift, [0.0, 3600.0])?;
        check_range("speed", self.speed, [0.1, 10.0])?;
        check_value("noise", self.noise, [0.0, 1.0])?;
        check_range("noise_snr_db", self.noise_snr_db, [-100.0, 100.0])
    }

    /// A changed copy of `samples` (one channel, `rate` Hz). With the defaults it is equal. Values may exceed [-1, 1]
    /// after a gain.
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
        if super::chance(self.noise, rng) {
            let snr = between(self.noise_snr_db, rng);
            let power = out.iter().map(|s| s * s).sum::<f32>() / out.len().max(1) as f32;
            // Uniform noise in [-a, a] has power a² / 3.
            let amplitude = (3.0 * power * 10f32.powf(-snr / 10.0)).sqrt();
            out.iter_mut().for_each(|s| *s += amplitude * (2.0 * rng.random::<f32>() - 1.0));
        }
        out
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

//! Noise: made up, or of another recording, at a given ratio of powers.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// The spectrum of noise that is made up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoiseColour {
    /// Equal power at every frequency.
    #[default]
    White,
    /// Equal power in every octave, as rooms and streets rather have it.
    Pink,
}

/// The mean square.
fn power(samples: &[f32]) -> f64 {
    samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>() / samples.len().max(1) as f64
}

/// Adds `noise` from its sample `start` on, over again where it ends, so loud that the samples have `snr_db` decibels more power than what is
/// added. Silence gets none, and silence adds none.
pub(super) fn mix(samples: &mut [f32], noise: &[f32], start: usize, snr_db: f32) {
    if noise.is_empty() {
        return;
    }
    let added: Vec<f32> =
        noise.iter().cycle().skip(start % noise.len()).take(samples.len()).copied().collect();
    let ratio = power(samples) / power(&added);
    if ratio.is_finite() {
        let gain = (ratio * 10f64.powf(-f64::from(snr_db) / 10.0)).sqrt() as f32;
        samples.iter_mut().zip(added).for_each(|(s, n)| *s += gain * n);
    }
}

/// Poles and weights of six low passes whose sum falls by 3 dB an octave, to half a decibel, from 1/5000 to 2/5 of the sample rate
/// (Paul Kellet's filter).
const LOW_PASSES: [(f32, f32); 6] = [
    (0.99886, 0.055_517_9),
    (0.99332, 0.075_075_9),
    (0.969, 0.153_852),
    (0.8665, 0.310_485_6),
    (0.55, 0.532_952_2),
    (-0.7616, -0.016_898),
];

/// So many values after which the slowest of them has forgotten that it began with silence.
const SETTLED: usize = 4096;

/// Pink noise of any power.
pub(super) fn pink(length: usize, rng: &mut impl Rng) -> Vec<f32> {
    let (mut states, mut before) = ([0f32; 6], 0f32);
    let mut next = || {
        let white = 2.0 * rng.random::<f32>() - 1.0;
        for (state, (pole, weight)) in states.iter_mut().zip(LOW_PASSES) {
            *state = pole * *state + weight * white;
        }
        let sum = states.iter().sum::<f32>() + before + 0.5362 * white;
        before = 0.115_926 * white;
        sum
    };
    (0..SETTLED).for_each(|_| {
        next();
    });
    (0..length).map(|_| next()).collect()
}

#[cfg(test)]
#[path = "../tests/augment_noise.rs"]
mod tests;

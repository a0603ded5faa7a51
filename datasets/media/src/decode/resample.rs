//! Sample rate conversion, band-limited, through `rubato`'s synchronous FFT resampler.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use super::samples::Audio;
use crate::video::gcd;
use crate::{Error, Result};

/// Least length of a block on the side with fewer samples. The anti-aliasing filter is as long as a block, so this bounds
/// its transition band: the top few per cent below the lower Nyquist frequency.
const BLOCK: usize = 512;

/// Converts an audio file to another sample rate. The result has `round(n * rate / audio.sample_rate)` samples, aligned with
/// the input: sample `k` is the input's band-limited value at `k / rate` seconds. Deterministic.
///
/// # Errors
/// [`Error::Options`] for a rate of 0 on either side.
pub fn resample(audio: &Audio, rate: u32) -> Result<Audio> {
    let cannot = |e: &dyn std::fmt::Display| {
        Error::Options(format!("cannot resample from {} Hz to {rate} Hz: {e}", audio.sample_rate))
    };
    if rate == 0 || audio.sample_rate == 0 {
        return Err(cannot(&"a rate must be positive"));
    }
    if rate == audio.sample_rate || audio.samples.is_empty() {
        return Ok(Audio { samples: audio.samples.clone(), sample_rate: rate });
    }
    let (from, to) = (audio.sample_rate as usize, rate as usize);
    let frames = audio.samples.len();
    // Blocks are multiples of the reduced ratio. An even multiple has its middle, the filter's delay, at a whole sample on
    // both sides; an odd one would shift the audio by a fraction of a sample.
    let reduced = from / gcd(from as i128, to as i128) as usize;
    let multiple = BLOCK.div_ceil(reduced.min(to / (from / reduced))).next_multiple_of(2);
    let mut resampler =
        Fft::<f32>::new(from, to, reduced * multiple, 1, FixedSync::Both).map_err(|e| cannot(&e))?;
    let input = InterleavedSlice::new(&audio.samples[..], 1, frames).map_err(|e| cannot(&e))?;
    let mut samples = resampler.process_all(&input, frames, None).map_err(|e| cannot(&e))?.take_data();
    // The resampler rounds the length up.
    samples.resize((frames as u64 * to as u64 + from as u64 / 2).div_euclid(from as u64) as usize, 0.0);
    Ok(Audio { samples, sample_rate: rate })
}

#[cfg(test)]
#[path = "../tests/resample.rs"]
mod tests;

//! Sample rate conversion, band-limited, through `rubato`'s synchronous FFT resampler.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use std::ops::Range;

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
    let mut stream = Resampling::new(audio.sample_rate, rate)?;
    let mut samples = Vec::new();
    stream.push(&audio.samples, &mut samples)?;
    stream.finish(&mut samples)?;
    Ok(Audio { samples, sample_rate: rate })
}

/// How many samples so many become at another rate.
///
/// # Errors
/// As [`resample`].
pub fn resampled(samples: u64, from: u32, to: u32) -> Result<u64> {
    let stream = Resampling::new(from, to)?;
    Ok(stream.wanted(samples))
}

/// The samples of an audio file of `from` Hz of which these of its form at `to` Hz are made; the last ones may lie behind its end.
///
/// # Errors
/// As [`resample`].
pub fn source_of(part: &Range<u64>, from: u32, to: u32) -> Result<Range<u64>> {
    Ok(Resampling::new(from, to)?.blocks(part).source)
}

/// A part of what [`resample`] makes of an audio file, bit for bit: of `source`, which is what [`source_of`] asked for as far as there is any.
///
/// # Errors
/// As [`resample`].
pub fn resample_part(source: Audio, rate: u32, part: &Range<u64>) -> Result<Audio> {
    let mut stream = Resampling::new(source.sample_rate, rate)?;
    let length = usize::try_from(part.end.saturating_sub(part.start)).unwrap_or(usize::MAX);
    if stream.fft.is_none() {
        return Ok(source);
    }
    let skip = stream.blocks(part).skip;
    stream.early = 0;
    let mut samples = Vec::new();
    stream.push(&source.samples, &mut samples)?;
    while samples.len() < skip + length {
        stream.pad(&mut samples)?;
    }
    samples.truncate(skip + length);
    samples.drain(..skip);
    Ok(Audio { samples, sample_rate: rate })
}

/// The blocks that a part is made of.
struct Blocks {
    /// Samples of the source.
    source: Range<u64>,
    /// How many results of these blocks come before the part.
    skip: usize,
}

/// [`resample`] of samples that come piece by piece, however long the pieces are: memory for a block or two.
pub struct Resampling {
    from: u32,
    to: u32,
    /// Absent: both rates are one.
    fft: Option<Fft<f32>>,
    /// Samples that make no block yet.
    waiting: Vec<f32>,
    block: Vec<f32>,
    /// Results that the filter's delay puts before the first.
    early: usize,
    came: u64,
    gone: u64,
}

impl std::fmt::Debug for Resampling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resampling({} Hz -> {} Hz)", self.from, self.to)
    }
}

impl Resampling {
    /// From one rate to another.
    ///
    /// # Errors
    /// As [`resample`].
    pub fn new(from: u32, to: u32) -> Result<Self> {
        if from == 0 || to == 0 {
            return Err(cannot(from, to, &"a rate must be positive"));
        }
        let mut made =
            Self { from, to, fft: None, waiting: Vec::new(), block: Vec::new(), early: 0, came: 0, gone: 0 };
        if from != to {
            let (a, b) = (from as usize, to as usize);
            // Blocks are multiples of the reduced ratio. An even multiple has its middle, the filter's delay, at a whole sample on
            // both sides; an odd one would shift the audio by a fraction of a sample.
            let reduced = a / gcd(a as i128, b as i128) as usize;
            let multiple = BLOCK.div_ceil(reduced.min(b / (a / reduced))).next_multiple_of(2);
            let fft = Fft::<f32>::new(a, b, reduced * multiple, 1, FixedSync::Both);
            let fft = fft.map_err(|e| cannot(from, to, &e))?;
            made.block = vec![0.0; fft.output_frames_next()];
            made.early = fft.output_delay();
            made.fft = Some(fft);
        }
        Ok(made)
    }

    /// What can be told after `samples`, put behind `out`.
    ///
    /// # Errors
    /// The resampler's.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.came += samples.len() as u64;
        let Some(fft) = &self.fft else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        let size = fft.input_frames_next();
        self.waiting.extend_from_slice(samples);
        let mut at = 0;
        while self.waiting.len() - at >= size {
            let block = at..at + size;
            at += size;
            self.convert(block, out)?;
        }
        self.waiting.drain(..at);
        Ok(())
    }

    /// The rest, put behind `out`: as many samples as the length of all that came says.
    ///
    /// # Errors
    /// The resampler's.
    pub fn finish(mut self, out: &mut Vec<f32>) -> Result<()> {
        if self.fft.is_none() {
            return Ok(());
        }
        let wanted = self.wanted(self.came);
        while self.gone < wanted {
            self.pad(out)?;
        }
        // The last block may have told more.
        out.truncate(out.len() - (self.gone - wanted) as usize);
        Ok(())
    }

    /// A block of what waits and the silence that follows it.
    fn pad(&mut self, out: &mut Vec<f32>) -> Result<()> {
        let Some(size) = self.fft.as_ref().map(Fft::input_frames_next) else { return Ok(()) };
        self.waiting.resize(size, 0.0);
        self.convert(0..size, out)?;
        self.waiting.clear();
        Ok(())
    }

    /// How many samples so many become.
    fn wanted(&self, samples: u64) -> u64 {
        let (from, to) = (u64::from(self.from), u64::from(self.to));
        (samples * to + from / 2) / from
    }

    /// Which blocks a part of the results is made of: each reaches into the next.
    fn blocks(&self, part: &Range<u64>) -> Blocks {
        let Some(fft) = &self.fft else { return Blocks { source: part.clone(), skip: 0 } };
        let (size, made, early) =
            (fft.input_frames_next() as u64, self.block.len() as u64, self.early as u64);
        let first = ((part.start + early) / made).saturating_sub(1);
        let last = (part.end + early).div_ceil(made);
        Blocks { source: first * size..last * size, skip: (part.start + early - first * made) as usize }
    }

    /// A block of what waits.
    fn convert(&mut self, block: std::ops::Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let Some(fft) = &mut self.fft else { return Ok(()) };
        let wrong = |e: &dyn std::fmt::Display| cannot(self.from, self.to, e);
        let (n, made) = (block.len(), self.block.len());
        let input = InterleavedSlice::new(&self.waiting[block], 1, n).map_err(|e| wrong(&e))?;
        let mut output = InterleavedSlice::new_mut(&mut self.block, 1, made).map_err(|e| wrong(&e))?;
        fft.process_into_buffer(&input, &mut output, None).map_err(|e| wrong(&e))?;
        let skip = self.early.min(made);
        self.early -= skip;
        self.gone += (made - skip) as u64;
        out.extend_from_slice(&self.block[skip..]);
        Ok(())
    }
}

fn cannot(from: u32, to: u32, why: &dyn std::fmt::Display) -> Error {
    Error::Options(format!("cannot resample from {from} Hz to {to} Hz: {why}"))
}

#[cfg(test)]
#[path = "../tests/resample.rs"]
mod tests;

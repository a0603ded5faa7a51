//! The front ends of public models, planned. Computed in double precision, as their libraries do, so that quiet bands agree too.

use super::config::MelConfig;
use super::frontend::{Fill, Framing, Frontend, Log, Scale};
use crate::{Error, Result};
use realfft::{RealFftPlanner, RealToComplex};
use std::ops::Range;
use std::sync::Arc;

/// Frames of a piece: half a minute of speech.
const PIECE: usize = 3000;

/// The prepared transform.
#[derive(Clone)]
pub(super) struct Plan {
    fft: Arc<dyn RealToComplex<f64>>,
    window: Vec<f64>,
    bands: Vec<(usize, Vec<f64>)>,
}

fn to_mel(scale: Scale, f: f64) -> f64 {
    match scale {
        Scale::Htk => 2595.0 * (1.0 + f / 700.0).log10(),
        Scale::Kaldi => 1127.0 * (1.0 + f / 700.0).ln(),
        Scale::Slaney if f >= 1000.0 => 15.0 + (f / 1000.0).ln() * 27.0 / 6.4f64.ln(),
        Scale::Slaney => 3.0 * f / 200.0,
    }
}

fn to_hertz(scale: Scale, m: f64) -> f64 {
    match scale {
        Scale::Htk => 700.0 * (10f64.powf(m / 2595.0) - 1.0),
        Scale::Kaldi => 700.0 * ((m / 1127.0).exp() - 1.0),
        Scale::Slaney if m >= 15.0 => 1000.0 * ((m - 15.0) * 6.4f64.ln() / 27.0).exp(),
        Scale::Slaney => 200.0 * m / 3.0,
    }
}

impl Plan {
    pub(super) fn new(c: &MelConfig, f: &Frontend) -> Self {
        let n = c.window as f64 - if f.symmetric { 1.0 } else { 0.0 };
        let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * i as f64 / n.max(1.0)).cos();
        let bins = c.n_fft / 2 + 1;
        let (low, high) = (to_mel(f.scale, f64::from(c.f_min)), to_mel(f.scale, f64::from(c.f_max)));
        let edges: Vec<f64> =
            (0..c.mels + 2).map(|i| low + (high - low) * i as f64 / (c.mels + 1) as f64).collect();
        let hertz: Vec<f64> = edges.iter().map(|m| to_hertz(f.scale, *m)).collect();
        let nyquist = f64::from(c.sample_rate / 2);
        let frequency = |bin: usize| nyquist * bin as f64 / (bins - 1) as f64;
        let (points, at): (&[f64], Vec<f64>) = if f.scale == Scale::Kaldi {
            (&edges, (0..bins).map(|b| to_mel(f.scale, frequency(b))).collect())
        } else {
            (&hertz, (0..bins).map(frequency).collect())
        };
        let bands = (0..c.mels).map(|band| {
            let (left, centre, right) = (points[band], points[band + 1], points[band + 2]);
            let area = if f.scale == Scale::Slaney { 2.0 / (right - left) } else { 1.0 };
            let weight =
                |x: &f64| ((x - left) / (centre - left)).min((right - x) / (right - centre)).max(0.0) * area;
            let weights: Vec<f64> = at.iter().map(weight).collect();
            let first = weights.iter().position(|w| *w > 0.0).unwrap_or(0);
            let last = weights.iter().rposition(|w| *w > 0.0).map_or(first, |l| l + 1);
            (first, weights[first..last].to_vec())
        });
        Self {
            fft: RealFftPlanner::<f64>::new().plan_fft_forward(c.n_fft),
            window: (0..c.window).map(hann).collect(),
            bands: bands.collect(),
        }
    }

    /// Samples → `[T, M]`, or `[4, T, M]` for an audio file that is fused.
    pub(super) fn process(&self, c: &MelConfig, f: &Frontend, samples: &[f32]) -> Result<Vec<f32>> {
        let finish = |values: Vec<f64>| {
            values.into_iter().map(|v| ((v - f64::from(c.mean)) / f64::from(c.std)) as f32).collect()
        };
        if f.fill == Fill::Frames {
            let most = (c.max_frames - 1) * c.hop + c.window;
            let mut values = self.spectrogram(c, f, &samples[..samples.len().min(most)])?;
            values.resize(c.max_frames * c.mels, 0.0);
            return Ok(finish(values));
        }
        if samples.len() > f.samples && f.fusion {
            let whole = self.spectrogram(c, f, samples)?;
            let total = whole.len() / c.mels;
            if total > c.max_frames {
                return Ok(finish(fuse(&whole, c.mels, c.max_frames)));
            }
            return Ok(finish(whole));
        }
        let mut audio = samples[..samples.len().min(f.samples)].to_vec();
        let n = audio.len();
        match f.fill {
            Fill::Repeat => audio = audio.iter().copied().cycle().take(f.samples).collect(),
            Fill::RepeatPad => audio = audio.iter().copied().cycle().take(f.samples / n * n).collect(),
            Fill::Pad | Fill::Cut | Fill::Frames => {}
        }
        audio.resize(f.samples, 0.0);
        Ok(finish(self.spectrogram(c, f, &audio)?))
    }

    /// `[T, M]` on the scale of the logarithm.
    fn spectrogram(&self, c: &MelConfig, f: &Frontend, samples: &[f32]) -> Result<Vec<f64>> {
        let mut out = Vec::with_capacity(self.count(c, f, samples.len()) * c.mels);
        self.frames(c, f, samples, 0..self.count(c, f, samples.len()), &mut out)?;
        if let Some(least) = least(f, out.iter().copied()) {
            out.iter_mut().for_each(|v| *v = v.max(least));
        }
        Ok(out)
    }

    /// The whole of an audio file as [`process`](Self::process) has it of one that is neither filled nor cut, some frames at a time; what it gives
    /// at last is the least value: lower ones are to be raised to it.
    pub(super) fn pieces<E: From<Error>>(
        &self,
        c: &MelConfig,
        f: &Frontend,
        samples: &[f32],
        take: &mut dyn FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<Option<f32>, E> {
        let finish = |v: f64| ((v - f64::from(c.mean)) / f64::from(c.std)) as f32;
        let (count, mut at, mut most) = (self.count(c, f, samples.len()), 0, f64::NEG_INFINITY);
        let (mut values, mut piece) = (Vec::new(), Vec::new());
        while at < count {
            let end = count.min(at + PIECE);
            values.clear();
            self.frames(c, f, samples, at..end, &mut values)?;
            most = values.iter().copied().fold(most, f64::max);
            piece.clear();
            piece.extend(values.iter().copied().map(finish));
            take(&piece)?;
            at = end;
        }
        // Rounding keeps order: raised before or after it, a value is the same.
        Ok(least(f, std::iter::once(most)).map(finish))
    }

    /// Frames of so many samples.
    fn count(&self, c: &MelConfig, f: &Frontend, samples: usize) -> usize {
        let padded = samples + if f.framing == Framing::Centered { c.n_fft / 2 * 2 } else { 0 };
        let frames = if padded < c.window { 0 } else { (padded - c.window) / c.hop + 1 };
        frames.saturating_sub(usize::from(f.drop_last))
    }

    /// Some frames, on the scale of the logarithm, put behind `out`.
    fn frames(
        &self,
        c: &MelConfig,
        f: &Frontend,
        samples: &[f32],
        frames: Range<usize>,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        let (half, n) = (c.n_fft as i64 / 2, samples.len() as i64);
        let mut buffer = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0f64; spectrum.len()];
        for t in frames {
            let start = (t * c.hop) as i64 - if f.framing == Framing::Centered { half } else { 0 };
            buffer.fill(0.0);
            for (i, b) in buffer.iter_mut().enumerate().take(c.window) {
                *b = f64::from(samples[mirror(start + i as i64, n)]);
            }
            let frame = &mut buffer[..c.window];
            if f.remove_mean {
                let mean = frame.iter().sum::<f64>() / frame.len() as f64;
                frame.iter_mut().for_each(|v| *v -= mean);
            }
            if f.preemphasis != 0.0 {
                for i in (1..frame.len()).rev() {
                    frame[i] -= f.preemphasis * frame[i - 1];
                }
                frame[0] *= 1.0 - f.preemphasis;
            }
            frame.iter_mut().zip(&self.window).for_each(|(v, w)| *v *= w);
            self.fft
                .process_with_scratch(&mut buffer, &mut spectrum, &mut scratch)
                .map_err(|e| Error::Input(format!("FFT: {e}")))?;
            for (p, z) in power.iter_mut().zip(&spectrum) {
                *p = z.norm_sqr();
            }
            for (first, weights) in &self.bands {
                let sum: f64 = power[*first..].iter().zip(weights).map(|(p, w)| p * w).sum();
                let sum = sum.max(f64::from(c.floor));
                out.push(match f.log {
                    Log::Ln => sum.ln(),
                    Log::Log10 => sum.log10(),
                    Log::Decibel => 10.0 * sum.log10(),
                });
            }
        }
        Ok(())
    }
}

/// The value to which lower ones are raised.
fn least(f: &Frontend, values: impl Iterator<Item = f64>) -> Option<f64> {
    Some(values.fold(f64::NEG_INFINITY, f64::max) - f.range?)
}

/// An index mirrored at both ends as often as needed, the ends not repeated.
fn mirror(i: i64, n: i64) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let i = i.rem_euclid(period);
    (if i < n { i } else { period - i }) as usize
}

/// The whole spectrogram shrunk to `frames` (linear, pixel centres aligned), and the first window of each third.
fn fuse(whole: &[f64], m: usize, frames: usize) -> Vec<f64> {
    let total = whole.len() / m;
    let mut out = Vec::with_capacity(4 * frames * m);
    let ratio = total as f32 / frames as f32;
    for t in 0..frames {
        // In single precision, like the tensor that the reference resizes.
        let at = ((t as f32 + 0.5) * ratio - 0.5).max(0.0);
        let (low, part) = (at as usize, f64::from(at.fract()));
        let high = (low + 1).min(total - 1);
        out.extend((0..m).map(|k| whole[low * m + k] * (1.0 - part) + whole[high * m + k] * part));
    }
    // Places where a window can begin, split in three as evenly as they can be, the first parts the longer ones.
    let places = total - frames + 1;
    let part = |i: usize| places / 3 + usize::from(i < places % 3);
    let starts = [0, part(0), part(0) + part(1)];
    for (i, start) in starts.into_iter().enumerate() {
        let start = if part(i) == 0 { 0 } else { start };
        out.extend_from_slice(&whole[start * m..(start + frames) * m]);
    }
    out
}

//! The audio front ends of public models: CLAP, AST (Kaldi's filter banks), Whisper. Computed in double precision, as their libraries
//! do, so that quiet bands agree too.

use super::mel::MelConfig;
use crate::Json;
use crate::{Error, Result};
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Where frames lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Centred on multiples of the hop, the sound mirrored at its ends.
    Centered,
    /// Only those that lie inside the sound.
    Inside,
}

/// The scale on which bands are of equal width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// 2595 log10(1 + f / 700).
    Htk,
    /// Linear to 1 kHz, logarithmic above; bands of equal area (Slaney 1998).
    Slaney,
    /// HTK's scale with triangles that are straight on it and not over frequency (Kaldi).
    Kaldi,
}

/// The logarithm of a band's power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Log {
    /// Natural.
    Ln,
    /// To base 10.
    Log10,
    /// Ten times that to base 10.
    Decibel,
}

/// What is done to a sound of another length than the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Silence after it.
    Pad,
    /// Repeated as often as it fits, then silence.
    RepeatPad,
    /// Repeated until it is full.
    Repeat,
    /// Frames of zeros after it, before the mean is taken out (AST).
    Frames,
}

/// A front end that equals a public model's. The sizes stand in [`MelConfig`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Where frames lie.
    pub framing: Framing,
    /// The scale of the bands.
    pub scale: Scale,
    /// The logarithm; powers below `floor` count as `floor`.
    pub log: Log,
    /// What fills short sounds. Long ones are cut at their end, or fused.
    pub fill: Fill,
    /// Samples that every sound is filled or cut to; with `fill = "frames"` the frames are.
    pub samples: usize,
    /// The last frame is dropped (Whisper).
    #[serde(default)]
    pub drop_last: bool,
    /// The window ends with its first value (Kaldi), and does not stop one before it.
    #[serde(default)]
    pub symmetric: bool,
    /// Each frame's mean is taken out.
    #[serde(default)]
    pub remove_mean: bool,
    /// This share of the sample before is taken out of each.
    #[serde(default)]
    pub preemphasis: f64,
    /// Values further than this below a sound's greatest are raised (Whisper), on the scale of `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<f64>,
    /// Longer sounds become four spectrograms: the whole one shrunk, and one from each third (CLAP's fusion). The reference takes a
    /// random place in each third; here it is the first.
    #[serde(default)]
    pub fusion: bool,
}

impl Frontend {
    pub(super) fn validate(&self) -> Result<()> {
        let bad = |field: &str, why: String| Err(Error::config(format!("audio.frontend.{field}"), why));
        if !(1..=1 << 25).contains(&self.samples) {
            return bad("samples", format!("expected 1 to {}, found {}", 1 << 25, self.samples));
        }
        if !(0.0..=1.0).contains(&self.preemphasis) {
            return bad("preemphasis", format!("expected 0 to 1, found {}", self.preemphasis));
        }
        if let Some(range) = self.range.filter(|r| !(*r > 0.0 && *r <= 1e6)) {
            return bad("range", format!("expected more than 0 and at most 1000000, found {range}"));
        }
        Ok(())
    }
}

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

    /// Samples → `[T, M]`, or `[4, T, M]` for a sound that is fused.
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
        let mut sound = samples[..samples.len().min(f.samples)].to_vec();
        let n = sound.len();
        match f.fill {
            Fill::Repeat => sound = sound.iter().copied().cycle().take(f.samples).collect(),
            Fill::RepeatPad => sound = sound.iter().copied().cycle().take(f.samples / n * n).collect(),
            Fill::Pad | Fill::Frames => {}
        }
        sound.resize(f.samples, 0.0);
        Ok(finish(self.spectrogram(c, f, &sound)?))
    }

    /// `[T, M]` on the scale of the logarithm.
    fn spectrogram(&self, c: &MelConfig, f: &Frontend, samples: &[f32]) -> Result<Vec<f64>> {
        let half = c.n_fft as i64 / 2;
        let n = samples.len() as i64;
        let padded = n + if f.framing == Framing::Centered { 2 * half } else { 0 };
        let mut frames =
            if padded < c.window as i64 { 0 } else { (padded - c.window as i64) / c.hop as i64 + 1 };
        if f.drop_last {
            frames -= 1;
        }
        let mut out = Vec::with_capacity(frames.max(0) as usize * c.mels);
        let mut buffer = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0f64; spectrum.len()];
        for t in 0..frames {
            let start = t * c.hop as i64 - if f.framing == Framing::Centered { half } else { 0 };
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
        if let Some(range) = f.range {
            let least = out.iter().copied().fold(f64::NEG_INFINITY, f64::max) - range;
            out.iter_mut().for_each(|v| *v = v.max(least));
        }
        Ok(out)
    }
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

impl MelConfig {
    /// From Hugging Face's `preprocessor_config.json` of CLAP, AST and Whisper.
    ///
    /// # Errors
    /// Another extractor, or a setting of another form or that is out of range.
    pub fn from_hugging_face(json: Json) -> Result<Self> {
        let made = Self::extractor(json)?;
        made.validate().map_err(|e| Error::format(json.path, e.to_string()))?;
        Ok(made)
    }

    fn extractor(json: Json) -> Result<Self> {
        let size = |key: &str, default: i64| -> Result<usize> {
            // The ranges of these keys begin at 1.
            usize::try_from(json.int(key, default)?).map_err(|_| json.wrong(key, "a positive integer"))
        };
        let kind = json.text("feature_extractor_type", "")?;
        let rate = |default: i64| -> Result<u32> { Ok(size("sampling_rate", default)? as u32) };
        match kind {
            "ClapFeatureExtractor" => {
                let sample_rate = rate(48_000)?;
                let (hop, n_fft) = (size("hop_length", 480)?, size("fft_window_size", 1024)?);
                let seconds = json.float("max_length_s", 10.0)?;
                let samples = size("nb_max_samples", (seconds * f64::from(sample_rate)) as i64)?;
                let fusion = match json.text("truncation", "fusion")? {
                    "fusion" => true,
                    "rand_trunc" => false,
                    other => {
                        let message = format!("truncation: expected fusion or rand_trunc, found {other:?}");
                        return Err(Error::format(json.path, message));
                    }
                };
                let fill = match json.text("padding", "repeatpad")? {
                    "repeatpad" => Fill::RepeatPad,
                    "repeat" => Fill::Repeat,
                    "pad" => Fill::Pad,
                    other => {
                        let message = format!("padding: expected repeatpad, repeat or pad, found {other:?}");
                        return Err(Error::format(json.path, message));
                    }
                };
                Ok(Self {
                    sample_rate,
                    n_fft,
                    window: n_fft,
                    hop,
                    f_min: json.float("frequency_min", 0.0)? as f32,
                    f_max: json.float("frequency_max", 14_000.0)? as f32,
                    floor: 1e-10,
                    mean: 0.0,
                    std: 1.0,
                    frontend: Some(Frontend {
                        framing: Framing::Centered,
                        scale: if fusion { Scale::Htk } else { Scale::Slaney },
                        log: Log::Decibel,
                        fill,
                        samples,
                        drop_last: false,
                        symmetric: false,
                        remove_mean: false,
                        preemphasis: 0.0,
                        range: None,
                        fusion,
                    }),
                    ..Self::speech(size("feature_size", 64)?, samples / hop + 1)
                })
            }
            "ASTFeatureExtractor" => {
                let sample_rate = rate(16_000)?;
                let (mean, std) = if json.bool("do_normalize", true)? {
                    (json.float("mean", -4.267_739_3)?, 2.0 * json.float("std", 4.568_997_4)?)
                } else {
                    (0.0, 1.0)
                };
                let frames = size("max_length", 1024)?;
                Ok(Self {
                    sample_rate,
                    f_min: 20.0,
                    f_max: (sample_rate / 2) as f32,
                    floor: 1.192_092_9e-7,
                    mean: mean as f32,
                    std: std as f32,
                    frontend: Some(Frontend {
                        framing: Framing::Inside,
                        scale: Scale::Kaldi,
                        log: Log::Ln,
                        fill: Fill::Frames,
                        samples: frames * 160 + 240,
                        drop_last: false,
                        symmetric: true,
                        remove_mean: true,
                        preemphasis: 0.97,
                        range: None,
                        fusion: false,
                    }),
                    ..Self::speech(size("num_mel_bins", 128)?, frames)
                })
            }
            "WhisperFeatureExtractor" => {
                let sample_rate = rate(16_000)?;
                let (hop, n_fft) = (size("hop_length", 160)?, size("n_fft", 400)?);
                let samples = size("n_samples", json.int("chunk_length", 30)? * i64::from(sample_rate))?;
                Ok(Self {
                    sample_rate,
                    n_fft,
                    window: n_fft,
                    hop,
                    f_min: 0.0,
                    f_max: 8000.0,
                    floor: 1e-10,
                    mean: -4.0,
                    std: 4.0,
                    frontend: Some(Frontend {
                        framing: Framing::Centered,
                        scale: Scale::Slaney,
                        log: Log::Log10,
                        fill: Fill::Pad,
                        samples,
                        drop_last: true,
                        symmetric: false,
                        remove_mean: false,
                        preemphasis: 0.0,
                        range: Some(8.0),
                        fusion: false,
                    }),
                    ..Self::speech(size("feature_size", 80)?, samples / hop)
                })
            }
            other => Err(Error::format(
                json.path,
                format!(
                    "feature_extractor_type: expected ClapFeatureExtractor, ASTFeatureExtractor or WhisperFeatureExtractor, \
                     found {other:?}"
                ),
            )),
        }
    }
}

//! Samples → log-mel spectrogram.

use super::frontend::{Frontend, Plan};
use crate::{Error, Result};
use realfft::{RealFftPlanner, RealToComplex};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The audio half of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MelConfig {
    /// Hz; sounds are resampled to it.
    #[serde(default = "rate")]
    pub sample_rate: u32,
    /// FFT length, in samples.
    #[serde(default = "n_fft")]
    pub n_fft: usize,
    /// Hann window, in samples, at most `n_fft`.
    #[serde(default = "window")]
    pub window: usize,
    /// Distance of frames, in samples.
    #[serde(default = "hop")]
    pub hop: usize,
    /// Bands M, on the HTK mel scale.
    #[serde(default = "mels")]
    pub mels: usize,
    /// Lowest edge, Hz.
    #[serde(default = "f_min")]
    pub f_min: f32,
    /// Highest edge, Hz; at most half the sample rate.
    #[serde(default = "f_max")]
    pub f_max: f32,
    /// Power added before the logarithm.
    #[serde(default = "floor")]
    pub floor: f32,
    /// The natural logarithm of the power has this mean …
    #[serde(default = "mean")]
    pub mean: f32,
    /// … and this standard deviation taken out.
    #[serde(default = "std_dev")]
    pub std: f32,
    /// Frames kept of a longer sound, from its start.
    #[serde(default = "max_frames")]
    pub max_frames: usize,
    /// A public model's front end in place of this project's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontend: Option<Frontend>,
}

fn rate() -> u32 {
    16_000
}
fn n_fft() -> usize {
    512
}
fn window() -> usize {
    400
}
fn hop() -> usize {
    160
}
fn mels() -> usize {
    64
}
fn f_min() -> f32 {
    50.0
}
fn f_max() -> f32 {
    7_600.0
}
fn floor() -> f32 {
    1e-6
}
fn mean() -> f32 {
    -6.0
}
fn std_dev() -> f32 {
    4.0
}
fn max_frames() -> usize {
    400
}

impl MelConfig {
    /// Speech at 16 kHz: 64 bands, windows of 25 ms every 10 ms.
    pub fn speech(mels: usize, max_frames: usize) -> Self {
        Self {
            sample_rate: rate(),
            n_fft: n_fft(),
            window: window(),
            hop: hop(),
            mels,
            f_min: f_min(),
            f_max: f_max(),
            floor: floor(),
            mean: mean(),
            std: std_dev(),
            max_frames,
            frontend: None,
        }
    }

    /// Refuses sizes that no spectrogram can have or that would cost gigabytes.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self) -> Result<()> {
        let bad = |field: &str, why: String| Err(Error::config(format!("audio.{field}"), why));
        for (field, value, least, most) in [
            ("sample_rate", self.sample_rate as usize, 100, 384_000),
            ("n_fft", self.n_fft, 2, 1 << 16),
            ("window", self.window, 1, self.n_fft),
            ("hop", self.hop, 1, 1 << 16),
            ("mels", self.mels, 1, self.n_fft / 2),
            ("max_frames", self.max_frames, 1, 1 << 20),
        ] {
            if !(least..=most).contains(&value) {
                return bad(field, format!("expected {least} to {most}, found {value}"));
            }
        }
        let nyquist = self.sample_rate as f32 / 2.0;
        if !(self.f_min >= 0.0 && self.f_min < self.f_max && self.f_max <= nyquist) {
            return bad(
                "f_max",
                format!("expected f_min < f_max <= {nyquist} Hz, found {} and {}", self.f_min, self.f_max),
            );
        }
        if !(self.floor > 0.0 && self.std > 0.0 && self.mean.is_finite()) {
            return bad("floor", "floor and std must be positive".into());
        }
        // A long sound that is gone through window by window has so many values for each of its samples.
        if self.mels > 4 * self.hop {
            return bad(
                "hop",
                format!("expected at least a quarter of the {} bands, found {}", self.mels, self.hop),
            );
        }
        let mut frames = self.max_frames;
        if let Some(f) = &self.frontend {
            f.validate()?;
            frames = frames.max(f.samples / self.hop);
        }
        let (values, most) = (frames.saturating_mul(self.mels), 1 << 24);
        if values > most {
            return bad(
                "max_frames",
                format!(
                    "{frames} frames of {} bands are {values} values, expected at most {most}",
                    self.mels
                ),
            );
        }
        let (work, most) = (frames.saturating_mul(self.n_fft), 1 << 30);
        if work > most {
            return bad(
                "n_fft",
                format!("{frames} frames of {} samples are {work}, expected at most {most}", self.n_fft),
            );
        }
        Ok(())
    }
}

/// A planned spectrogram: shared by threads, no state between calls.
#[derive(Clone)]
pub struct LogMel {
    config: MelConfig,
    fft: Arc<dyn RealToComplex<f32>>,
    hann: Vec<f32>,
    /// For each band its first FFT bin and its weights from there: the triangles are mostly zeros.
    bands: Vec<(usize, Vec<f32>)>,
    /// Of a public model's front end.
    plan: Option<Plan>,
}

impl std::fmt::Debug for LogMel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LogMel").field(&self.config).finish()
    }
}

impl LogMel {
    /// Plans for `config`.
    ///
    /// # Errors
    /// Impossible settings.
    pub fn new(config: MelConfig) -> Result<Self> {
        config.validate()?;
        let n = config.window as f32;
        // Periodic Hann, as `torch.hann_window`.
        let hann =
            (0..config.window).map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / n).cos()).collect();
        let fft = RealFftPlanner::<f32>::new().plan_fft_forward(config.n_fft);
        let bands = triangles(&config);
        let plan = config.frontend.as_ref().map(|f| Plan::new(&config, f));
        Ok(Self { config, fft, hann, bands, plan })
    }

    /// The settings.
    pub fn config(&self) -> &MelConfig {
        &self.config
    }

    /// Frames of a sound of `samples` samples: one every `hop`, the last ones running past the end into silence.
    pub fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.config.hop).clamp(1, self.config.max_frames)
    }

    /// Mono samples at the contract's rate → `[T, M]` row-major: (ln(power + floor) − mean) / std. A public model's front end gives
    /// its own, and `[4, T, M]` for a sound that it fuses.
    ///
    /// # Errors
    /// No samples, or samples that are not finite.
    pub fn process(&self, samples: &[f32]) -> Result<Vec<f32>> {
        if samples.is_empty() {
            return Err(Error::Input("a sound without samples".into()));
        }
        if let Some(i) = samples.iter().position(|s| !s.is_finite()) {
            return Err(Error::Input(format!("sample {i} is {}, expected a finite number", samples[i])));
        }
        let c = &self.config;
        if let (Some(plan), Some(frontend)) = (&self.plan, &c.frontend) {
            return plan.process(c, frontend, samples);
        }
        let frames = self.frames(samples.len());
        let mut out = Vec::with_capacity(frames * c.mels);
        let mut buffer = self.fft.make_input_vec();
        let mut spectrum = self.fft.make_output_vec();
        let mut scratch = self.fft.make_scratch_vec();
        let mut power = vec![0f32; spectrum.len()];
        for t in 0..frames {
            let rest = samples.get(t * c.hop..).unwrap_or(&[]);
            buffer.fill(0.0);
            for ((b, s), h) in buffer.iter_mut().zip(rest).zip(&self.hann) {
                *b = s * h;
            }
            self.fft
                .process_with_scratch(&mut buffer, &mut spectrum, &mut scratch)
                .map_err(|e| Error::Input(format!("FFT: {e}")))?;
            for (p, z) in power.iter_mut().zip(&spectrum) {
                *p = z.norm_sqr();
            }
            for (first, weights) in &self.bands {
                let sum: f32 = power[*first..].iter().zip(weights).map(|(p, w)| p * w).sum();
                out.push(((sum + c.floor).ln() - c.mean) / c.std);
            }
        }
        Ok(out)
    }

    /// A sound of any length → `[T, M]`, a short one filled as [`process`](Self::process) fills it, a long one whole. For models that go
    /// through a sound window by window.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn whole(&self, samples: &[f32]) -> Result<Vec<f32>> {
        match (&self.plan, &self.config.frontend) {
            (Some(plan), Some(f)) if samples.len() > f.samples && !f.fusion => {
                let f = Frontend { samples: samples.len(), ..f.clone() };
                if let Some(i) = samples.iter().position(|s| !s.is_finite()) {
                    return Err(Error::Input(format!(
                        "sample {i} is {}, expected a finite number",
                        samples[i]
                    )));
                }
                plan.process(&self.config, &f, samples)
            }
            _ => self.process(samples),
        }
    }
}

/// Triangles of equal width on the HTK mel scale, 2595 log10(1 + f / 700), peak 1.
fn triangles(c: &MelConfig) -> Vec<(usize, Vec<f32>)> {
    let to_mel = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
    let to_hz = |m: f64| 700.0 * (10f64.powf(m / 2595.0) - 1.0);
    let (low, high) = (to_mel(f64::from(c.f_min)), to_mel(f64::from(c.f_max)));
    let edge = |i: usize| to_hz(low + (high - low) * i as f64 / (c.mels + 1) as f64);
    let bin_hz = f64::from(c.sample_rate) / c.n_fft as f64;
    let mut bands = Vec::with_capacity(c.mels);
    for band in 0..c.mels {
        let (left, centre, right) = (edge(band), edge(band + 1), edge(band + 2));
        let weight = |bin: usize| {
            let f = bin as f64 * bin_hz;
            ((f - left) / (centre - left)).min((right - f) / (right - centre)).max(0.0) as f32
        };
        let first = (left / bin_hz).ceil() as usize;
        let last = ((right / bin_hz).floor() as usize).min(c.n_fft / 2);
        bands.push((first, (first..=last.max(first)).map(weight).collect()));
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f32, seconds: f32) -> Vec<f32> {
        (0..(16_000.0 * seconds) as usize)
            .map(|i| (std::f32::consts::TAU * hz * i as f32 / 16_000.0).sin())
            .collect()
    }

    #[test]
    fn equals_a_naive_transform() {
        let c = MelConfig { mels: 8, n_fft: 64, window: 50, hop: 20, ..MelConfig::speech(8, 100) };
        let mel = LogMel::new(c.clone()).unwrap();
        let x: Vec<f32> = (0..333).map(|i| ((i * i) as f32 * 0.37).sin()).collect();
        let got = mel.process(&x).unwrap();
        assert_eq!(got.len(), 17 * 8);
        let mel_of = |f: f64| 2595.0 * (1.0 + f / 700.0).log10();
        for t in [0usize, 5, 16] {
            for band in 0..8 {
                let mut energy = 0.0;
                for bin in 0..=32 {
                    let (mut re, mut im) = (0.0, 0.0);
                    for n in 0..50 {
                        let s = f64::from(*x.get(t * 20 + n).unwrap_or(&0.0));
                        let w = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / 50.0).cos();
                        let a = -std::f64::consts::TAU * (bin * n) as f64 / 64.0;
                        re += s * w * a.cos();
                        im += s * w * a.sin();
                    }
                    let f = bin as f64 * 250.0;
                    let step = (mel_of(7600.0) - mel_of(50.0)) / 9.0;
                    let hz = |k: f64| 700.0 * (10f64.powf((mel_of(50.0) + step * k) / 2595.0) - 1.0);
                    let (l, m, r) = (hz(band as f64), hz(band as f64 + 1.0), hz(band as f64 + 2.0));
                    energy += ((f - l) / (m - l)).min((r - f) / (r - m)).max(0.0) * (re * re + im * im);
                }
                let want = ((energy + 1e-6).ln() + 6.0) / 4.0;
                let got = f64::from(got[t * 8 + band]);
                assert!((got - want).abs() < 1e-3, "frame {t} band {band}: {got} {want}");
            }
        }
    }

    #[test]
    fn a_tone_lights_its_band() {
        let mel = LogMel::new(MelConfig::speech(64, 400)).unwrap();
        let frames = mel.process(&sine(1000.0, 0.5)).unwrap();
        let frame = &frames[10 * 64..11 * 64];
        let best = frame.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        // 1000 Hz is mel 1000; bands are spread over mel 78–2787.
        assert!((best as f32 - 22.1 + 1.0).abs() <= 1.5, "band {best}");
    }

    #[test]
    fn refuses_what_is_no_sound() {
        let mel = LogMel::new(MelConfig::speech(64, 400)).unwrap();
        assert!(mel.process(&[]).is_err());
        assert!(mel.process(&[0.0, f32::NAN]).unwrap_err().to_string().contains("sample 1 is NaN"));
        assert_eq!(mel.process(&[0.5]).unwrap().len(), 64);
        assert_eq!(mel.process(&sine(300.0, 10.0)).unwrap().len(), 400 * 64);
        for bad in [
            MelConfig { window: 600, ..MelConfig::speech(64, 400) },
            MelConfig { hop: 0, ..MelConfig::speech(64, 400) },
            MelConfig { f_max: 9000.0, ..MelConfig::speech(64, 400) },
            MelConfig::speech(0, 400),
        ] {
            assert!(LogMel::new(bad).is_err());
        }
    }
}

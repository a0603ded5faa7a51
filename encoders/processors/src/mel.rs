//! Samples → log-mel spectrogram.

mod config;
mod frontend;
mod hugging_face;
mod plan;
mod window;

use crate::{Error, Result};
use plan::Plan;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

pub use config::MelConfig;
pub use frontend::{Fill, Framing, Frontend, Log, Scale};
pub use window::{AudioWindow, sounding};

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
    window: AudioWindow,
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
        Ok(Self { config, fft, hann, bands, plan, window: AudioWindow::Whole })
    }

    /// The settings.
    pub fn config(&self) -> &MelConfig {
        &self.config
    }

    /// How much [`process`](Self::process) keeps of the silence that fills a window.
    pub fn window(&self) -> AudioWindow {
        self.window
    }

    /// Says how much [`process`](Self::process) keeps of the silence that fills a window, of front ends that fill it so ([`Fill::Pad`]).
    pub fn set_window(&mut self, window: AudioWindow) {
        self.window = window;
    }

    /// Frames of an audio file of `samples` samples: one every `hop`, the last ones running past the end into silence.
    pub fn frames(&self, samples: usize) -> usize {
        samples.div_ceil(self.config.hop).clamp(1, self.config.max_frames)
    }

    /// Samples of an audio file that [`process`](Self::process) looks at, from its beginning on; `None`: all of them, however many.
    pub fn most_samples(&self) -> Option<usize> {
        let c = &self.config;
        let framed = (c.max_frames.saturating_sub(1)).saturating_mul(c.hop).saturating_add(c.window);
        match &c.frontend {
            Some(f) if f.fusion => None,
            Some(f) if f.fill != Fill::Frames => Some(f.samples),
            _ => Some(framed),
        }
    }

    /// Mono samples at the contract's rate → `[T, M]` row-major: (ln(power + floor) − mean) / std. A public model's front end gives
    /// its own, and `[4, T, M]` for an audio file that it fuses; what fills a window behind a short one is cut where the
    /// [window](Self::window) says so.
    ///
    /// # Errors
    /// No samples, or samples that are not finite.
    pub fn process(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let mut mel = self.filled(samples)?;
        let window = match self.config.frontend.as_ref().filter(|f| !f.fusion).map(|f| f.fill) {
            Some(Fill::Pad) => self.window,
            Some(Fill::Cut) => AudioWindow::Auto,
            _ => AudioWindow::Whole,
        };
        if !window.is_whole() {
            let bands = self.config.mels;
            mel.truncate(window.heard(sounding(&mel, bands), mel.len() / bands) * bands);
        }
        Ok(mel)
    }

    /// Whether [`process`](Self::process) gives spectrograms of few lengths, whole parts of a window, by the settings themselves.
    pub fn cuts(&self) -> bool {
        self.config.cuts()
    }

    /// All of the window.
    fn filled(&self, samples: &[f32]) -> Result<Vec<f32>> {
        if samples.is_empty() {
            return Err(Error::Input("an audio file without samples".into()));
        }
        finite(samples)?;
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

    /// An audio file of any length → `[T, M]`, a short one in a whole window, a long one whole. For models that go through an audio file
    /// window by window.
    ///
    /// # Errors
    /// As [`process`](Self::process).
    pub fn whole(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        let least = self.whole_in_pieces(samples, &mut |piece| {
            out.extend_from_slice(piece);
            Ok::<_, Error>(())
        })?;
        if let Some(least) = least {
            out.iter_mut().for_each(|v| *v = v.max(least));
        }
        Ok(out)
    }

    /// [`whole`](Self::whole), half a minute of speech at a time: `take` gets pieces `[t, M]` one after another. The result is the least value, to
    /// which lower ones of all pieces are to be raised; `None`: they stay.
    ///
    /// # Errors
    /// As [`process`](Self::process), and `take`'s.
    pub fn whole_in_pieces<E: From<Error>>(
        &self,
        samples: &[f32],
        take: &mut dyn FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<Option<f32>, E> {
        match (&self.plan, &self.config.frontend) {
            (Some(plan), Some(f)) if samples.len() > f.samples && !f.fusion && f.fill != Fill::Frames => {
                finite(samples)?;
                plan.pieces(&self.config, f, samples, take)
            }
            _ => take(&self.filled(samples)?).map(|()| None),
        }
    }
}

/// Refuses samples that are no numbers.
fn finite(samples: &[f32]) -> Result<()> {
    match samples.iter().position(|s| !s.is_finite()) {
        Some(i) => Err(Error::Input(format!("sample {i} is {}, expected a finite number", samples[i]))),
        None => Ok(()),
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
    fn refuses_what_is_no_audio() {
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

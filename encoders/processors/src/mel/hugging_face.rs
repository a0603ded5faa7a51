//! The front ends of CLAP, AST and Whisper, from the files that `transformers` writes.

use super::config::MelConfig;
use super::frontend::{Fill, Framing, Frontend, Log, Scale};
use crate::{Error, Json, Keys, Reads, Result};

/// What need not be read of a file.
const KEYS: &str = include_str!("../../keys/audio.keys");

/// The samples that a window has: the libraries compute them, whatever their files say, so a file that says another number is refused.
fn agreed(json: Json, key: &str, samples: f64) -> Result<usize> {
    let samples = samples as i64;
    if json.int(key, samples)? != samples {
        return Err(json.wrong(
            key,
            format_args!("{samples}, as its library computes it from the seconds and the rate"),
        ));
    }
    usize::try_from(samples).map_err(|_| json.wrong(key, "a positive integer"))
}

impl MelConfig {
    /// From Hugging Face's `preprocessor_config.json` of CLAP, AST and Whisper.
    ///
    /// # Errors
    /// Another extractor, or a setting of another form or that is out of range.
    pub fn from_hugging_face(json: Json) -> Result<Self> {
        let reads = Reads::default();
        let json = json.counted(&reads);
        let made = Self::extractor(json)?;
        json.finish(&Keys::new(&[KEYS])?, json.text("feature_extractor_type", "")?)?;
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
                let samples = agreed(json, "nb_max_samples", seconds * f64::from(sample_rate))?;
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
                let (mean, std) = (json.float("mean", -4.267_739_3)?, 2.0 * json.float("std", 4.568_997_4)?);
                let (mean, std) = if json.bool("do_normalize", true)? { (mean, std) } else { (0.0, 1.0) };
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
                let seconds = json.int("chunk_length", 30)?;
                let samples = agreed(json, "n_samples", (seconds * i64::from(sample_rate)) as f64)?;
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

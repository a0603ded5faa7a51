//! What tells the audio front ends of public models apart: CLAP, AST (Kaldi's filter banks), Whisper.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Where frames lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Centred on multiples of the hop, the audio mirrored at its ends.
    Centered,
    /// Only those that lie inside the audio.
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

/// What is done to an audio file of another length than the model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// Silence after it.
    Pad,
    /// The same, and then all of it cut off again but a little ([`AudioWindow::Auto`](crate::AudioWindow)): short audio files have short spectrograms.
    Cut,
    /// Repeated as often as it fits, then silence.
    RepeatPad,
    /// Repeated until it is full.
    Repeat,
    /// Frames of zeros after it, before the mean is taken out (AST).
    Frames,
}

/// A front end that equals a public model's. The sizes stand in [`MelConfig`](crate::MelConfig).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Frontend {
    /// Where frames lie.
    pub framing: Framing,
    /// The scale of the bands.
    pub scale: Scale,
    /// The logarithm; powers below `floor` count as `floor`.
    pub log: Log,
    /// What fills short audio files. Long ones are cut at their end, or fused.
    pub fill: Fill,
    /// Samples that every audio file is filled or cut to; with `fill = "frames"` the frames are.
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
    /// Values further than this below an audio file's greatest are raised (Whisper), on the scale of `log`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<f64>,
    /// Longer audio files become four spectrograms: the whole one shrunk, and one from each third (CLAP's fusion). The reference takes a
    /// random place in each third; here it is the first.
    #[serde(default)]
    pub fusion: bool,
}

impl Frontend {
    pub(crate) fn validate(&self) -> Result<()> {
        let bad = |field: &str, why: String| Err(Error::config(format!("audio.frontend.{field}"), why));
        if !(1..=1 << 25).contains(&self.samples) {
            return bad("samples", format!("expected 1 to {}, found {}", 1 << 25, self.samples));
        }
        if self.fusion && self.fill == Fill::Cut {
            return bad(
                "fill",
                "cut goes with one spectrogram, and fusion makes four: leave one of the two out".into(),
            );
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

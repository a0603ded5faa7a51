//! How much is heard of the silence that fills a window behind a short sound.

use serde::{Deserialize, Serialize};

/// Parts of a window: seconds of Whisper's thirty.
const PARTS: usize = 30;
/// Parts that are heard at least.
const LEAST: usize = 2;
/// Parts of silence after the last sound.
const MARGIN: usize = 1;

/// How much is heard of a window that a sound does not fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioWindow {
    /// All of it, as the models were trained.
    #[default]
    Whole,
    /// The sound and a thirtieth of the window after it, at least two, in whole thirtieths: seconds of Whisper's thirty. Short sounds cost what
    /// they are worth.
    Auto,
}

impl AudioWindow {
    /// Whether it is the whole one.
    pub fn is_whole(&self) -> bool {
        *self == Self::Whole
    }

    /// `whole`, `auto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Auto => "auto",
        }
    }

    /// Frames that are heard of a window of `whole` ones in which the first `sounding` sound.
    pub fn heard(self, sounding: usize, whole: usize) -> usize {
        match self {
            Self::Whole => whole,
            Self::Auto => {
                let part = (whole / PARTS).max(1);
                (sounding + MARGIN * part).max(LEAST * part).next_multiple_of(part).min(whole)
            }
        }
    }
}

impl std::fmt::Display for AudioWindow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Frames of a log-mel spectrogram `[T, M]` of so many `bands` up to the last one in which anything sounds: what fills a short audio file is
/// digital silence, the least value in every band.
pub fn sounding(mel: &[f32], bands: usize) -> usize {
    let least = mel.iter().copied().fold(f32::INFINITY, f32::min);
    let silent = |frame: &[f32]| frame.iter().all(|v| *v == least);
    let frames = mel.chunks_exact(bands.max(1));
    frames.len() - frames.rev().take_while(|frame| silent(frame)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_at_the_end_does_not_sound() {
        let mel = [0.5, -1.0, -1.0, -1.0, -1.0, 0.25, -1.0, -1.0, -1.0, -1.0];
        assert_eq!(sounding(&mel, 2), 3);
        assert_eq!(sounding(&mel[..6], 2), 3);
        assert_eq!(sounding(&[-1.0; 8], 2), 0);
        assert_eq!(sounding(&[], 2), 0);
    }

    #[test]
    fn whole_parts_are_heard_with_silence_behind_the_sound() {
        for (sounds, want) in
            [(0, 200), (1, 200), (100, 200), (101, 300), (1000, 1100), (2801, 3000), (3000, 3000)]
        {
            assert_eq!(AudioWindow::Auto.heard(sounds, 3000), want, "{sounds}");
            assert_eq!(AudioWindow::Whole.heard(sounds, 3000), 3000);
        }
        // Windows of fewer frames than parts.
        assert_eq!((AudioWindow::Auto.heard(1, 8), AudioWindow::Auto.heard(5, 8)), (2, 6));
        assert_eq!(AudioWindow::Auto.heard(2, 3), 3);
    }
}

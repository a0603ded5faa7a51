//! An audio file on its way, and its next window.

use super::{Segment, Transcription};
use crate::config::SpeechConfig;
use unisono_processors::sounding;

/// An audio file on its way.
pub(super) struct Track<'a> {
    /// `[T, M]`.
    pub mel: &'a [f32],
    pub frames: usize,
    /// Those up to the last one in which anything sounds.
    sounding: usize,
    /// The least value: digital silence, where there is any.
    pub silence: f32,
    /// The first frame that is not written yet.
    pub seek: usize,
    pub language: Option<i64>,
    /// What was written may be shown to the next window.
    pub reliable: bool,
    pub segments: Vec<Segment>,
}

/// A window that is to be written.
pub(super) struct Window {
    /// The number of its track.
    pub track: usize,
    /// Frames by which the track moves on where all of them are done.
    pub frames: usize,
    /// Frames that the audio tower hears; none where nothing sounds in them and windows are cut.
    pub heard: usize,
    pub prompt: Vec<i64>,
}

impl<'a> Track<'a> {
    pub fn new(mel: &'a [f32], bands: usize) -> Self {
        Self {
            mel,
            frames: mel.len() / bands.max(1),
            sounding: sounding(mel, bands),
            silence: mel.iter().copied().fold(f32::INFINITY, f32::min),
            seek: 0,
            language: None,
            reliable: false,
            segments: Vec::new(),
        }
    }

    /// The next window of this one, the `i`-th.
    pub fn window(&self, i: usize, prompt: Vec<i64>, speech: &SpeechConfig, o: &Transcription) -> Window {
        let frames = (self.frames - self.seek).min(speech.frames);
        let heard = match self.sounding.saturating_sub(self.seek).min(frames) {
            0 if !o.window.is_whole() => 0,
            sounding => o.window.heard(sounding, speech.frames),
        };
        Window { track: i, frames, heard, prompt }
    }
}

impl Window {
    /// Whether it is heard in part.
    pub fn cut(&self, speech: &SpeechConfig) -> bool {
        self.heard < speech.frames
    }
}

//! What is asked of a transcription, and what it gives.

use crate::config::{EarlyStopping, Generation};
use unisono_processors::AudioWindow;

/// Language of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// That of what is said.
    #[default]
    Transcribe,
    /// English.
    Translate,
}

/// How speech is written down.
#[derive(Debug, Clone)]
pub struct Transcription {
    /// The code of the language that is spoken (`de`); absent: found in the first window.
    pub language: Option<String>,
    /// Language of what is written.
    pub task: Task,
    /// With times; without, each window is one segment.
    pub timestamps: bool,
    /// Text that comes before, whose spelling and names are followed.
    pub prompt: Vec<i64>,
    /// Each window sees what was written for those before it.
    pub condition: bool,
    /// How much the audio tower hears of a window that speech does not fill. One whose text was written from a part and is bad, says the same
    /// again and again, does not end, or seems to be silence, is heard whole; what is digital silence to its end is passed over.
    pub window: AudioWindow,
    /// Tried one after another while a window's text is bad; 0 takes the best token.
    pub temperatures: Vec<f64>,
    /// A text whose ids compress better than this repeats itself: bad.
    pub compression_ratio: Option<f64>,
    /// A text whose tokens have less log-probability in the mean: bad.
    pub log_probability: Option<f64>,
    /// A window that is bad so and has more probability of no speech than this: silence.
    pub no_speech: Option<f64>,
    /// Most new tokens of a window; absent: the model's own limit.
    pub most: Option<usize>,
    /// No end of a window's text before it has so many new tokens; absent: the generation's rule, which counts the prompt, too.
    pub least: Option<usize>,
    /// Rules, beams and seed of the generation.
    pub generation: Generation,
}

impl Transcription {
    /// The paper's settings over a model's own generation: times, its five warmer temperatures where a text is bad, and a beam search that is over with
    /// as many finished texts as beams (a patience of 1). Searched on for a text that is likelier in the mean, as transformers does, noise gives the
    /// same words again and again until the window's text is full.
    pub fn new(generation: Generation) -> Self {
        let generation = Generation { early_stopping: EarlyStopping::Full, ..generation };
        Self {
            language: None,
            task: Task::Transcribe,
            timestamps: true,
            prompt: Vec::new(),
            condition: false,
            window: AudioWindow::Whole,
            temperatures: vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0],
            compression_ratio: Some(2.4),
            log_probability: Some(-1.0),
            no_speech: Some(0.6),
            most: None,
            least: None,
            generation,
        }
    }
}

/// A stretch of speech.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Seconds from the beginning of the audio.
    pub start: f64,
    /// Seconds from the beginning of the audio.
    pub end: f64,
    /// Ids, those of times among them.
    pub ids: Vec<i64>,
}

/// What was found in one audio file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// The code of the language; absent for models of English only.
    pub language: Option<String>,
    /// In the order of time.
    pub segments: Vec<Segment>,
}

impl Transcript {
    /// No segment lies beyond the end of an audio file of so many seconds: windows go on in silence, and times with them. What is said to begin
    /// there was said before: it ends the segment before it.
    pub fn end_at(&mut self, seconds: f64) {
        let mut kept: Vec<Segment> = Vec::with_capacity(self.segments.len());
        for mut segment in self.segments.drain(..) {
            segment.end = segment.end.clamp(segment.start.min(seconds), seconds);
            match kept.last_mut() {
                Some(last) if segment.start >= seconds => {
                    last.ids.append(&mut segment.ids);
                    last.end = segment.end;
                }
                _ => {
                    segment.start = if segment.start < seconds { segment.start } else { 0.0 };
                    kept.push(segment);
                }
            }
        }
        self.segments = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_after_the_end() {
        let segment = |start, end, id| Segment { start, end, ids: vec![id] };
        let ended = |segments: &[Segment], at| {
            let mut transcript = Transcript { language: None, segments: segments.to_vec() };
            transcript.end_at(at);
            transcript.segments
        };
        let said = [segment(0.0, 2.0, 1), segment(2.0, 5.5, 2), segment(5.5, 6.0, 3)];
        assert_eq!(ended(&said, 6.0), said);
        assert_eq!(ended(&said, 5.8)[2], segment(5.5, 5.8, 3));
        // Words that would begin after it end the segment before: a cue that lasts no time is not shown.
        let joined = Segment { start: 2.0, end: 5.2, ids: vec![2, 3] };
        assert_eq!(ended(&said, 5.2), [said[0].clone(), joined.clone()]);
        assert_eq!(ended(&said[1..], 5.2), [joined]);
        assert_eq!(ended(&said[2..], 5.2), [Segment { start: 0.0, end: 5.2, ids: vec![3] }]);
        assert_eq!(ended(&[], 5.2), []);
    }
}

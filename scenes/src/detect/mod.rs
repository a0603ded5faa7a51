//! Detectors of shot boundaries that find the same cuts as PySceneDetect 0.7 with the same settings: `content`, `adaptive`, `threshold`
//! (fades), `histogram` and `hash`.
//!
//! ```text
//! frame (4:2:0 or BGR) -> Shrink -> Image -> Detection (once for all detectors) -> cuts, scores
//! ```
//!
//! The small image is byte for byte that of OpenCV 5.0 (of 4.12 too, where the file says nothing of its colours or names BT.601 in
//! the limited range: that version does not look at it), so are hue, saturation, value, edges and histograms;
//! times are rounded to microseconds as there, because the shortest shot is measured by them. What differs:
//!
//! - A cut is reported as the index of the decoded frame. PySceneDetect reports a number reckoned from its time and the average rate,
//!   which is another one where the rate varies; [`Cut::number`] is that number. Two cuts with one such number are one cut there,
//!   and here.
//! - A cut within a fade is placed by such numbers; the index is that of the first frame that is not before it.
//! - `hash` takes its cosine transform in double precision, OpenCV in single and in another order. A bit differs only where two
//!   frequencies are equal to six digits around the median; with a `size * lowpass` that is no power of two, also in plain images.
//! - Frames that are not 8-bit 4:2:0 of even sides come as FFmpeg's own BGR24 (bicubic, its default), which is what OpenCV asks it for.
//!   There, and in codecs that do not fix every bit (MPEG-4 part 2), two versions of FFmpeg may differ by a level.
//! - The rate is OpenCV's where FFmpeg tells it to the last digit: see [`average_rate`].
//! - Frames that OpenCV tries to decode a second time are what FFmpeg makes of them at once.
//! - Settings that make no sense are refused: negative weights or thresholds, more bins than 65536.

mod area;
mod clock;
mod colour;
mod content;
mod convert;
mod edges;
mod fades;
mod flash;
mod hash;
mod histogram;
mod image;
mod length;
mod settings;
mod sparse;
mod taps;

pub use clock::{Clock, average_rate};
pub use convert::Matrix;
pub use image::{Image, Shrink};
pub use length::MinLength;
pub use settings::{
    AdaptiveSettings, ContentSettings, FilterMode, HashSettings, HistogramSettings, Method, Settings,
    ThresholdSettings, Weights,
};

use crate::Result;
use crate::record::Scores;
use clock::Position;
use flash::Scored;
use unisono_media::video::Time;

/// Where a shot begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Index of its first frame among those that were decoded.
    pub frame: u64,
    /// The frame number that PySceneDetect reports: time times rate, rounded.
    pub number: i64,
    /// The score that made it a cut: `content_val`, the ratio, the brightness furthest beyond the level, the correlation, the distance.
    pub score: f64,
    /// Of `threshold`: the first frame beyond the level, and the first that is no more.
    pub fade: Option<(u64, u64)>,
}

/// What was found in a video.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Cuts of each detector, in the order of its settings.
    pub cuts: Vec<Vec<Cut>>,
    /// Scores of every frame; the columns are named as PySceneDetect's statistics are.
    pub scores: Scores,
}

/// Detectors that look at the same frames of one video.
#[derive(Debug, Clone)]
pub struct Detection {
    clock: Clock,
    size: (usize, usize),
    detectors: Vec<Running>,
    cuts: Vec<Vec<Cut>>,
    changes: content::Changes,
    needs: Needs,
    grey: Vec<u8>,
    scores: Scores,
}

#[derive(Debug, Clone, Copy, Default)]
struct Needs {
    change: bool,
    mean: bool,
    histogram: bool,
    grey: bool,
}

/// A detector at work, and its first column among the scores.
#[derive(Debug, Clone)]
struct Running {
    kind: Kind,
    columns: Vec<Option<usize>>,
}

#[derive(Debug, Clone)]
enum Kind {
    Content(content::Content, Weights, usize),
    Adaptive(content::Adaptive, Weights, usize),
    Fades(fades::Fades),
    Histogram(histogram::Histogram),
    Hash(hash::Hash),
}

impl Detection {
    /// `size` is that of the small images ([`Shrink::small`]). `every_score`: also hue, saturation and edges that no weight asks for, as
    /// PySceneDetect's statistics have them; edges cost more than all the rest.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting), as [`Settings::validate`].
    pub fn new(settings: &[Settings], clock: Clock, size: (usize, usize), every_score: bool) -> Result<Self> {
        let mut all = Self {
            clock,
            size,
            detectors: Vec::new(),
            cuts: vec![Vec::new(); settings.len()],
            changes: content::Changes::new(),
            needs: Needs::default(),
            grey: Vec::new(),
            scores: Scores::default(),
        };
        for settings in settings {
            settings.validate()?;
            all.add(settings, every_score)?;
        }
        Ok(all)
    }

    fn add(&mut self, settings: &Settings, every_score: bool) -> Result<()> {
        let least = settings.min_scene_len().least(settings.name())?;
        let kind = match settings {
            Settings::Content(s) => {
                let (weights, kernel) = self.weigh(s.weights, s.luma_only, s.kernel_size, every_score);
                Kind::Content(content::Content::new(s, least, &self.clock), weights, kernel)
            }
            Settings::Adaptive(s) => {
                let (weights, kernel) = self.weigh(s.weights, s.luma_only, s.kernel_size, every_score);
                Kind::Adaptive(content::Adaptive::new(s, least), weights, kernel)
            }
            Settings::Threshold(s) => {
                self.needs.mean = true;
                Kind::Fades(fades::Fades::new(s, least))
            }
            Settings::Histogram(s) => {
                self.needs.histogram = true;
                Kind::Histogram(histogram::Histogram::new(s, least))
            }
            Settings::Hash(s) => {
                self.needs.grey = true;
                Kind::Hash(hash::Hash::new(s, least))
            }
        };
        let names = columns(settings);
        let mut columns = Vec::new();
        for name in names {
            // Of two detectors with one column the first fills it.
            let new = !self.scores.names.contains(&name);
            columns.push(new.then_some(self.scores.names.len()));
            if new {
                self.scores.names.push(name);
            }
        }
        self.detectors.push(Running { kind, columns });
        Ok(())
    }

    fn weigh(
        &mut self,
        weights: Weights,
        luma_only: bool,
        kernel: Option<usize>,
        every_score: bool,
    ) -> (Weights, usize) {
        self.needs.change = true;
        let weights = if luma_only { Weights::LUMA } else { weights };
        let colour = every_score || weights.hue > 0.0 || weights.saturation > 0.0;
        let edges = every_score || weights.edges > 0.0;
        (weights, self.changes.need(colour, edges, kernel, self.size))
    }

    /// The next frame cannot be looked at, or is of another size: it is counted, and nothing else. PySceneDetect leaves it out too.
    pub fn skip(&mut self, time: Time) {
        self.scores.times.push(time);
        self.scores.rows.push(vec![f64::NAN; self.scores.names.len()]);
    }

    /// The next frame, in the order of showing. `image` is of the size that was named at the start.
    pub fn push(&mut self, image: &Image, time: Time) {
        let at = self.clock.at(self.scores.times.len() as u64, time);
        self.skip(time);
        if self.needs.change {
            self.changes.push(image);
        }
        let mean = if self.needs.mean { colour::mean(image) } else { 0.0 };
        let counts = self.needs.histogram.then(|| {
            colour::luma(image, &mut self.grey);
            histogram::counts(&self.grey)
        });
        if self.needs.grey {
            colour::grey(image, &mut self.grey);
        }
        let clock = self.clock;
        for (detector, cuts) in self.detectors.iter_mut().zip(&mut self.cuts) {
            let last = self.scores.rows.len() - 1;
            let rows = &mut self.scores.rows;
            let columns = &detector.columns;
            let mut note = |row: usize, column: usize, value: f64| {
                if let (Some(row), Some(Some(column))) = (rows.get_mut(row), columns.get(column)) {
                    row[*column] = value;
                }
            };
            match &mut detector.kind {
                Kind::Content(content, weights, kernel) => {
                    let score = changed(&self.changes, *kernel, weights, |i, v| note(last, i, v));
                    cuts.extend(content.push(at, score).map(|found| cut(&clock, found)));
                }
                Kind::Adaptive(adaptive, weights, kernel) => {
                    let score = changed(&self.changes, *kernel, weights, |i, v| note(last, i, v));
                    if let Some((frame, is_cut)) = adaptive.push(&clock, at, score) {
                        note(frame.at.index as usize, 5, frame.score);
                        cuts.extend(is_cut.then(|| cut(&clock, frame)));
                    }
                }
                Kind::Fades(fades) => {
                    note(last, 0, mean);
                    cuts.extend(fades.push(&clock, at, mean).map(faded));
                }
                Kind::Histogram(histogram) => {
                    let Some(counts) = &counts else { continue };
                    let found = histogram.push(&clock, at, counts);
                    cuts.extend(judged(&clock, at, found, |v| note(last, 0, v)));
                }
                Kind::Hash(hash) => {
                    let found = hash.push(&clock, at, &self.grey, self.size);
                    cuts.extend(judged(&clock, at, found, |v| note(last, 0, v)));
                }
            }
        }
    }

    /// All cuts, and the scores.
    pub fn finish(mut self) -> Found {
        let frames = self.scores.times.len() as u64;
        for (detector, cuts) in self.detectors.iter().zip(&mut self.cuts) {
            if let Kind::Fades(fades) = &detector.kind {
                cuts.extend(fades.finish(&self.clock, frames).map(faded));
            }
            cuts.sort_by_key(|cut| cut.number);
            cuts.dedup_by_key(|cut| cut.number);
        }
        Found { cuts: self.cuts, scores: self.scores }
    }
}

/// Names of the scores, as PySceneDetect's statistics have them.
fn columns(settings: &Settings) -> Vec<String> {
    let change = ["content_val", "delta_hue", "delta_sat", "delta_lum", "delta_edges"].map(String::from);
    match settings {
        Settings::Content(_) => change.into(),
        Settings::Adaptive(s) => {
            let luma = if s.luma_only { "_lum" } else { "" };
            let ratio = format!("adaptive_ratio{luma} (w={})", s.window_width);
            change.into_iter().chain([ratio]).collect()
        }
        Settings::Threshold(_) => vec!["average_rgb".into()],
        Settings::Histogram(s) => vec![format!("hist_diff [bins={}]", s.bins)],
        Settings::Hash(s) => vec![format!("hash_dist [size={} lowpass={}]", s.size, s.lowpass)],
    }
}

/// The weighed change; 0 for the first frame, which has no scores.
fn changed(
    changes: &content::Changes,
    kernel: usize,
    weights: &Weights,
    mut note: impl FnMut(usize, f64),
) -> f64 {
    let Some(change) = changes.change(kernel) else { return 0.0 };
    let score = change.score(weights);
    let values = [score, change.hue, change.saturation, change.luma, change.edges];
    values.into_iter().enumerate().for_each(|(i, value)| note(i, value));
    score
}

fn cut(clock: &Clock, found: Scored) -> Cut {
    Cut { frame: found.at.index, number: clock.number(found.at.micros), score: found.score, fade: None }
}

fn faded(fade: fades::Fade) -> Cut {
    Cut { frame: fade.frame, number: fade.number, score: fade.score, fade: Some((fade.from, fade.to)) }
}

fn judged(clock: &Clock, at: Position, found: (Option<f64>, bool), mut note: impl FnMut(f64)) -> Option<Cut> {
    let score = found.0?;
    note(score);
    found.1.then(|| cut(clock, Scored { at, score }))
}

#[cfg(test)]
#[path = "../tests/detect.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/detect_parts.rs"]
mod part_tests;

#[cfg(test)]
#[path = "../tests/picked.rs"]
mod picked_tests;

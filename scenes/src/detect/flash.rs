//! Keeps cuts apart: frames over the threshold that follow one another too fast are merged into one cut, or left out.

use super::clock::{Clock, Position};
use super::length::Least;
use super::settings::FilterMode;

/// PySceneDetect's `FlashFilter`.
#[derive(Debug, Clone)]
pub(super) struct FlashFilter {
    mode: FilterMode,
    /// The shortest shot in seconds; `None`: every frame over the threshold is a cut.
    least: Option<f64>,
    last_above: Option<Scored>,
    /// Merging begins only after a first cut.
    may_merge: bool,
    merging_since: Option<Position>,
}

/// A frame and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scored {
    pub at: Position,
    pub score: f64,
}

impl FlashFilter {
    pub(super) fn new(mode: FilterMode, least: Least, clock: &Clock) -> Self {
        let seconds = match least {
            Least::Seconds(s) => s,
            Least::Frames(n) | Least::FramesTime(n) => clock.seconds(n),
        };
        let least = (seconds > 0.0).then_some(seconds);
        Self { mode, least, last_above: None, may_merge: false, merging_since: None }
    }

    /// The cut that `frame` makes certain, if any.
    pub(super) fn push(&mut self, frame: Scored, above: bool) -> Option<Scored> {
        let Some(least) = self.least else { return above.then_some(frame) };
        let enough = |from: Position, to: Position| (to.micros - from.micros).max(0) as f64 / 1e6 >= least;
        let long = enough(self.last_above.get_or_insert(frame).at, frame.at);
        if self.mode == FilterMode::Suppress {
            if above && long {
                self.last_above = Some(frame);
                return Some(frame);
            }
            return None;
        }
        if above {
            self.last_above = Some(frame);
        }
        if let Some(since) = self.merging_since {
            let last = self.last_above.filter(|last| long && !above && enough(since, last.at));
            if last.is_some() {
                self.merging_since = None;
            }
            return last;
        }
        if !above {
            return None;
        }
        if long {
            self.may_merge = true;
            return Some(frame);
        }
        if self.may_merge {
            self.merging_since = Some(frame.at);
        }
        None
    }
}

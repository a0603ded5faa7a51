//! Fades: average brightness that crosses a level, and comes back.

use super::clock::{Clock, Position};
use super::length::Least;
use super::settings::{Method, ThresholdSettings};

/// A fade after which a shot begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fade {
    /// The frame at which the cut lies: index, and number by time.
    pub frame: u64,
    pub number: i64,
    /// The first frame beyond the level, and the first that is not.
    pub from: u64,
    pub to: u64,
    /// The brightness that lay furthest beyond the level.
    pub score: f64,
}

/// PySceneDetect's `ThresholdDetector`.
#[derive(Debug, Clone)]
pub(super) struct Fades {
    settings: ThresholdSettings,
    level: f64,
    least: Least,
    last_cut: Option<Position>,
    /// Where the last fade out began, with the indices and the numbers by time of the frames since; `None`: within a shot.
    out: Option<(Position, Vec<(u64, i64)>)>,
    furthest: f64,
}

impl Fades {
    pub(super) fn new(settings: &ThresholdSettings, least: Least) -> Self {
        Self {
            level: settings.threshold.trunc(),
            settings: settings.clone(),
            least,
            last_cut: None,
            out: None,
            furthest: 0.0,
        }
    }

    pub(super) fn push(&mut self, clock: &Clock, at: Position, brightness: f64) -> Option<Fade> {
        let floor = self.settings.method == Method::Floor;
        let first = self.last_cut.is_none();
        let last_cut = *self.last_cut.get_or_insert(at);
        let number = clock.number(at.micros);
        // The first frame is judged as if fades were to black whatever the method, as there.
        let beyond = if first || floor { brightness < self.level } else { brightness >= self.level };
        if beyond {
            let furthest = if floor { self.furthest.min(brightness) } else { self.furthest.max(brightness) };
            self.furthest = if self.out.is_some() { furthest } else { brightness };
            self.out.get_or_insert_with(|| (at, Vec::new())).1.push((at.index, number));
            return None;
        }
        let (out, mut numbers) = self.out.take()?;
        if !clock.enough(last_cut, at, self.least) {
            return None;
        }
        self.last_cut = Some(at);
        let began = clock.number(out.micros);
        let part = ((number - began) as f64 * (1.0 + self.settings.fade_bias) / 2.0).round_ties_even();
        let split = began + part as i64;
        // The number is reckoned; the frame is the first that is not before it.
        numbers.push((at.index, number));
        let frame = numbers.iter().find(|(_, n)| *n >= split).map_or(at.index, |(index, _)| *index);
        Some(Fade { frame, number: split, from: out.index, to: at.index, score: self.furthest })
    }

    /// The cut at the end of a video that ends faded out.
    pub(super) fn finish(&self, clock: &Clock, frames: u64) -> Option<Fade> {
        let (out, _) = self.out.as_ref().filter(|_| self.settings.add_final_scene)?;
        let long = clock.enough(self.last_cut?, clock.after(frames), self.least);
        long.then(|| Fade {
            frame: out.index,
            number: clock.number(out.micros),
            from: out.index,
            to: frames,
            score: self.furthest,
        })
    }
}

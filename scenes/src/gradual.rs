//! What is no cut: dissolves, fades and flashes, found while frames pass by, in the last seconds only.
//!
//! A dissolve is a straight line from one image to another: each frame between is so many parts of the first and the rest of the
//! second. A fade is a dissolve from or to black or white. A flash jumps away, brighter, and comes back to where it was.

use crate::Mini;
use crate::record::EventKind;
use std::collections::VecDeque;

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradualSettings {
    /// Fewest frames of a dissolve or fade.
    pub min_frames: u32,
    /// Most frames of one; 0 looks for none.
    pub max_frames: u32,
    /// How far the images before and after must be from each other: mean distance of 16 x 9 cells, in levels of 255.
    pub min_change: f32,
    /// How far frames between may be from the straight line, in parts of that distance.
    pub max_bend: f32,
    /// Most frames of a flash; 0 looks for none.
    pub flash_frames: u32,
    /// How much brighter a flash is, in levels of 255.
    pub flash_rise: f32,
}

impl Default for GradualSettings {
    fn default() -> Self {
        Self {
            min_frames: 6,
            max_frames: 50,
            min_change: 12.0,
            max_bend: 0.16,
            flash_frames: 6,
            flash_rise: 24.0,
        }
    }
}

/// A dissolve, fade or flash: frames `start..end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gradual {
    /// Which of them.
    pub kind: EventKind,
    /// The first frame that is not wholly the old image.
    pub start: u64,
    /// The first that is wholly the new one.
    pub end: u64,
    /// How far the image went, in levels.
    pub change: f32,
}

/// A line that may be a part of a clearer one.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    found: Gradual,
    score: f32,
    /// It ends at black or white, and so does not begin there.
    out: bool,
}

/// Looks at frames as they come.
#[derive(Debug)]
pub struct GradualFinder {
    settings: GradualSettings,
    /// The last frames, the newest at the back, and how far each is from the one before.
    recent: VecDeque<(Mini, f32)>,
    seen: u64,
    candidates: Vec<Candidate>,
    flashes: Vec<Gradual>,
}

impl GradualFinder {
    /// A finder before the first frame.
    pub fn new(settings: GradualSettings) -> Self {
        Self { settings, recent: VecDeque::new(), seen: 0, candidates: Vec::new(), flashes: Vec::new() }
    }

    /// The next frame.
    pub fn push(&mut self, frame: Mini) {
        let step = self.recent.back().map_or(0.0, |(last, _)| last.distance(&frame));
        self.recent.push_back((frame, step));
        let keep = self.settings.max_frames.max(self.settings.flash_frames) as usize + 2;
        if self.recent.len() > keep {
            self.recent.pop_front();
        }
        self.seen += 1;
        self.flash();
        self.line();
    }

    /// Everything found, in order and without overlaps; fades out and in again over one blank stretch are one.
    pub fn finish(mut self) -> Vec<Gradual> {
        // The clearest first; what overlaps a clearer one is a part of it.
        self.candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.found.start.cmp(&b.found.start)));
        let apart = |a: &Gradual, b: &Gradual| a.end <= b.start || a.start >= b.end;
        let mut kept: Vec<Candidate> = Vec::new();
        for candidate in self.candidates {
            if kept.iter().all(|k| apart(&candidate.found, &k.found)) {
                kept.push(candidate);
            }
        }
        // What rises and falls within a flash is the flash.
        kept.retain(|k| self.flashes.iter().all(|f| apart(&k.found, f)));
        kept.sort_by_key(|k| k.found.start);
        let mut joined: Vec<Gradual> = Vec::new();
        let mut gone_out = None;
        for next in kept {
            let fade = next.found.kind == EventKind::Fade;
            // Out of one image and into the next: between them at most a second of blank frames.
            match (joined.last_mut(), gone_out) {
                (Some(last), Some(end))
                    if fade && !next.out && next.found.start.saturating_sub(end) <= 30 =>
                {
                    last.end = next.found.end;
                    last.change = last.change.max(next.found.change);
                }
                _ => joined.push(next.found),
            }
            gone_out = (fade && next.out).then_some(next.found.end);
        }
        joined.extend(self.flashes);
        joined.sort_by_key(|k| (k.start, k.end));
        joined
    }

    /// Has the image come back to where it was before a jump?
    fn flash(&mut self) {
        let settings = self.settings;
        let Some((now, _)) = self.recent.back() else { return };
        let newest = self.recent.len() - 1;
        for length in 1..=settings.flash_frames as usize {
            let Some(before) = newest.checked_sub(length + 1) else { return };
            let (old, _) = &self.recent[before];
            let first = &self.recent[before + 1];
            if first.1 < settings.flash_rise || old.distance(now) > first.1 * 0.35 {
                continue;
            }
            let bright = (before + 1..newest)
                .all(|i| self.recent[i].0.level() > old.level() + settings.flash_rise / 2.0);
            let brightest = (before + 1..newest).map(|i| self.recent[i].0.level()).fold(0.0, f32::max);
            if bright && brightest > old.level() + settings.flash_rise {
                let end = self.seen - 1;
                let start = end - length as u64;
                // A second return to the same image is no second flash.
                if self.flashes.last().is_none_or(|last| last.end <= start) {
                    let change = brightest - old.level();
                    self.flashes.push(Gradual { kind: EventKind::Flash, start, end, change });
                }
                return;
            }
        }
    }

    /// Is the newest frame the end of a straight line?
    fn line(&mut self) {
        let settings = self.settings;
        let newest = self.recent.len() - 1;
        let (to, last_step) = &self.recent[newest];
        // The steepest step so far, walking back: a line has none that is most of the way.
        let mut steepest = *last_step;
        let mut best: Option<Candidate> = None;
        for length in 2..=settings.max_frames as usize {
            let Some(at) = newest.checked_sub(length) else { break };
            steepest = steepest.max(self.recent[at + 1].1);
            if length < settings.min_frames as usize {
                continue;
            }
            let (from, _) = &self.recent[at];
            let change = from.distance(to);
            if change < settings.min_change || steepest > change * 0.4 {
                continue;
            }
            let mut bend = 0.0f32;
            for k in 1..=5 {
                let part = k * length / 6;
                let frame = &self.recent[at + part].0;
                bend = bend.max(frame.off_line(from, to, part as f32 / length as f32) / change);
                if bend > settings.max_bend {
                    break;
                }
            }
            if bend > settings.max_bend {
                continue;
            }
            let fade = from.is_blank() != to.is_blank();
            // The same image in another light is no new one.
            if !fade && (from.correlation(to) > 0.7 || from.is_blank()) {
                continue;
            }
            let kind = if fade { EventKind::Fade } else { EventKind::Dissolve };
            // Of all lines through a transition the whole one goes farthest and bends least.
            let score = change * (1.0 - 2.0 * bend);
            if best.as_ref().is_none_or(|b| score > b.score) {
                let end = self.seen - 1;
                let found = Gradual { kind, start: end - length as u64 + 1, end, change };
                best = Some(Candidate { found, score, out: to.is_blank() });
            }
        }
        self.candidates.extend(best);
    }
}

#[cfg(test)]
#[path = "tests/gradual.rs"]
mod tests;

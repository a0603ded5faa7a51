//! Which track gets which frame, and at what time it is shown.
//!
//! One `showinfo` tells of every frame before it is handed to the branches; those that leave frames out have another, behind a filter
//! that says the number of each frame that it lets pass. FFmpeg builds all filters anew when frames change their size, and each of them
//! begins to count again: what counts across that is here.

use super::clock::{Clock, Jump};
use super::shown::Shown;
use super::{Ratio, Time};
use std::collections::VecDeque;
use std::sync::mpsc::Sender;

/// Which frames a track has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frames {
    /// Each one.
    All,
    /// Some, told by their numbers.
    Some,
    /// Those at given times of this base: what comes is what was asked for, and no clock is needed.
    Chosen(Ratio),
}

impl Frames {
    /// Of the times that were given.
    fn base(self) -> Option<Ratio> {
        match self {
            Self::Chosen(base) => Some(base),
            Self::All | Self::Some => None,
        }
    }
}

/// A track's end of the log.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) to: Sender<Shown>,
    pub(super) of: Frames,
}

/// One `showinfo`: how it counts time, and the frame whose colours it will tell in the next line.
#[derive(Debug, Clone)]
struct Teller {
    base: Ratio,
    rate: Ratio,
    waiting: Option<Shown>,
    /// How often its filters were built.
    built: usize,
}

impl Default for Teller {
    fn default() -> Self {
        let (base, rate) = (Ratio { num: 1, den: 1 }, Ratio { num: 25, den: 1 });
        Self { base, rate, waiting: None, built: 0 }
    }
}

/// Tells tracks of their frames.
pub(super) struct Desk<'a> {
    tracks: &'a [Listener],
    clock: Clock,
    /// Frames told so far, and before each time that the filters were built.
    count: u64,
    built_at: Vec<u64>,
    /// The first is that of all frames, the others those of tracks in their order.
    tellers: Vec<Teller>,
    /// Times of the last frames that tracks with some may still ask for, and the number of the first of them.
    recent: (u64, VecDeque<(Time, i64)>),
    /// What the last filter that leaves frames out has said.
    picked: Option<u64>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(tracks: &'a [Listener]) -> Self {
        Self {
            tracks,
            clock: Clock::default(),
            count: 0,
            built_at: Vec::new(),
            tellers: vec![Teller::default(); tracks.len() + 1],
            recent: Default::default(),
            picked: None,
        }
    }

    /// A filter lets this frame pass, of those that it was given.
    pub(super) fn picked(&mut self, number: u64) {
        self.picked = Some(number);
    }

    /// A `showinfo` was built: `1/12800, frame_rate: 25/1`.
    pub(super) fn config(&mut self, teller: usize, config: &str) {
        let Some(of) = self.tellers.get_mut(teller) else { return };
        let mut parts = config.split(", frame_rate: ");
        of.base = parts.next().and_then(|t| t.parse().ok()).unwrap_or(of.base);
        of.rate = parts.next().and_then(|t| t.parse().ok()).unwrap_or(of.rate);
        of.built += 1;
        if teller == 0 {
            self.built_at.push(self.count);
        }
    }

    /// Where nobody wants more, the rest is read so that the decoder can end.
    fn tell(&mut self, teller: usize, shown: Shown) {
        if teller > 0 {
            self.tracks.get(teller - 1).map(|track| track.to.send(shown).ok());
            return;
        }
        for track in self.tracks.iter().filter(|t| t.of != Frames::Some) {
            track.to.send(shown.clone()).ok();
        }
    }

    /// `n: 0 pts: …`; `None`: it is no such line, or one that cannot be placed.
    pub(super) fn frame(&mut self, teller: usize, words: &str) -> Option<()> {
        let said = Said::of(words)?;
        let Teller { base, rate, built, .. } = *self.tellers.get(teller)?;
        let (frame, time, ticks) = if teller > 0 {
            let frame = self.built_at.get(built.saturating_sub(1))? + self.picked.take()?;
            while self.recent.0 < frame && self.recent.1.pop_front().is_some() {
                self.recent.0 += 1;
            }
            let (time, ticks) = *self.recent.1.front()?;
            (frame, time, ticks)
        } else {
            let frame = self.count;
            self.count += 1;
            let chosen = self.tracks.iter().find_map(|t| t.of.base());
            let (time, ticks) = match (said.pts, chosen) {
                (Some(pts), Some(base)) => (Time { pts, base }, said.ticks),
                (pts, _) => self.clock.next(pts, said.ticks, base, rate),
            };
            if self.tracks.iter().any(|t| t.of == Frames::Some) {
                self.recent.1.push_back((time, ticks));
            }
            (frame, time, ticks)
        };
        let (size, form) = (said.size, said.form);
        let shown = Shown { frame, time, ticks, rate, size, form, full_range: false, matrix: "unknown" };
        let before = self.tellers.get_mut(teller)?.waiting.replace(shown);
        before.map(|before| self.tell(teller, before))
    }

    /// What stands in the line after it.
    pub(super) fn colours(&mut self, teller: usize, colours: &str) {
        if let Some(shown) = self.tellers.get_mut(teller).and_then(|t| t.waiting.take()) {
            self.tell(teller, shown.coloured(colours));
        }
    }

    /// All is said: what waits for its colours has none. Where the clock broke, and how often.
    pub(super) fn end(mut self) -> (Vec<Jump>, usize) {
        for teller in 0..self.tellers.len() {
            if let Some(shown) = self.tellers[teller].waiting.take() {
                self.tell(teller, shown);
            }
        }
        self.clock.breaks()
    }
}

/// What `showinfo` says of a frame.
struct Said {
    /// Presentation time stamp, in ticks.
    pts: Option<i64>,
    ticks: i64,
    size: (u32, u32),
    form: String,
}

impl Said {
    fn of(words: &str) -> Option<Self> {
        if !words.starts_with("n:") {
            return None;
        }
        let value = |name: &str| words.split_once(name)?.1.split_whitespace().next();
        let number = |name: &str| value(name)?.parse::<i64>().ok();
        let (width, height) = value(" s:")?.split_once('x')?;
        Some(Self {
            pts: number(" pts:"),
            ticks: number(" duration:").unwrap_or(0).max(0),
            size: (width.parse().ok()?, height.parse().ok()?),
            form: value(" fmt:")?.to_owned(),
        })
    }
}

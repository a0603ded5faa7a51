//! From what detectors say to typed events and to shots.

use crate::gradual::Gradual;
use crate::record::{Event, EventKind, Moment, Shot};
use crate::settings::{FlashUse, GradualUse, ShotSettings};
use std::collections::BTreeSet;
use unisono_media::video::{Ratio, Time};

/// A detector's word that a shot begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundary {
    /// The new shot's first frame.
    pub frame: u64,
    /// Who says so.
    pub detector: String,
    /// With what score.
    pub score: f64,
    /// The first frame of the transition and the one after its last, where the detector tells.
    pub span: Option<(u64, u64)>,
}

/// Times of a video's frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// Of each frame.
    pub frames: Vec<Time>,
    /// When the last one has been shown.
    pub end: Time,
}

impl Default for Times {
    /// No frame.
    fn default() -> Self {
        Self { frames: Vec::new(), end: Time { pts: 0, base: Ratio { num: 1, den: 1 } } }
    }
}

impl Times {
    /// The place of a frame; beyond the last, the end.
    pub fn at(&self, frame: u64) -> Moment {
        match usize::try_from(frame).ok().and_then(|i| self.frames.get(i)) {
            Some(time) => Moment { frame, time: *time },
            None => Moment { frame: self.frames.len() as u64, time: self.end },
        }
    }

    /// Number of frames.
    pub fn count(&self) -> u64 {
        self.frames.len() as u64
    }
}

/// Frames between the two ends of a transition that make it one without another's word.
const LONG: u64 = 4;

/// Events in their order, and the first frames of shots but the first's.
///
/// A boundary within a dissolve or fade (or within two frames of it) is that event; a boundary that its detector says lasts four frames or more is a
/// dissolve; every other is a cut. The frames themselves are the detectors': what a dissolve is called moves no boundary.
pub fn events(
    boundaries: &[Boundary],
    gradual: &[Gradual],
    times: &Times,
    settings: &ShotSettings,
) -> (Vec<Event>, Vec<u64>) {
    let (mut events, mut starts) = (Vec::new(), BTreeSet::new());
    let mut used = vec![false; gradual.len()];
    let mut cuts: Vec<&Boundary> =
        boundaries.iter().filter(|b| b.frame > 0 && b.frame < times.count()).collect();
    cuts.sort_by(|a, b| a.frame.cmp(&b.frame).then(b.score.total_cmp(&a.score)));
    // One frame is one event, whoever says so; the first is the surest.
    cuts.dedup_by_key(|b| b.frame);
    for cut in cuts {
        let near = |g: &Gradual| g.start.saturating_sub(2) <= cut.frame && cut.frame <= g.end + 2;
        let of = |kind_is: fn(EventKind) -> bool| gradual.iter().position(|g| kind_is(g.kind) && near(g));
        if let Some(flash) = of(|k| k == EventKind::Flash) {
            let g = &gradual[flash];
            if settings.flashes == FlashUse::Drop && g.start <= cut.frame && cut.frame <= g.end {
                continue;
            }
        }
        starts.insert(cut.frame);
        if let Some(i) = of(|k| matches!(k, EventKind::Dissolve | EventKind::Fade)) {
            if !used[i] {
                used[i] = true;
                let g = &gradual[i];
                let (start, end) = (times.at(g.start.min(cut.frame)), times.at(g.end.max(cut.frame)));
                events.push(Event {
                    kind: g.kind,
                    start,
                    end,
                    detector: cut.detector.clone(),
                    score: cut.score,
                });
            }
            continue;
        }
        let (kind, start, end) = match cut.span {
            Some((a, b)) if b.saturating_sub(a) >= LONG => (EventKind::Dissolve, a, b),
            _ => (EventKind::Cut, cut.frame, cut.frame),
        };
        let (start, end) = (times.at(start), times.at(end));
        events.push(Event { kind, start, end, detector: cut.detector.clone(), score: cut.score });
    }
    for (g, used) in gradual.iter().zip(used) {
        if used {
            continue;
        }
        let (start, end) = (times.at(g.start), times.at(g.end));
        events.push(Event { kind: g.kind, start, end, detector: "gradual".into(), score: g.change.into() });
        let middle = g.start.midpoint(g.end);
        if settings.gradual == GradualUse::Cut
            && g.kind != EventKind::Flash
            && middle > 0
            && middle < times.count()
        {
            starts.insert(middle);
        }
    }
    events.sort_by_key(|e| (e.start.frame, e.end.frame));
    (events, starts.into_iter().collect())
}

/// Shots that begin at 0 and at `starts`; each is stood for by its middle frame until somebody knows better.
pub fn shots(starts: &[u64], times: &Times) -> Vec<Shot> {
    if times.frames.is_empty() {
        return Vec::new();
    }
    let bounds: Vec<u64> = [0].into_iter().chain(starts.iter().copied()).chain([times.count()]).collect();
    let shot = |(index, w): (usize, &[u64])| Shot {
        index,
        start: times.at(w[0]),
        end: times.at(w[1]),
        key: times.at(w[0].midpoint(w[1] - 1)),
    };
    bounds.windows(2).enumerate().map(shot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(n: i64) -> Times {
        let at = |pts| Time { pts, base: Ratio { num: 1, den: 25 } };
        Times { frames: (0..n).map(at).collect(), end: at(n) }
    }

    fn cut(frame: u64, span: Option<(u64, u64)>) -> Boundary {
        Boundary { frame, detector: "content".into(), score: 30.0, span }
    }

    fn gradual(kind: EventKind, start: u64, end: u64) -> Gradual {
        Gradual { kind, start, end, change: 50.0 }
    }

    #[test]
    fn boundaries_get_their_kind_and_keep_their_frame() {
        let boundaries = [
            cut(100, None),
            cut(20, None),
            cut(20, None),
            cut(0, None),
            cut(300, None),
            cut(60, Some((55, 63))),
            cut(150, None),
        ];
        let found = [
            gradual(EventKind::Dissolve, 95, 107),
            gradual(EventKind::Flash, 149, 152),
            gradual(EventKind::Fade, 180, 200),
        ];
        let (events, starts) = super::events(&boundaries, &found, &times(250), &ShotSettings::default());
        let kinds: Vec<(EventKind, u64, u64)> =
            events.iter().map(|e| (e.kind, e.start.frame, e.end.frame)).collect();
        assert_eq!(
            kinds,
            [
                (EventKind::Cut, 20, 20),
                (EventKind::Dissolve, 55, 63),
                (EventKind::Dissolve, 95, 107),
                (EventKind::Flash, 149, 152),
                (EventKind::Cut, 150, 150),
                (EventKind::Fade, 180, 200),
            ]
        );
        assert_eq!(starts, [20, 60, 100, 150]);
        let other = ShotSettings { gradual: GradualUse::Cut, flashes: FlashUse::Drop };
        let (events, starts) = super::events(&boundaries, &found, &times(250), &other);
        assert_eq!((events.len(), starts.as_slice()), (5, &[20, 60, 100, 190][..]));
        let shots = shots(&starts, &times(250));
        assert_eq!(shots.len(), 5);
        assert!(shots.windows(2).all(|w| w[0].end == w[1].start));
        assert_eq!((shots[0].start.frame, shots[4].end.frame, shots[1].key.frame), (0, 250, 39));
        assert!(super::shots(&[], &times(0)).is_empty());
        assert_eq!(super::shots(&[], &times(1))[0].key.frame, 0);
    }
}

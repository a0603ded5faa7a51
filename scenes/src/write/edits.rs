//! What editing programs are told: pieces of the file one after another, with the dissolves between them.

use crate::record::{Event, EventKind, Moment, VideoScenes};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A piece a scene.
    Scenes,
    /// A piece a shot.
    Shots,
}

impl Unit {
    /// What people call one: `Scene`, `Shot`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scenes => "Scene",
            Self::Shots => "Shot",
        }
    }
}

/// One piece.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Edit<'a> {
    /// Counted from 0.
    pub(crate) index: usize,
    pub(crate) start: Moment,
    pub(crate) end: Moment,
    /// The dissolve that it begins with: it holds `start`.
    pub(crate) dissolve: Option<&'a Event>,
}

/// The pieces of a video.
pub(crate) fn edits(of: &VideoScenes, unit: Unit) -> Vec<Edit<'_>> {
    let spans: Vec<(usize, Moment, Moment)> = match unit {
        Unit::Scenes => of.scenes.iter().map(|s| (s.index, s.start, s.end)).collect(),
        Unit::Shots => of.shots.iter().map(|s| (s.index, s.start, s.end)).collect(),
    };
    let mut dissolves = of.events.iter().filter(|e| e.kind == EventKind::Dissolve).peekable();
    let mut out = Vec::with_capacity(spans.len());
    let mut before: Option<Moment> = None;
    for (index, start, end) in spans {
        while dissolves.next_if(|d| d.end.time < start.time).is_some() {}
        // One that reaches over a whole piece has no place between two.
        let fits = |d: &&Event| {
            before.is_some_and(|b| b.time < d.start.time)
                && d.start.time <= start.time
                && d.end.time <= end.time
                && d.start.time < d.end.time
        };
        let dissolve = dissolves.peek().copied().filter(fits);
        out.push(Edit { index, start, end, dissolve });
        before = Some(start);
    }
    out
}

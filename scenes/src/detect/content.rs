//! The change from one frame to the next, in colour, brightness and edges: what `content` and `adaptive` judge by.

use super::clock::{Clock, Position};
use super::colour::{Hsv, mean_distance, value};
use super::edges::Edges;
use super::flash::{FlashFilter, Scored};
use super::image::Image;
use super::length::Least;
use super::settings::{AdaptiveSettings, ContentSettings, Weights};
use std::collections::VecDeque;

/// Mean distances of two frames' pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Change {
    pub hue: f64,
    pub saturation: f64,
    pub luma: f64,
    pub edges: f64,
}

impl Change {
    /// PySceneDetect's `content_val`.
    pub(super) fn score(&self, weights: &Weights) -> f64 {
        let w = weights;
        let sum =
            self.hue * w.hue + self.saturation * w.saturation + self.luma * w.luma + self.edges * w.edges;
        sum / (w.hue + w.saturation + w.luma + w.edges)
    }
}

/// Reckons the changes once for all detectors.
#[derive(Debug, Clone)]
pub(super) struct Changes {
    /// Hue and saturation count.
    colour: bool,
    /// Edges, where they count: by kernel, this frame's and the one before's.
    finder: Option<Edges>,
    kernels: Vec<(usize, [Vec<u8>; 2])>,
    frames: [Hsv; 2],
    any: bool,
    pub(super) found: Option<(Change, Vec<f64>)>,
}

impl Changes {
    pub(super) fn new() -> Self {
        Self {
            colour: false,
            finder: None,
            kernels: Vec::new(),
            frames: Default::default(),
            any: false,
            found: None,
        }
    }

    /// What a detector needs. Returns its kernel's place.
    pub(super) fn need(
        &mut self,
        colour: bool,
        edges: bool,
        kernel: Option<usize>,
        size: (usize, usize),
    ) -> usize {
        self.colour |= colour;
        if !edges {
            return usize::MAX;
        }
        self.finder.get_or_insert_with(|| Edges::new(size.0, size.1));
        let kernel = kernel.unwrap_or_else(|| Edges::kernel(size.0, size.1));
        self.kernels.iter().position(|(k, _)| *k == kernel).unwrap_or_else(|| {
            self.kernels.push((kernel, Default::default()));
            self.kernels.len() - 1
        })
    }

    pub(super) fn push(&mut self, image: &Image) {
        self.frames.swap(0, 1);
        let [now, before] = &mut self.frames;
        if self.colour {
            now.of(image);
        } else {
            value(image, &mut now.value);
        }
        if let Some(finder) = &mut self.finder {
            finder.of(&now.value);
            for (kernel, [now, before]) in &mut self.kernels {
                std::mem::swap(now, before);
                finder.widened(*kernel, now);
            }
        }
        let first = !std::mem::replace(&mut self.any, true);
        self.found = (!first).then(|| {
            let of = |a: &[u8], b: &[u8]| if self.colour { mean_distance(a, b) } else { 0.0 };
            let change = Change {
                hue: of(&now.hue, &before.hue),
                saturation: of(&now.saturation, &before.saturation),
                luma: mean_distance(&now.value, &before.value),
                edges: 0.0,
            };
            let edges = self.kernels.iter().map(|(_, [now, before])| mean_distance(now, before));
            (change, edges.collect())
        });
    }

    /// With the edges by the kernel in that place.
    pub(super) fn change(&self, kernel: usize) -> Option<Change> {
        let (change, edges) = self.found.as_ref()?;
        Some(Change { edges: edges.get(kernel).copied().unwrap_or(0.0), ..*change })
    }
}

/// PySceneDetect's `ContentDetector`.
#[derive(Debug, Clone)]
pub(super) struct Content {
    threshold: f64,
    filter: FlashFilter,
}

impl Content {
    pub(super) fn new(settings: &ContentSettings, least: Least, clock: &Clock) -> Self {
        let filter = FlashFilter::new(settings.filter_mode, least, clock);
        Self { threshold: settings.threshold, filter }
    }

    /// `score` of the first frame is 0.
    pub(super) fn push(&mut self, at: Position, score: f64) -> Option<Scored> {
        self.filter.push(Scored { at, score }, score >= self.threshold)
    }
}

/// PySceneDetect's `AdaptiveDetector`.
#[derive(Debug, Clone)]
pub(super) struct Adaptive {
    settings: AdaptiveSettings,
    least: Least,
    window: VecDeque<Scored>,
    last_cut: Option<Position>,
}

impl Adaptive {
    pub(super) fn new(settings: &AdaptiveSettings, least: Least) -> Self {
        Self { settings: settings.clone(), least, window: VecDeque::new(), last_cut: None }
    }

    /// The frame `window_width` before with its ratio, and whether it is a cut.
    pub(super) fn push(&mut self, clock: &Clock, at: Position, score: f64) -> Option<(Scored, bool)> {
        let last_cut = *self.last_cut.get_or_insert(at);
        let width = self.settings.window_width;
        self.window.push_back(Scored { at, score });
        if self.window.len() < 2 * width + 1 {
            return None;
        }
        if self.window.len() > 2 * width + 1 {
            self.window.pop_front();
        }
        let target = self.window[width];
        let others = self.window.iter().enumerate().filter(|(i, _)| *i != width);
        let mean = others.fold(0.0, |sum, (_, frame)| sum + frame.score) / (2.0 * width as f64);
        let ratio = if mean.abs() >= 0.00001 {
            (target.score / mean).min(255.0)
        } else if target.score >= self.settings.min_content_val {
            255.0
        } else {
            0.0
        };
        let high = ratio >= self.settings.adaptive_threshold && target.score >= self.settings.min_content_val;
        // The time is that of the newest frame, not of the one that is judged.
        let cut = high && clock.enough(last_cut, at, self.least);
        if cut {
            self.last_cut = Some(target.at);
        }
        Some((Scored { score: ratio, ..target }, cut))
    }
}

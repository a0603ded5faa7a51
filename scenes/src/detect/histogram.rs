//! Histograms of brightness and their correlation, in OpenCV's precision.

use super::clock::{Clock, Position};
use super::length::Least;
use super::settings::HistogramSettings;

/// How often each brightness occurs.
pub(super) type Counts = [u32; 256];

pub(super) fn counts(luma: &[u8]) -> Counts {
    // Four tables, so that equal neighbours do not wait for each other.
    let mut tables = [[0u32; 256]; 4];
    let mut four = luma.chunks_exact(4);
    for values in &mut four {
        for (table, value) in tables.iter_mut().zip(values) {
            table[usize::from(*value)] += 1;
        }
    }
    four.remainder().iter().for_each(|v| tables[0][usize::from(*v)] += 1);
    std::array::from_fn(|i| tables.iter().map(|table| table[i]).sum())
}

/// PySceneDetect's `HistogramDetector`.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    /// The correlation at which a shot begins.
    most: f64,
    bins: usize,
    least: Least,
    last: Option<Vec<f32>>,
    last_cut: Option<Position>,
}

impl Histogram {
    pub(super) fn new(settings: &HistogramSettings, least: Least) -> Self {
        let most = (1.0 - settings.threshold).clamp(0.0, 1.0);
        Self { most, bins: settings.bins, least, last: None, last_cut: None }
    }

    /// The correlation with the frame before, and whether a shot begins.
    pub(super) fn push(&mut self, clock: &Clock, at: Position, counts: &Counts) -> (Option<f64>, bool) {
        let last_cut = *self.last_cut.get_or_insert(at);
        let now = normalised(counts, self.bins);
        let found = self.last.as_ref().map(|last| correlation(last, &now));
        self.last = Some(now);
        let cut = found.is_some_and(|c| c <= self.most) && clock.enough(last_cut, at, self.least);
        if cut {
            self.last_cut = Some(at);
        }
        (found, cut)
    }
}

/// `calcHist` of `bins` over 0 to 256, then `normalize`: to length 1, in single precision.
fn normalised(counts: &Counts, bins: usize) -> Vec<f32> {
    let mut histogram = vec![0f32; bins];
    let step = bins as f64 / 256.0;
    for (value, count) in counts.iter().enumerate() {
        histogram[((value as f64 * step).floor() as usize).min(bins - 1)] += *count as f32;
    }
    let length = histogram.iter().map(|n| f64::from(*n) * f64::from(*n)).sum::<f64>().sqrt();
    let scale = if length > f64::EPSILON { (1.0 / length) as f32 } else { 0.0 };
    histogram.iter_mut().for_each(|n| *n *= scale);
    histogram
}

/// `compareHist` with `HISTCMP_CORREL`.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let (mut sa, mut sb, mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        sa += a;
        sb += b;
        aa += a * a;
        bb += b * b;
        ab += a * b;
    }
    let scale = 1.0 / a.len() as f64;
    let below = (aa - sa * sa * scale) * (bb - sb * sb * scale);
    if below.abs() > f64::EPSILON { (ab - sa * sb * scale) / below.sqrt() } else { 1.0 }
}

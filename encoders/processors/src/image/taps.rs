//! Weights of a resampling pass, in fixed point.

use super::interpolation::Interpolation;

/// Fractional bits of a weight: 32, less 8 for the byte and 2 for what overshooting filters add.
pub(crate) const BITS: u32 = 22;

/// For each output position the first input position and its weights.
pub(crate) struct Taps {
    pub(crate) first: Vec<usize>,
    weights: Vec<i32>,
    /// Length of a window.
    pub(crate) most: usize,
}

impl Taps {
    /// From `input` positions to positions `from .. from + n` of `output`.
    pub(crate) fn new(filter: Interpolation, input: u32, output: u32, from: u32, n: u32) -> Self {
        let most = (filter.support() * widened(input, output)).ceil() as usize * 2 + 1;
        let mut taps = Self { first: Vec::new(), weights: vec![0; most * n as usize], most };
        for (i, row) in (from..from + n).zip(taps.weights.chunks_exact_mut(most)) {
            let (first, weights) = exact(filter, input, output, i);
            for (w, weight) in row.iter_mut().zip(weights) {
                *w = (weight * f64::from(1 << BITS)).round() as i32;
            }
            // The last positions' windows are moved back so that every window lies inside.
            let (first, last) = (first as usize, (input as usize).saturating_sub(most));
            if first > last {
                row.rotate_right((first - last) % most);
            }
            taps.first.push(first.min(last));
        }
        taps
    }

    /// First input position and weights of output position `i`.
    pub(crate) fn window(&self, i: usize) -> (usize, &[i32]) {
        (self.first[i], &self.weights[i * self.most..(i + 1) * self.most])
    }
}

/// How much wider than at scale 1 the filter is.
fn widened(input: u32, output: u32) -> f64 {
    (f64::from(input) / f64::from(output)).max(1.0)
}

/// The first input position that position `i` of `output` is made of, and the weights from there on; their sum is 1.
pub(super) fn exact(filter: Interpolation, input: u32, output: u32, i: u32) -> (u32, Vec<f64>) {
    let (scale, wide) = (f64::from(input) / f64::from(output), widened(input, output));
    let support = filter.support() * wide;
    let centre = (f64::from(i) + 0.5) * scale;
    let first = ((centre - support + 0.5) as i64).max(0);
    let count = ((centre + support + 0.5) as i64).min(i64::from(input)) - first;
    let weights: Vec<f64> =
        (0..count).map(|k| filter.at(((k + first) as f64 - centre + 0.5) / wide)).collect();
    let sum: f64 = weights.iter().sum();
    let sum = if sum == 0.0 { 1.0 } else { sum };
    (first as u32, weights.iter().map(|weight| weight / sum).collect())
}

#[inline(always)]
pub(crate) fn byte(sum: i32) -> u8 {
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
}

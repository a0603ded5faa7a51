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
        let scale = f64::from(input) / f64::from(output);
        let (wide, input) = (scale.max(1.0), i64::from(input));
        let support = filter.support() * wide;
        let most = support.ceil() as usize * 2 + 1;
        let mut taps = Self { first: Vec::new(), weights: vec![0; most * n as usize], most };
        for (i, row) in (from..from + n).zip(taps.weights.chunks_exact_mut(most)) {
            let centre = (f64::from(i) + 0.5) * scale;
            let first = ((centre - support + 0.5) as i64).max(0);
            let count = ((centre + support + 0.5) as i64).min(input) - first;
            let weigh = |k: i64| filter.at(((k + first) as f64 - centre + 0.5) / wide);
            let sum: f64 = (0..count).map(weigh).sum();
            for (k, w) in row.iter_mut().enumerate().take(count.max(0) as usize) {
                let weight = weigh(k as i64) / if sum == 0.0 { 1.0 } else { sum };
                *w = (weight * f64::from(1 << BITS)).round() as i32;
            }
            // The last positions' windows are moved back so that every window lies inside.
            let last = (input - most as i64).max(0);
            if first > last {
                row.rotate_right((first - last) as usize % most);
            }
            taps.first.push(first.min(last) as usize);
        }
        taps
    }

    /// First input position and weights of output position `i`.
    pub(crate) fn window(&self, i: usize) -> (usize, &[i32]) {
        (self.first[i], &self.weights[i * self.most..(i + 1) * self.most])
    }
}

#[inline(always)]
pub(crate) fn byte(sum: i32) -> u8 {
    ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
}

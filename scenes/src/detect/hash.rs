//! Perceptual hashes: which low frequencies of a small grey image lie above their median.

use super::area::area;
use super::clock::{Clock, Position};
use super::length::Least;
use super::settings::HashSettings;
use std::f64::consts::PI;

/// PySceneDetect's `HashDetector`.
#[derive(Debug, Clone)]
pub(super) struct Hash {
    settings: HashSettings,
    least: Least,
    transform: Transform,
    last: Option<Vec<bool>>,
    last_cut: Option<Position>,
}

impl Hash {
    pub(super) fn new(settings: &HashSettings, least: Least) -> Self {
        let transform = Transform::new(settings.size * settings.lowpass);
        Self { settings: settings.clone(), least, transform, last: None, last_cut: None }
    }

    /// The share of bits that differ from the frame before, and whether a shot begins.
    pub(super) fn push(
        &mut self,
        clock: &Clock,
        at: Position,
        grey: &[u8],
        size: (usize, usize),
    ) -> (Option<f64>, bool) {
        let last_cut = *self.last_cut.get_or_insert(at);
        let now = self.hash(grey, size);
        let bits = now.len() as f64;
        let found = self.last.as_ref().map(|last| {
            let differing = now.iter().zip(last).filter(|(a, b)| a != b).count();
            differing as f64 / bits
        });
        self.last = Some(now);
        let cut =
            found.is_some_and(|d| d >= self.settings.threshold) && clock.enough(last_cut, at, self.least);
        if cut {
            self.last_cut = Some(at);
        }
        (found, cut)
    }

    fn hash(&self, grey: &[u8], size: (usize, usize)) -> Vec<bool> {
        let (bits, side) = (self.settings.size, self.settings.size * self.settings.lowpass);
        let small = area(grey, size, (side, side));
        let most = f32::from(small.iter().copied().max().unwrap_or(0).max(1));
        let values: Vec<f64> = small.iter().map(|v| f64::from(f32::from(*v) / most)).collect();
        let low = self.transform.low(&values, bits);
        let mut sorted = low.clone();
        sorted.sort_unstable_by(f32::total_cmp);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        low.iter().map(|value| *value > median).collect()
    }
}

/// The orthonormal cosine transform (DCT-II) of `n` values. Sums and differences of values that mirror each other are taken first, so
/// that of a plain image all but the first are exactly 0 where `n` is a power of two, as OpenCV has it.
#[derive(Debug, Clone)]
struct Transform {
    n: usize,
    /// Cosines for each half, quarter … of the length: of the odd outputs, and of all where the length is odd.
    cosines: Vec<Vec<f64>>,
}

impl Transform {
    fn new(n: usize) -> Self {
        let mut cosines = Vec::new();
        let mut length = n;
        loop {
            let odd = length % 2 == 1;
            let (outputs, inputs) = if odd { (length, length) } else { (length / 2, length / 2) };
            let mut table = Vec::with_capacity(outputs * inputs);
            for k in 0..outputs {
                let k = if odd { k } else { 2 * k + 1 };
                table
                    .extend((0..inputs).map(|i| (PI * ((2 * i + 1) * k) as f64 / (2 * length) as f64).cos()));
            }
            cosines.push(table);
            if odd {
                return Self { n, cosines };
            }
            length /= 2;
        }
    }

    /// Sums of `values` times cosines, not scaled; `values` is used up.
    fn line(&self, values: &mut [f64], level: usize, out: &mut [f64], step: usize) {
        let n = values.len();
        let table = &self.cosines[level];
        if n % 2 == 1 {
            for k in 0..n {
                out[k * step] = table[k * n..(k + 1) * n].iter().zip(&*values).map(|(c, v)| c * v).sum();
            }
            return;
        }
        let half = n / 2;
        let differences: Vec<f64> = (0..half).map(|i| values[i] - values[n - 1 - i]).collect();
        for k in 0..half {
            let cosines = &table[k * half..(k + 1) * half];
            out[(2 * k + 1) * step] = cosines.iter().zip(&differences).map(|(c, v)| c * v).sum();
        }
        for i in 0..half {
            values[i] += values[n - 1 - i];
        }
        self.line(&mut values[..half], level + 1, out, step * 2);
    }

    /// The `bits` x `bits` lowest frequencies of `n` x `n` values.
    fn low(&self, values: &[f64], bits: usize) -> Vec<f32> {
        let n = self.n;
        let scale = |k: usize| if k == 0 { (1.0 / n as f64).sqrt() } else { (2.0 / n as f64).sqrt() };
        let (mut line, mut out) = (vec![0.0; n], vec![0.0; n]);
        let mut rows = vec![0.0; n * bits];
        for (row, into) in values.chunks_exact(n).zip(rows.chunks_exact_mut(bits)) {
            line.copy_from_slice(row);
            self.line(&mut line, 0, &mut out, 1);
            into.copy_from_slice(&out[..bits]);
        }
        let mut low = vec![0.0; bits * bits];
        for x in 0..bits {
            for (y, value) in line.iter_mut().enumerate() {
                *value = rows[y * bits + x];
            }
            self.line(&mut line, 0, &mut out, 1);
            for y in 0..bits {
                low[y * bits + x] = (out[y] * scale(x) * scale(y)) as f32;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transform_is_the_sum_of_its_definition() {
        for n in [1, 2, 6, 24, 32] {
            let values: Vec<f64> = (0..n * n).map(|i| ((i * 37 + i / 5) % 101) as f64 / 100.0).collect();
            let found = Transform::new(n).low(&values, n);
            let cosine = |i: usize, k: usize| {
                let scale = if k == 0 { 1.0 } else { 2.0f64 };
                (scale / n as f64).sqrt() * (PI * ((2 * i + 1) * k) as f64 / (2 * n) as f64).cos()
            };
            for (ky, kx) in (0..n).flat_map(|y| (0..n).map(move |x| (y, x))) {
                let mut sum = 0.0;
                for (y, x) in (0..n).flat_map(|y| (0..n).map(move |x| (y, x))) {
                    sum += values[y * n + x] * cosine(y, ky) * cosine(x, kx);
                }
                assert!((f64::from(found[ky * n + kx]) - sum).abs() < 1e-5, "{n} {ky} {kx}");
            }
        }
        let plain = Transform::new(32).low(&[0.7; 1024], 16);
        assert!(plain[1..].iter().all(|v| *v == 0.0));
    }
}

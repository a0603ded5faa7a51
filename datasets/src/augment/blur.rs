//! Gaussian blur.

use image::RgbImage;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::{between, chance, check_range, check_value};
use crate::Result;

/// Gaussian blur (SimCLR, Chen et al. 2020) of [`ImageAugment`](super::ImageAugment).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Blur {
    /// Probability.
    pub probability: f32,
    /// Standard deviation in pixels of the image that the tower sees, drawn from `[low, high]`.
    pub sigma: [f32; 2],
}

impl Default for Blur {
    fn default() -> Self {
        Self { probability: 0.0, sigma: [0.1, 2.0] }
    }
}

impl Blur {
    pub(super) fn validate(&self) -> Result<()> {
        check_value("blur.probability", self.probability, [0.0, 1.0])?;
        check_range("blur.sigma", self.sigma, [0.0, 100.0])
    }

    pub(super) fn apply(&self, img: &mut RgbImage, rng: &mut impl Rng) {
        if chance(self.probability, rng) {
            blur(img, between(self.sigma, rng));
        }
    }
}

/// The weights from the middle one outwards, as far as three standard deviations.
fn weights(sigma: f32) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as usize;
    let at = |k: usize| (-0.5 * (k as f64 / f64::from(sigma)).powi(2)).exp();
    let sum = at(0) + 2.0 * (1..=radius).map(at).sum::<f64>();
    (0..=radius).map(|k| (at(k) / sum) as f32).collect()
}

/// The place that mirroring at the first and the last leads to, as torchvision pads.
fn mirrored(at: i64, length: usize) -> usize {
    let last = length as i64 - 1;
    if last == 0 {
        return 0;
    }
    let at = at.rem_euclid(2 * last);
    at.min(2 * last - at) as usize
}

/// Along rows, then along columns; rounded once, at the end.
fn blur(img: &mut RgbImage, sigma: f32) {
    let (width, height) = (img.width() as usize, img.height() as usize);
    if sigma <= 0.0 || img.is_empty() {
        return;
    }
    let weights = weights(sigma);
    let (radius, stride) = (weights.len() - 1, 3 * width);
    // Sums run over whole rows, a weight at a time: so they are done many at once.
    let mut across = vec![0f32; stride * height];
    let mut wide = vec![0f32; stride + 6 * radius];
    let raw: &[u8] = img.as_raw();
    for (row, out) in raw.chunks_exact(stride).zip(across.chunks_exact_mut(stride)) {
        for (column, pixel) in wide.chunks_exact_mut(3).enumerate() {
            let from = 3 * mirrored(column as i64 - radius as i64, width);
            pixel.iter_mut().zip(&row[from..from + 3]).for_each(|(p, v)| *p = f32::from(*v));
        }
        for (k, weight) in weights.iter().enumerate() {
            add(out, &wide[3 * (radius - k)..], *weight);
            if k > 0 {
                add(out, &wide[3 * (radius + k)..], *weight);
            }
        }
    }
    let mut down = vec![0f32; stride];
    let raw: &mut [u8] = img;
    for (row, out) in raw.chunks_exact_mut(stride).enumerate() {
        down.fill(0.5);
        let line = |at: i64| &across[stride * mirrored(at, height)..];
        for (k, weight) in weights.iter().enumerate() {
            add(&mut down, line(row as i64 - k as i64), *weight);
            if k > 0 {
                add(&mut down, line((row + k) as i64), *weight);
            }
        }
        // Truncation after adding one half rounds to nearest.
        out.iter_mut().zip(&down).for_each(|(o, v)| *o = *v as u8);
    }
}

fn add(out: &mut [f32], values: &[f32], weight: f32) {
    out.iter_mut().zip(values).for_each(|(o, v)| *o += weight * v);
}

#[cfg(test)]
#[path = "../tests/augment_blur.rs"]
mod tests;

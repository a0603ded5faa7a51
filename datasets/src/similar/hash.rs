//! Hashes of what images look like: those of images that look alike differ in few bits.

use super::{EDGE, GROUND, Thumbnail};
use std::f32::consts::PI;

const SIDE: usize = EDGE as usize;
/// So many of the lowest frequencies each way make the bits.
const LOW: usize = 8;

impl Thumbnail {
    /// 64 bits, of the image and of its mirror image: the 8 x 8 lowest frequencies of its brightness (a DCT), each more or less than their median (as
    /// pHash does it: Zauner, *Implementation and benchmarking of perceptual image hash functions*, 2010).
    pub fn hashes(&self) -> [u64; 2] {
        let bright = |p: &[u8]| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]);
        let pixels: Vec<f32> =
            self.values.get(..GROUND).unwrap_or_default().chunks_exact(3).map(bright).collect();
        let wave = |x: usize, u: usize| ((2 * x + 1) as f32 * u as f32 * PI / (2 * SIDE) as f32).cos();
        let mut rows = [[0f32; LOW]; SIDE];
        for (row, pixels) in rows.iter_mut().zip(pixels.chunks_exact(SIDE)) {
            for (u, sum) in row.iter_mut().enumerate() {
                *sum = pixels.iter().enumerate().map(|(x, p)| p * wave(x, u)).sum();
            }
        }
        let mut low = [0f32; LOW * LOW];
        for v in 0..LOW {
            for u in 0..LOW {
                low[v * LOW + u] = rows.iter().enumerate().map(|(y, row)| row[u] * wave(y, v)).sum();
            }
        }
        let mut mirrored = low;
        // Odd waves across change their sign.
        mirrored.iter_mut().skip(1).step_by(2).for_each(|value| *value = -*value);
        [bits(&low), bits(&mirrored)]
    }
}

fn bits(low: &[f32; LOW * LOW]) -> u64 {
    // The first one is the brightness of all of it, which says nothing of what is seen.
    let mut sorted: Vec<f32> = low[1..].to_vec();
    sorted.sort_by(f32::total_cmp);
    let median = sorted[sorted.len() / 2];
    low.iter().skip(1).fold(0, |bits, value| bits << 1 | u64::from(*value > median))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::imageops::{self, FilterType};
    use image::{Rgba, RgbaImage};

    /// A smooth random image.
    fn image(seed: u32) -> RgbaImage {
        let coarse = RgbaImage::from_fn(6, 6, |x, y| {
            let n = (x * 7 + y * 131 + seed * 7919).wrapping_mul(2_654_435_761);
            Rgba([(n >> 24) as u8, (n >> 16) as u8, (n >> 8) as u8, 255])
        });
        imageops::resize(&coarse, 80, 64, FilterType::CatmullRom)
    }

    #[test]
    fn what_looks_alike_differs_in_few_bits() {
        let apart = |a: u64, b: u64| (a ^ b).count_ones();
        for seed in 1..8 {
            let plain = image(seed);
            let [hash, mirrored] = Thumbnail::new(&plain).hashes();
            for like in
                [imageops::resize(&plain, 50, 40, FilterType::Triangle), imageops::brighten(&plain, 5)]
            {
                let [found, _] = Thumbnail::new(&like).hashes();
                assert!(apart(found, hash) <= 10, "{seed}: {}", apart(found, hash));
            }
            let flipped = Thumbnail::new(&imageops::flip_horizontal(&plain)).hashes();
            assert!(apart(flipped[0], mirrored) <= 10 && apart(flipped[1], hash) <= 10, "{seed}");
            let [other, _] = Thumbnail::new(&image(seed + 20)).hashes();
            assert!(apart(hash, other) > 10, "{seed}: {}", apart(hash, other));
        }
    }
}

//! Antialiased resampling of 8-bit RGB as Pillow does it, which the public models were trained and are evaluated with: two passes,
//! rows first, rounded to 8 bits between them, in fixed point with 22 fractional bits. The results are the same bytes.
//!
//! Pillow 13 resizes an image whose height shrinks much more than its width columns first; that moves some of its bytes by one
//! level. The models of today were trained before it, so the older order is kept.

use super::interpolation::Interpolation;
use super::taps::{Taps, byte};
use image::RgbImage;

/// `image` resized to `width` × `height`, of which the part of `size` pixels at `corner` is computed (x, then y).
pub(super) fn resize(
    image: &RgbImage,
    (width, height): (u32, u32),
    corner: (u32, u32),
    size: (u32, u32),
    filter: Interpolation,
) -> RgbImage {
    let (w, h) = image.dimensions();
    if filter == Interpolation::Nearest {
        let (xs, ys) = (nearest(w, width), nearest(h, height));
        return RgbImage::from_fn(size.0, size.1, |x, y| {
            *image.get_pixel(xs[(x + corner.0) as usize], ys[(y + corner.1) as usize])
        });
    }
    let columns = (w != width || size.0 != w).then(|| Taps::new(filter, w, width, corner.0, size.0));
    let rows = (h != height || size.1 != h).then(|| Taps::new(filter, h, height, corner.1, size.1));
    let (first, last) = match &rows {
        Some(t) => {
            let ends = t.first.iter().map(|f| (f + t.most).min(h as usize));
            (t.first.iter().copied().min().unwrap_or(0), ends.max().unwrap_or(0))
        }
        None => (0, h as usize),
    };
    let stride = w as usize * 3;
    let needed = &image.as_raw()[first * stride..last * stride];
    let wide = match &columns {
        Some(taps) => horizontal(needed, w as usize, taps, size.0 as usize),
        None => needed.to_vec(),
    };
    let bytes = match &rows {
        Some(taps) => vertical(&wide, size.0 as usize * 3, first, taps, size.1 as usize),
        None => wide,
    };
    RgbImage::from_raw(size.0, size.1, bytes).unwrap_or_else(|| RgbImage::new(size.0, size.1))
}

/// The input position of every output position. The step is added up, as Pillow does, and not multiplied: on exact halves the two
/// round apart.
fn nearest(input: u32, output: u32) -> Vec<u32> {
    let step = f64::from(input) / f64::from(output);
    let mut at = step * 0.5;
    (0..output)
        .map(|_| {
            let found = (at as u32).min(input - 1);
            at += step;
            found
        })
        .collect()
}

/// Whether the processor has the vectors of `resize_avx2`.
#[cfg(target_arch = "x86_64")]
fn wide_vectors() -> bool {
    is_x86_feature_detected!("avx2")
}

fn horizontal(bytes: &[u8], width: usize, taps: &Taps, out_width: usize) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if wide_vectors() {
        // SAFETY: the feature was found on this processor.
        return unsafe { super::resize_avx2::horizontal(bytes, width, taps, out_width) };
    }
    horizontal_anywhere(bytes, width, taps, out_width)
}

fn horizontal_anywhere(bytes: &[u8], width: usize, taps: &Taps, out_width: usize) -> Vec<u8> {
    let rows = bytes.len() / (width * 3).max(1);
    let mut out = vec![0u8; rows * out_width * 3];
    // Four numbers a pixel: one vector register. A window may reach past a narrow image's end, where its weights are zero.
    let mut wide = vec![[0i32; 4]; width.max(taps.most)];
    for (row, to) in bytes.chunks_exact(width * 3).zip(out.chunks_exact_mut(out_width * 3)) {
        for (p, q) in row.chunks_exact(3).zip(wide.iter_mut()) {
            *q = [i32::from(p[0]), i32::from(p[1]), i32::from(p[2]), 0];
        }
        for (i, to) in to.chunks_exact_mut(3).enumerate() {
            let (first, weights) = taps.window(i);
            let mut sum = [0i32; 4];
            for (p, w) in wide[first..first + weights.len()].iter().zip(weights) {
                for c in 0..4 {
                    sum[c] += p[c] * *w;
                }
            }
            to.copy_from_slice(&[byte(sum[0]), byte(sum[1]), byte(sum[2])]);
        }
    }
    out
}

fn vertical(bytes: &[u8], stride: usize, offset: usize, taps: &Taps, out_height: usize) -> Vec<u8> {
    let mut out = vec![0u8; stride * out_height];
    for (i, to) in out.chunks_exact_mut(stride).enumerate() {
        let (first, weights) = taps.window(i);
        let rows = &bytes[(first - offset) * stride..];
        #[cfg(target_arch = "x86_64")]
        if wide_vectors() {
            // SAFETY: the feature was found on this processor.
            unsafe { super::resize_avx2::sum_rows(rows, stride, weights, to) };
            continue;
        }
        sum_rows_anywhere(rows, stride, weights, to);
    }
    out
}

fn sum_rows_anywhere(rows: &[u8], stride: usize, weights: &[i32], to: &mut [u8]) {
    let mut sums = vec![0i32; stride];
    for (row, w) in rows.chunks_exact(stride).zip(weights) {
        if *w != 0 {
            for (s, b) in sums.iter_mut().zip(row) {
                *s += i32::from(*b) * *w;
            }
        }
    }
    for (b, s) in to.iter_mut().zip(sums.iter()) {
        *b = byte(*s);
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn vectors_give_the_same_bytes() {
        if !wide_vectors() {
            return;
        }
        let mut state = 1u32;
        let mut random = |most: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % most
        };
        use Interpolation::{Bicubic, Bilinear, Box, Hamming, Lanczos};
        for round in 0..200 {
            let filter = [Box, Bilinear, Hamming, Bicubic, Lanczos][round % 5];
            let (w, h) = (random(90) + 1, random(90) + 1);
            let (to_w, to_h) = (random(70) + 1, random(70) + 1);
            // Black and white beside each other: overshoot is cut at both ends.
            let bytes: Vec<u8> = (0..w * h * 3)
                .map(|_| if round % 2 == 0 { random(256) as u8 } else { random(2) as u8 * 255 })
                .collect();
            let taps = Taps::new(filter, w, to_w, 0, to_w);
            let plain = horizontal_anywhere(&bytes, w as usize, &taps, to_w as usize);
            assert_eq!(horizontal(&bytes, w as usize, &taps, to_w as usize), plain, "{filter:?} {w} {to_w}");
            let taps = Taps::new(filter, h, to_h, 0, to_h);
            let stride = to_w as usize * 3;
            let mut want = vec![0; stride * to_h as usize];
            for (i, to) in want.chunks_exact_mut(stride).enumerate() {
                let (first, weights) = taps.window(i);
                sum_rows_anywhere(&plain[first * stride..], stride, weights, to);
            }
            assert_eq!(vertical(&plain, stride, 0, &taps, to_h as usize), want, "{filter:?} {h} {to_h}");
        }
    }
}

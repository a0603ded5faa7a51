//! Crop, rotation, flip and resize in one bilinear pass.

use std::borrow::Cow;

use image::RgbImage;

/// The part of an image that becomes the result: a rectangle in pixel coordinates (pixel `i` covers `[i, i + 1]`).
pub(super) struct Window {
    pub centre: [f32; 2],
    pub size: [f32; 2],
    /// Radians, of the window against the image.
    pub angle: f32,
    pub flip: bool,
}

/// Samples the window at `width` x `height` points; outside the image lies `fill`.
pub(super) fn warp(img: &RgbImage, window: &Window, (width, height): (u32, u32), fill: [u8; 3]) -> RgbImage {
    if img.is_empty() {
        return RgbImage::from_pixel(width, height, image::Rgb(fill));
    }
    let whole = window.size == [img.width() as f32, img.height() as f32] && window.angle == 0.0;
    if whole && img.dimensions() == (width, height) {
        // Every pixel is read at its centre: it is itself.
        return if window.flip { image::imageops::flip_horizontal(img) } else { img.clone() };
    }
    // Source pixels a target pixel spans. Bilinear sampling reads 2 x 2 pixels: beyond that it would skip some (aliasing),
    // so large images are halved first and the rest is averaged over 2 x 2 points.
    let mut span = (window.size[0] / width as f32).max(window.size[1] / height as f32);
    let mut source = Cow::Borrowed(img);
    let mut shrink = 1.0;
    while span >= 2.0 && source.width() >= 2 && source.height() >= 2 {
        source = Cow::Owned(halve(&source));
        (span, shrink) = (span / 2.0, shrink / 2.0);
    }
    let points = if span > 1.25 { 2 } else { 1 };
    // Halving drops the last row or column of odd sizes, so the scale is the exact ratio of what is left.
    let scale = |full: u32, now: u32| if shrink == 1.0 { 1.0 } else { now as f32 / full as f32 };
    let (sx, sy) = (scale(img.width(), source.width()), scale(img.height(), source.height()));
    let (sin, cos) = window.angle.sin_cos();
    // Affine map from target point (u, v in -0.5..0.5 of the window) to source coordinates.
    let (w, h) = (if window.flip { -window.size[0] } else { window.size[0] }, window.size[1]);
    let (ux, uy) = (w * cos * sx, w * sin * sy);
    let (vx, vy) = (-h * sin * sx, h * cos * sy);
    let (cx, cy) = (window.centre[0] * sx, window.centre[1] * sy);

    let canvas = Canvas::new(&source, fill);
    let (across, down) = (1.0 / (width * points) as f32, 1.0 / (height * points) as f32);
    let weight = 1.0 / (points * points) as f32;
    let mut out = RgbImage::new(width, height);
    for (row, line) in out.chunks_exact_mut(3 * width as usize).enumerate() {
        for (column, pixel) in line.chunks_exact_mut(3).enumerate() {
            let mut sum = [0.0f32; 4];
            for i in 0..points * points {
                let u = ((column as u32 * points + i % points) as f32 + 0.5) * across - 0.5;
                let v = ((row as u32 * points + i / points) as f32 + 0.5) * down - 0.5;
                let value = canvas.sample(cx + ux * u + vx * v, cy + uy * u + vy * v);
                sum = std::array::from_fn(|k| sum[k] + value[k]);
            }
            // Truncation after adding one half rounds to nearest.
            let [r, g, b, _] = sum.map(|s| (s * weight + 0.5) as u8);
            pixel.copy_from_slice(&[r, g, b]);
        }
    }
    out
}

/// An image made ready for reading between its pixels: four floats a pixel (the fourth is idle, it lets the compiler use
/// vector registers), the border repeated once all round so that no reading needs a check.
struct Canvas {
    pixels: Vec<[f32; 4]>,
    width: f32,
    height: f32,
    stride: usize,
    fill: [f32; 4],
}

impl Canvas {
    fn new(img: &RgbImage, [r, g, b]: [u8; 3]) -> Self {
        let stride = img.width() as usize + 2;
        let mut pixels = Vec::with_capacity(stride * (img.height() as usize + 2));
        let rows = img.height() as usize;
        let line = 3 * img.width() as usize;
        for row in std::iter::once(0).chain(0..rows).chain(std::iter::once(rows - 1)) {
            let start = pixels.len();
            // Room for the left border, which is known when the first pixel is.
            pixels.push([0.0; 4]);
            let raw: &[u8] = &img.as_raw()[row * line..][..line];
            pixels.extend(
                raw.chunks_exact(3).map(|p| [f32::from(p[0]), f32::from(p[1]), f32::from(p[2]), 0.0]),
            );
            pixels[start] = pixels[start + 1];
            pixels.push(pixels[pixels.len() - 1]);
        }
        let fill = [r, g, b, 0].map(f32::from);
        Self { pixels, width: img.width() as f32, height: img.height() as f32, stride, fill }
    }

    /// Bilinear value at a point; pixel centres lie at half-integers. An unrotated full window meets no fill.
    #[inline]
    fn sample(&self, x: f32, y: f32) -> [f32; 4] {
        // A hair's breadth of tolerance: rounding must not turn the outermost points of a full window into fill.
        const HAIR: f32 = 1e-3;
        let inside = |v: f32, full: f32| v >= -HAIR && v <= full + HAIR;
        if !(inside(x, self.width) && inside(y, self.height)) {
            return self.fill;
        }
        // One pixel on for the border, half a pixel back for the centres: never negative.
        let (x, y) = (x + 0.5, y + 0.5);
        let (left, top) = (x as usize, y as usize);
        let (fx, fy) = (x - left as f32, y - top as f32);
        let upper = top * self.stride + left;
        let lower = upper + self.stride;
        let pair = |at: usize| match self.pixels.get(at..at + 2) {
            Some([a, b]) => (*a, *b),
            _ => (self.fill, self.fill),
        };
        let ((a, b), (c, d)) = (pair(upper), pair(lower));
        std::array::from_fn(|k| {
            let upper = a[k] + (b[k] - a[k]) * fx;
            let lower = c[k] + (d[k] - c[k]) * fx;
            upper + (lower - upper) * fy
        })
    }
}

/// Half the width and height, each pixel the mean of four.
fn halve(img: &RgbImage) -> RgbImage {
    let (width, height) = (img.width() / 2, img.height() / 2);
    let stride = img.width() as usize * 3;
    let raw: &[u8] = img.as_raw();
    let mut out = RgbImage::new(width, height);
    for (row, line) in out.chunks_exact_mut(3 * width as usize).enumerate() {
        let above = &raw[2 * row * stride..][..stride];
        let below = &raw[(2 * row + 1) * stride..][..stride];
        for (column, pixel) in line.chunks_exact_mut(3).enumerate() {
            for (k, value) in pixel.iter_mut().enumerate() {
                let i = 6 * column + k;
                let sum = [above[i], above[i + 3], below[i], below[i + 3]].map(u32::from).iter().sum::<u32>();
                *value = ((sum + 2) / 4) as u8;
            }
        }
    }
    out
}

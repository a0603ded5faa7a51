//! Antialiased resampling of greys of 16 bits as Pillow does it: rows first, in double precision, rounded to 16 bits between the passes.

use super::interpolation::Interpolation;
use super::taps::exact;
use unisono_media::decode::DeepImage;

/// `image` resized to `width` × `height`; the same where it has that size.
pub(super) fn resize(image: &DeepImage, (width, height): (u32, u32), filter: Interpolation) -> DeepImage {
    let (w, h) = image.dimensions();
    let across = |image: &DeepImage| {
        let windows: Vec<_> = (0..width).map(|x| exact(filter, w, width, x)).collect();
        DeepImage::from_fn(width, image.height(), |x, y| {
            let (first, weights) = &windows[x as usize];
            sum(weights, (*first..).map(|x| image.get_pixel(x, y).0[0]))
        })
    };
    let down = |image: &DeepImage| {
        let windows: Vec<_> = (0..height).map(|y| exact(filter, h, height, y)).collect();
        DeepImage::from_fn(image.width(), height, |x, y| {
            let (first, weights) = &windows[y as usize];
            sum(weights, (*first..).map(|y| image.get_pixel(x, y).0[0]))
        })
    };
    let wide = if w == width { image.clone() } else { across(image) };
    if h == height { wide } else { down(&wide) }
}

/// Pillow cuts each byte of the sum by itself, so what overshoots keeps its low one.
fn sum(weights: &[f64], values: impl Iterator<Item = u16>) -> image::Luma<u16> {
    let sum: f64 = weights.iter().zip(values).map(|(weight, value)| weight * f64::from(value)).sum();
    let whole = sum.round() as i64;
    image::Luma([match whole {
        ..=0 => 0,
        1..=0xffff => whole as u16,
        _ => 0xff00 | (whole & 0xff) as u16,
    }])
}

//! Small images with transparency.

use std::path::Path;

use image::codecs::png::PngEncoder;
use image::imageops::{self, FilterType};
use image::{ExtendedColorType, ImageEncoder, Rgba, RgbaImage};

use crate::Result;
use unisono_files::write_atomic;

/// Shrinks an image so its longest edge is at most `edge` pixels; smaller ones stay.
pub(super) fn shrink(image: RgbaImage, edge: u32) -> RgbaImage {
    let (width, height) = image.dimensions();
    let longest = width.max(height);
    if longest <= edge {
        return image;
    }
    let side = |full: u32| {
        ((u64::from(full) * u64::from(edge) + u64::from(longest) / 2) / u64::from(longest)).max(1) as u32
    };
    // Averages weighted by alpha: otherwise the invisible colour of transparent pixels would tint the edges.
    let mut weighted = image;
    for Rgba([r, g, b, a]) in weighted.pixels_mut() {
        [r, g, b].into_iter().for_each(|c| *c = ((u32::from(*c) * u32::from(*a) + 127) / 255) as u8);
    }
    let mut small = imageops::resize(&weighted, side(width), side(height), FilterType::CatmullRom);
    for Rgba([r, g, b, a]) in small.pixels_mut().filter(|p| p.0[3] > 0) {
        let alpha = u32::from(*a);
        [r, g, b].into_iter().for_each(|c| *c = ((u32::from(*c) * 255 + alpha / 2) / alpha).min(255) as u8);
    }
    small
}

/// The image in the middle of a transparent square of `edge` pixels.
pub(super) fn square(image: RgbaImage, edge: u32) -> RgbaImage {
    let image = shrink(image, edge);
    if image.dimensions() == (edge, edge) {
        return image;
    }
    let mut canvas = RgbaImage::new(edge, edge);
    let offset = |side: u32| i64::from((edge - side) / 2);
    imageops::replace(&mut canvas, &image, offset(image.width()), offset(image.height()));
    canvas
}

/// Writes a PNG, atomically.
pub(super) fn save(image: &RgbaImage, path: &Path) -> Result<()> {
    Ok(write_atomic(path, |out| {
        PngEncoder::new(out)
            .write_image(image, image.width(), image.height(), ExtendedColorType::Rgba8)
            .map_err(std::io::Error::other)
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_colour_does_not_bleed() {
        // Left half opaque red, right half invisible green.
        let image =
            RgbaImage::from_fn(
                64,
                32,
                |x, _| if x < 32 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) },
            );
        let small = shrink(image, 8);
        assert_eq!(small.dimensions(), (8, 4));
        for pixel in small.pixels().filter(|p| p.0[3] > 8) {
            assert!(pixel.0[0] > 240 && pixel.0[1] < 8, "{pixel:?}");
        }
    }

    #[test]
    fn a_square_keeps_the_shape() {
        let wide = RgbaImage::from_pixel(40, 10, Rgba([1, 2, 3, 255]));
        let out = square(wide, 20);
        assert_eq!(out.dimensions(), (20, 20));
        let opaque = out.enumerate_pixels().filter(|(_, _, p)| p.0[3] == 255).count();
        assert_eq!(opaque, 20 * 5);
        assert_eq!(out.get_pixel(0, 0).0[3], 0);
    }
}

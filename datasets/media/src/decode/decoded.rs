//! An image as its file holds it, before it becomes colours.

use image::{DynamicImage, ImageBuffer, Pixel, Rgb, RgbImage, RgbaImage};

/// What the channels of a decoded image mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// Greys or colours, and transparency.
    Colours,
    /// Four inks, 255 the most of each: cyan, magenta, yellow, black.
    Inks,
    /// The colours that numbers stand for, and these in their order.
    Indexed(Vec<[u8; 3]>),
}

/// Pixels, upright, of 8 or 16 bits.
#[derive(Debug)]
pub(super) struct Decoded {
    pub(super) image: DynamicImage,
    pub(super) form: Form,
}

impl Decoded {
    /// Colours of 8 bits.
    pub(super) fn colours(self) -> DynamicImage {
        match self.form {
            Form::Inks => DynamicImage::ImageRgb8(printed(&self.image.into_rgba8())),
            Form::Colours | Form::Indexed(_) => high_bytes(self.image),
        }
    }
}

/// Four inks → the colours that Pillow makes of them.
pub fn printed(inks: &RgbaImage) -> RgbImage {
    let bytes = inks.pixels().flat_map(|pixel| {
        let [cyan, magenta, yellow, black] = pixel.0;
        let light = u32::from(255 - black);
        [cyan, magenta, yellow].map(|ink| {
            let shade = u32::from(ink) * light + 128;
            light.saturating_sub(((shade >> 8) + shade) >> 8) as u8
        })
    });
    let (width, height) = inks.dimensions();
    let bytes = bytes.collect();
    RgbImage::from_raw(width, height, bytes)
        .unwrap_or_else(|| RgbImage::from_pixel(width, height, Rgb([0; 3])))
}

/// 16-bit channels → their high bytes, as libpng's readers strip them; the crate's own conversion rounds.
fn high_bytes(image: DynamicImage) -> DynamicImage {
    fn strip<P, Q>(from: &ImageBuffer<P, Vec<u16>>) -> Option<ImageBuffer<Q, Vec<u8>>>
    where
        P: Pixel<Subpixel = u16>,
        Q: Pixel<Subpixel = u8>,
    {
        let bytes = from.as_raw().iter().map(|v| (v >> 8) as u8).collect();
        ImageBuffer::from_raw(from.width(), from.height(), bytes)
    }
    let stripped = match &image {
        DynamicImage::ImageLuma16(p) => strip(p).map(DynamicImage::ImageLuma8),
        DynamicImage::ImageLumaA16(p) => strip(p).map(DynamicImage::ImageLumaA8),
        DynamicImage::ImageRgb16(p) => strip(p).map(DynamicImage::ImageRgb8),
        DynamicImage::ImageRgba16(p) => strip(p).map(DynamicImage::ImageRgba8),
        _ => None,
    };
    stripped.unwrap_or(image)
}

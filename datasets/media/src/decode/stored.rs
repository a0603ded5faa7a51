//! Images as Pillow keeps them, where that decides how they are resized before they become RGB.

use image::{ImageFormat, RgbaImage};

use super::image::{EXPECTED, decode_bytes};
use super::options::ImageOptions;
use super::palettes;
use crate::{Blob, Result};

/// What Pillow keeps an image as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// Colours or greys: each channel by itself.
    Plain,
    /// With transparency: colours weighted by it.
    Transparent,
    /// Numbers of colours, or single bits: they cannot be mixed. What each number stands for, where it is known; black is what lies beyond.
    Indexed(Vec<[u8; 3]>),
}

/// An image with its transparency (straight alpha), and what Pillow keeps it as: palettes and single bits of PNG, GIF, BMP
/// and TIFF are indexed; a colour that PNG calls transparent is a note beside plain pixels.
///
/// # Errors
/// As [`image`](fn@super::image).
pub fn stored(from: impl Into<Blob>, options: &ImageOptions) -> Result<(RgbaImage, Stored)> {
    let blob = from.into();
    let bytes = blob.read(EXPECTED, &options.limits)?;
    let image = decode_bytes(blob.name(), &bytes, options)?;
    let format = image::guess_format(&bytes).ok();
    // Depth and colour type stand in the first chunk of every PNG.
    let kind = match (format, bytes.get(24..26)) {
        (Some(ImageFormat::Png), Some(&[_, 3])) => Stored::Indexed(palettes::png(&bytes).unwrap_or_default()),
        (Some(ImageFormat::Png), Some(&[1, 0])) => Stored::Indexed(palettes::bits()),
        (Some(ImageFormat::Gif), _) => Stored::Indexed(palettes::gif(&bytes).unwrap_or_default()),
        (Some(ImageFormat::Png), Some(&[_, 0 | 2])) => Stored::Plain,
        (Some(ImageFormat::Bmp), _) => palettes::bmp(&bytes).map_or(Stored::Plain, Stored::Indexed),
        (Some(ImageFormat::Tiff), _) if palettes::is_bits_of_tiff(&bytes) => {
            Stored::Indexed(palettes::bits())
        }
        _ if image.color().has_alpha() => Stored::Transparent,
        _ => Stored::Plain,
    };
    Ok((image.into_rgba8(), kind))
}

//! Images as Pillow keeps them, where that decides how they are resized before they become RGB.

use image::{ImageFormat, RgbaImage};

use super::image::{EXPECTED, decode_bytes};
use super::options::ImageOptions;
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

/// An image with its transparency (straight alpha), and what Pillow keeps it as: PNG's palettes and bits, and GIF's palettes, are indexed; a
/// colour that PNG calls transparent is a note beside plain pixels.
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
        (Some(ImageFormat::Png), Some(&[_, 3])) => Stored::Indexed(png_palette(&bytes).unwrap_or_default()),
        (Some(ImageFormat::Png), Some(&[1, 0])) => {
            Stored::Indexed((0..=255u8).map(|bit| [if bit == 0 { 0 } else { 255 }; 3]).collect())
        }
        (Some(ImageFormat::Gif), _) => Stored::Indexed(gif_palette(&bytes).unwrap_or_default()),
        (Some(ImageFormat::Png), Some(&[_, 0 | 2])) => Stored::Plain,
        _ if image.color().has_alpha() => Stored::Transparent,
        _ => Stored::Plain,
    };
    Ok((image.into_rgba8(), kind))
}

fn colours(bytes: &[u8]) -> Vec<[u8; 3]> {
    bytes.as_chunks().0.to_vec()
}

/// The chunk of colours, which comes before the pixels.
fn png_palette(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let (kind, data) = (rest.get(4..8)?, rest.get(8..)?);
        if kind == b"PLTE" {
            return Some(colours(data.get(..length)?));
        }
        rest = data.get(length.checked_add(4)?..)?;
    }
}

/// The table of colours for all frames, after the size of the screen.
fn gif_palette(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    let flags = *bytes.get(10)?;
    let most = 3usize << ((flags & 7) + 1);
    if flags & 0x80 == 0 { None } else { Some(colours(bytes.get(13..13 + most)?)) }
}

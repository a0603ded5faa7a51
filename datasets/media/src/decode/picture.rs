//! Pictures: PNG, JPEG, WebP, GIF (first frame), BMP, TIFF through `image`, SVG through `resvg`.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{
    DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader, Pixel, RgbImage, RgbaImage,
};
use serde::{Deserialize, Serialize};

use super::reduced::{self, BYTES_A_PIXEL};
use super::{part, vector};
use crate::files::read_media;
use crate::limits::Truncated;
use crate::{Error, Limits, Result};

/// Most bytes of a PNG's profile, texts and rows.
pub(crate) const PNG_BESIDE: u64 = 64 << 20;

const EXPECTED: &str = "a PNG, JPEG, WebP, GIF, BMP, TIFF or SVG picture";

/// How a picture file becomes pixels. A change here changes embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// RGB colour that transparent pixels are laid over.
    pub background: [u8; 3],
    /// Transparency is dropped instead, and the colour under it shows, as Pillow's conversion to RGB does.
    pub drop_alpha: bool,
    /// Longest edge of a vector picture, in pixels.
    pub svg_size: u32,
    /// Bounds checked before decoding.
    pub limits: Limits,
}

impl Default for ImageOptions {
    /// White background, vectors at 256 pixels.
    fn default() -> Self {
        Self { background: [255; 3], drop_alpha: false, svg_size: 256, limits: Limits::default() }
    }
}

/// Decodes a picture to 8-bit RGB, upright as its EXIF orientation says, transparency laid over the background.
///
/// Grey, palette, CMYK, transparent and deep pictures give Pillow's `convert("RGB")` (its transparency dropped, with `drop_alpha`), but
/// for these, on purpose:
/// - Pillow, and with it the public models' libraries, shows a picture as it is stored; here it is turned upright.
/// - 16-bit grey keeps its high byte, as 16-bit colour does in both; Pillow cuts it at 255, which leaves white.
///
/// Of the libraries' own treatment of transparency: transformers lays it over white (5.23; 4.57 dropped it as `drop_alpha` does). OpenCLIP
/// resizes first, colours weighted by their opacity, palettes and bits by the nearest pixel, inks as they are, and converts then: neither
/// option gives its bytes for such pictures.
///
/// A JPEG or PNG of more than [`Limits::max_pixels`] is read at a half, a quarter or an eighth of its size.
///
/// # Errors
/// [`Error::Io`], [`Error::Limit`] (found from the header), [`Error::Media`] for anything that is not a whole picture; one that is cut off is
/// used as far as it goes where [`Limits::truncated`] says so.
pub fn image(path: &Path, options: &ImageOptions) -> Result<RgbImage> {
    Ok(match decode(path, options)? {
        picture if picture.color().has_alpha() && !options.drop_alpha => {
            flatten(&picture.into_rgba8(), options.background)
        }
        picture => picture.into_rgb8(),
    })
}

/// [`image`](fn@image) with its transparency kept (straight alpha).
///
/// # Errors
/// As [`image`](fn@image).
pub fn rgba(path: &Path, options: &ImageOptions) -> Result<RgbaImage> {
    decode(path, options).map(DynamicImage::into_rgba8)
}

/// [`rgba`] from memory; `path` is for messages.
///
/// # Errors
/// As [`image`](fn@image).
pub fn rgba_of(path: &Path, bytes: &[u8], options: &ImageOptions) -> Result<RgbaImage> {
    decode_bytes(path, bytes, options).map(DynamicImage::into_rgba8)
}

fn decode(path: &Path, options: &ImageOptions) -> Result<DynamicImage> {
    decode_bytes(path, &read_media(path, EXPECTED, &options.limits)?, options)
}

fn decode_bytes(path: &Path, bytes: &[u8], options: &ImageOptions) -> Result<DynamicImage> {
    if vector::is_svg(bytes) {
        return vector::render(path, bytes, options).map(DynamicImage::ImageRgba8);
    }
    let Ok(format) = image::guess_format(bytes) else {
        return Err(Error::media(path, EXPECTED, describe(bytes)));
    };
    let limits = &options.limits;
    let bytes = match part::whole(path, bytes, format, limits)? {
        Some(mended) => Cow::Owned(mended),
        None => Cow::Borrowed(bytes),
    };
    let broken = |e: ImageError| part::broken(path, &bytes, format, &e, limits);
    let mut decoder = open(&bytes, format, limits).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    not_empty(path, width, height)?;
    let orientation = match decoder.orientation() {
        Err(_) if limits.truncated == Truncated::Use => Orientation::NoTransforms,
        told => told.map_err(broken)?,
    };
    let mut picture = if u64::from(width) * u64::from(height) > limits.max_pixels {
        drop(decoder);
        reduced::reduced(path, &bytes, format, (width, height), limits)?
    } else {
        match DynamicImage::from_decoder(decoder) {
            Err(e) if limits.truncated == Truncated::Use && part::is_cut(&e) => {
                part::read(open(&bytes, format, limits).map_err(broken)?).ok_or_else(|| broken(e))?
            }
            told => told.map_err(broken)?,
        }
    };
    picture.apply_orientation(orientation);
    Ok(high_bytes(picture))
}

/// Reads the header only.
fn open<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    limits: &Limits,
) -> image::ImageResult<impl ImageDecoder + 'a> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(match format {
        // Only what lies beside the pixels counts against it: a colour profile of a megabyte may inflate to one of a gigabyte.
        ImageFormat::Png => PNG_BESIDE,
        _ => limits.max_pixels.saturating_mul(2 * BYTES_A_PIXEL).max(1 << 20),
    });
    reader.limits(bounds);
    reader.into_decoder()
}

/// 16-bit channels → their high bytes, as libpng's readers strip them; the crate's own conversion rounds.
fn high_bytes(picture: DynamicImage) -> DynamicImage {
    fn strip<P, Q>(from: &ImageBuffer<P, Vec<u16>>) -> Option<ImageBuffer<Q, Vec<u8>>>
    where
        P: Pixel<Subpixel = u16>,
        Q: Pixel<Subpixel = u8>,
    {
        let bytes = from.as_raw().iter().map(|v| (v >> 8) as u8).collect();
        ImageBuffer::from_raw(from.width(), from.height(), bytes)
    }
    let stripped = match &picture {
        DynamicImage::ImageLuma16(p) => strip(p).map(DynamicImage::ImageLuma8),
        DynamicImage::ImageLumaA16(p) => strip(p).map(DynamicImage::ImageLumaA8),
        DynamicImage::ImageRgb16(p) => strip(p).map(DynamicImage::ImageRgb8),
        DynamicImage::ImageRgba16(p) => strip(p).map(DynamicImage::ImageRgba8),
        _ => None,
    };
    stripped.unwrap_or(picture)
}

fn not_empty(path: &Path, width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::media(path, "a picture with pixels", format!("one of {width} x {height}")));
    }
    Ok(())
}

/// Refuses empty and too large pictures.
pub(super) fn check_size(path: &Path, width: u32, height: u32, limits: &Limits) -> Result<()> {
    not_empty(path, width, height)?;
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(over(path, size(width, height), limits));
    }
    Ok(())
}

pub(super) fn size(width: u32, height: u32) -> String {
    format!("{width} x {height} pixels")
}

/// A picture of more pixels than it may have.
pub(super) fn over(path: &Path, found: String, limits: &Limits) -> Error {
    Error::Limit {
        path: path.to_path_buf(),
        what: "the picture",
        found,
        limit: format!("{} pixels in all", limits.max_pixels),
        option: "max_pixels",
    }
}

/// Lays straight-alpha pixels over a colour, rounding to nearest.
pub fn flatten(picture: &RgbaImage, background: [u8; 3]) -> RgbImage {
    let mut out = RgbImage::new(picture.width(), picture.height());
    for (to, from) in out.pixels_mut().zip(picture.pixels()) {
        let alpha = u32::from(from.0[3]);
        for ((to, &from), back) in to.0.iter_mut().zip(&from.0[..3]).zip(background) {
            *to = ((u32::from(from) * alpha + u32::from(back) * (255 - alpha) + 127) / 255) as u8;
        }
    }
    out
}

/// What a file of unknown format looks like, for the error message.
pub(super) fn describe(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(8)];
    if bytes.iter().take(512).all(|&b| b >= 0x20 || b.is_ascii_whitespace()) {
        return "text".into();
    }
    let hex: Vec<String> = head.iter().map(|b| format!("{b:02x}")).collect();
    format!("a file of an unknown format that begins with bytes {}", hex.join(" "))
}

#[cfg(test)]
#[path = "../tests/picture.rs"]
mod tests;

//! Pictures: PNG, JPEG, WebP, GIF (first frame), BMP, TIFF through `image`, SVG through `resvg`.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageReader, Pixel, RgbImage, RgbaImage};
use serde::{Deserialize, Serialize};

use super::vector;
use crate::files::read_media;
use crate::{Error, Limits, Result};

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
/// # Errors
/// [`Error::Io`], [`Error::Limit`] (found from the header), [`Error::Media`] for anything that is not a whole picture.
pub fn image(path: &Path, options: &ImageOptions) -> Result<RgbImage> {
    Ok(match decode(path, options)? {
        picture if picture.color().has_alpha() && !options.drop_alpha => {
            flatten(&picture.into_rgba8(), options.background)
        }
        picture => picture.into_rgb8(),
    })
}

/// The same with its transparency kept (straight alpha).
pub(crate) fn rgba(path: &Path, options: &ImageOptions) -> Result<RgbaImage> {
    decode(path, options).map(DynamicImage::into_rgba8)
}

/// The same from memory; `path` is for messages.
pub(crate) fn rgba_of(path: &Path, bytes: &[u8], options: &ImageOptions) -> Result<RgbaImage> {
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
    let broken = |e: ImageError| Error::media(path, format!("a whole {format:?} picture"), e.to_string());
    let mut header = ImageReader::with_format(Cursor::new(bytes), format);
    // Our own limit is checked on the next line, with a better message than the decoder's.
    header.no_limits();
    let (width, height) = header.into_dimensions().map_err(broken)?;
    check_size(path, width, height, &options.limits)?;

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    // 16 bytes a pixel is the widest format (RGBA of f32); decoders may need about as much again for themselves.
    limits.max_alloc = Some(options.limits.max_pixels.saturating_mul(32).max(1 << 20));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let orientation = decoder.orientation().map_err(broken)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    Ok(high_bytes(picture))
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

/// Refuses empty and too large pictures by their header.
pub(super) fn check_size(path: &Path, width: u32, height: u32, limits: &Limits) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::media(path, "a picture with pixels", format!("one of {width} x {height}")));
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(Error::Limit {
            path: path.to_path_buf(),
            what: "the picture",
            found: format!("{width} x {height} pixels"),
            limit: format!("{} pixels in all", limits.max_pixels),
            option: "max_pixels",
        });
    }
    Ok(())
}

/// Lays straight-alpha pixels over a colour, rounding to nearest.
pub(crate) fn flatten(picture: &RgbaImage, background: [u8; 3]) -> RgbImage {
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

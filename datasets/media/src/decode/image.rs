//! Images: PNG, JPEG, WebP, GIF (first frame), BMP, TIFF through `image`, SVG through `resvg`, HEIC and AVIF through FFmpeg.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage, RgbaImage,
};

use super::decoded::{Decoded, Form};
use super::options::{ImageOptions, PNG_BESIDE, describe, not_empty};
use super::reduced::{self, BYTES_A_PIXEL};
use super::{heif, part, tiff, vector};
use crate::limits::Truncated;
use crate::video::Ffmpeg;
use crate::{Blob, Error, Limits, Result};

pub(super) const EXPECTED: &str = "a PNG, JPEG, WebP, GIF, BMP, TIFF, SVG, HEIC or AVIF image";

/// Decodes an image to 8-bit RGB, upright as its EXIF orientation says, transparency laid over the background.
///
/// Grey, palette, CMYK, transparent and deep images give Pillow's `convert("RGB")` (its transparency dropped, with `drop_alpha`), but
/// for these, on purpose:
/// - Pillow, and with it the public models' libraries, shows an image as it is stored; here it is turned upright.
/// - 16-bit grey keeps its high byte, as 16-bit colour does in both; Pillow cuts it at 255, which leaves white.
///
/// Of the libraries' own treatment of transparency: transformers lays it over white (5.23; 4.57 dropped it as `drop_alpha` does). OpenCLIP
/// resizes first, and converts then: [`stored`](super::stored) is for that.
///
/// A JPEG or PNG of more than [`Limits::max_pixels`] is read at a half, a quarter or an eighth of its size.
///
/// # Errors
/// [`Error::Files`], [`Error::Limit`] (found from the header), [`Error::Media`] for anything that is not a whole image; one that is cut off is
/// used as far as it goes where [`Limits::truncated`] says so; [`Error::NeedsFfmpeg`] for HEIC and AVIF where there is none.
pub fn image(from: impl Into<Blob>, options: &ImageOptions) -> Result<RgbImage> {
    image_by(from, options, None)
}

/// [`image`](fn@image), by the FFmpeg that the user named: HEIC and AVIF need one.
///
/// # Errors
/// As [`image`](fn@image).
pub fn image_by(from: impl Into<Blob>, options: &ImageOptions, ffmpeg: Option<&Ffmpeg>) -> Result<RgbImage> {
    Ok(match decode(&from.into(), options, ffmpeg)?.colours() {
        image if image.color().has_alpha() && !options.drop_alpha => {
            flatten(&image.into_rgba8(), options.background)
        }
        image => image.into_rgb8(),
    })
}

/// [`image`](fn@image) with its transparency kept (straight alpha).
///
/// # Errors
/// As [`image`](fn@image).
pub fn rgba(from: impl Into<Blob>, options: &ImageOptions) -> Result<RgbaImage> {
    decode(&from.into(), options, None).map(|decoded| decoded.colours().into_rgba8())
}

fn decode(blob: &Blob, options: &ImageOptions, ffmpeg: Option<&Ffmpeg>) -> Result<Decoded> {
    decode_bytes(blob.name(), &blob.read(EXPECTED, &options.limits)?, options, ffmpeg)
}

pub(super) fn decode_bytes(
    path: &Path,
    bytes: &[u8],
    options: &ImageOptions,
    ffmpeg: Option<&Ffmpeg>,
) -> Result<Decoded> {
    let coloured = |image| Decoded { image, form: Form::Colours };
    if vector::is_svg(bytes) {
        return vector::render(path, bytes, options).map(DynamicImage::ImageRgba8).map(coloured);
    }
    if heif::is_heif(bytes) {
        return heif::decode(path, bytes, &options.limits, ffmpeg);
    }
    let Ok(format) = image::guess_format(bytes) else {
        return Err(Error::media(path, EXPECTED, describe(bytes)));
    };
    let limits = &options.limits;
    if format == ImageFormat::Tiff
        && let Some(decoded) = tiff::decode(path, bytes, limits)?
    {
        return Ok(decoded);
    }
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
    let mut image = if u64::from(width) * u64::from(height) > limits.max_pixels {
        drop(decoder);
        reduced::reduced(path, &bytes, format, (width, height), limits)?
    } else if let Some(inks) = reduced::inks(&bytes, format) {
        inks
    } else {
        match DynamicImage::from_decoder(decoder) {
            Err(e) if limits.truncated == Truncated::Use && part::is_cut(&e) => {
                part::read(open(&bytes, format, limits).map_err(broken)?).ok_or_else(|| broken(e))?
            }
            told => told.map_err(broken)?,
        }
    };
    image.apply_orientation(orientation);
    // A JPEG has no transparency: its fourth channel is an ink.
    let inks = format == ImageFormat::Jpeg && image.color() == ColorType::Rgba8;
    Ok(Decoded { image, form: if inks { Form::Inks } else { Form::Colours } })
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

/// Lays straight-alpha pixels over a colour, rounding to nearest.
pub fn flatten(image: &RgbaImage, background: [u8; 3]) -> RgbImage {
    let mut out = RgbImage::new(image.width(), image.height());
    for (to, from) in out.pixels_mut().zip(image.pixels()) {
        let alpha = u32::from(from.0[3]);
        for ((to, &from), back) in to.0.iter_mut().zip(&from.0[..3]).zip(background) {
            *to = ((u32::from(from) * alpha + u32::from(back) * (255 - alpha) + 127) / 255) as u8;
        }
    }
    out
}

#[cfg(test)]
#[path = "../tests/image.rs"]
mod tests;

//! Images whose files are cut off: told, or used as far as they go.

use super::jpeg;
use crate::limits::{Truncated, offer};
use crate::{Error, Limits, Result};
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, RgbImage, RgbaImage};
use image::{GrayAlphaImage, GrayImage};
use std::io::ErrorKind;
use std::path::Path;

/// Most scans of a JPEG: encoders write some ten, and each costs as much as the whole image.
const MAX_SCANS: u32 = 64;

/// Looks for the cut in formats whose decoders do not tell, or have nothing to show then: `None`, the bytes are good as they are; else
/// such bytes as the decoder makes the best of.
///
/// # Errors
/// A cut that is not to be used; a JPEG of more scans than any encoder writes.
pub(super) fn whole(
    path: &Path,
    bytes: &[u8],
    format: ImageFormat,
    limits: &Limits,
) -> Result<Option<Vec<u8>>> {
    let outline = if format == ImageFormat::Jpeg { jpeg::outline(bytes) } else { jpeg::Outline::default() };
    if outline.scans > MAX_SCANS {
        return Err(Error::media(path, "a Jpeg image", format!("one of more than {MAX_SCANS} scans")));
    }
    match (format, limits.truncated) {
        (ImageFormat::Jpeg, _) if outline.ends => Ok(None),
        (ImageFormat::Jpeg, Truncated::Refuse) => {
            Err(Error::media(path, "a whole Jpeg image", cut_off(bytes.len())))
        }
        // The end marker, before which decoders fill with grey.
        (ImageFormat::Jpeg, Truncated::Use) => Ok(Some([bytes, &[0xff, 0xd9]].concat())),
        (ImageFormat::WebP, Truncated::Use) => Ok(padded(bytes, limits)),
        _ => Ok(None),
    }
}

/// What is wrong with an image, as its decoder tells it.
pub(super) fn broken(
    path: &Path,
    bytes: &[u8],
    format: ImageFormat,
    error: &ImageError,
    limits: &Limits,
) -> Error {
    // A lossy WebP that ends early is a broken one to its decoder.
    let cut = is_cut(error) || format == ImageFormat::WebP && padded(bytes, limits).is_some();
    let found = match cut {
        true => format!("one that is cut off{}", offer("truncated", "use")),
        false => error.to_string(),
    };
    Error::media(path, format!("a whole {format:?} image"), found)
}

fn cut_off(length: usize) -> String {
    format!("one that is cut off after {length} bytes{}", offer("truncated", "use"))
}

/// Whether the file ended before the image did.
pub(super) fn is_cut(error: &ImageError) -> bool {
    match error {
        ImageError::IoError(e) => e.kind() == ErrorKind::UnexpectedEof,
        ImageError::Decoding(_) => {
            let text = error.to_string().to_lowercase();
            ["unexpected end", "unexpected eof", "end of file", "failed to fill whole buffer"]
                .iter()
                .any(|words| text.contains(words))
        }
        _ => false,
    }
}

/// The pixels that a decoder gives before it fails; what is missing stays black, or transparent. `None`: not a single one, or a form that
/// cut files do not come in.
pub(super) fn read(decoder: impl ImageDecoder) -> Option<DynamicImage> {
    let ((width, height), form) = (decoder.dimensions(), decoder.color_type());
    let mut bytes = vec![0; usize::try_from(decoder.total_bytes()).ok()?];
    if decoder.read_image(&mut bytes).is_err() && bytes.iter().all(|b| *b == 0) {
        return None;
    }
    if form.bytes_per_pixel() == 2 * form.channel_count() {
        // Only PNG is deep and read row by row; what it gives before it fails has the high byte first.
        bytes = bytes.chunks_exact(2).map(|pair| pair[0]).collect();
    }
    match form {
        ColorType::L8 | ColorType::L16 => {
            GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8)
        }
        ColorType::La8 | ColorType::La16 => {
            GrayAlphaImage::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8)
        }
        ColorType::Rgb8 | ColorType::Rgb16 => {
            RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8)
        }
        ColorType::Rgba8 | ColorType::Rgba16 => {
            RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8)
        }
        _ => None,
    }
}

/// A WebP whose last chunk is as long as it says, with zeros at its end: the decoder takes whole chunks only. `None` where nothing is
/// missing, or far more than a file may have.
fn padded(bytes: &[u8], limits: &Limits) -> Option<Vec<u8>> {
    let mut at = 12;
    loop {
        let size = bytes.get(at + 4..at + 8)?;
        let size = u64::from(u32::from_le_bytes([size[0], size[1], size[2], size[3]]));
        // Chunks begin at even places.
        let end = at as u64 + 8 + size + size % 2;
        if end > limits.max_file_bytes {
            return None;
        }
        let end = usize::try_from(end).ok()?;
        if end > bytes.len() {
            let mut mended = bytes.to_vec();
            mended.resize(end, 0);
            let riff = u32::try_from(end - 8).ok()?;
            mended[4..8].copy_from_slice(&riff.to_le_bytes());
            return Some(mended);
        }
        at = end;
    }
}

#[cfg(test)]
#[path = "../tests/part.rs"]
mod tests;

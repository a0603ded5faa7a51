//! Images of more pixels than memory may hold: read at a half, a quarter or an eighth of their size.

use super::jpeg;
use super::options::{PNG_BESIDE, over, size};
use crate::{Error, Limits, Result};
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use jpeg_decoder::PixelFormat;
use std::io::Cursor;
use std::path::Path;

/// Bytes that an image of one pixel may take while it is decoded: its widest form, RGBA of 32-bit floats.
pub(super) const BYTES_A_PIXEL: u64 = 16;

/// An image of more than so many times the limit is refused: reading it costs time, whatever is kept of it.
const MOST_TIMES: u64 = 20;

/// The mildest of the scales 1/2, 1/4, 1/8 at which an image is within the limits, sides rounded up.
fn scale(width: u32, height: u32, limits: &Limits) -> Option<u32> {
    let pixels = |by: u32| u64::from(width.div_ceil(by)) * u64::from(height.div_ceil(by));
    if pixels(1) > limits.max_pixels.saturating_mul(MOST_TIMES) {
        return None;
    }
    [2, 4, 8].into_iter().find(|by| pixels(*by) <= limits.max_pixels)
}

/// Reads an image of `width` x `height` that is over the limits at a smaller scale, where its format can be read so: JPEG (its cosines are
/// transformed at that scale, as libjpeg does) and PNG that is not interlaced (pixels are averaged row by row).
///
/// # Errors
/// [`Error::Limit`] where it cannot, or is larger than that helps; [`Error::Media`].
pub(super) fn reduced(
    path: &Path,
    bytes: &[u8],
    format: ImageFormat,
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<DynamicImage> {
    let refuse =
        || over(path, format!("{}, and cannot be read at a smaller scale", size(width, height)), limits);
    let by = scale(width, height, limits).ok_or_else(|| over(path, size(width, height), limits))?;
    let outline = if format == ImageFormat::Jpeg { jpeg::outline(bytes) } else { jpeg::Outline::default() };
    match format {
        ImageFormat::Jpeg if outline.coefficients <= limits.max_pixels.saturating_mul(BYTES_A_PIXEL) => {
            let size = (width.div_ceil(by), height.div_ceil(by));
            from_jpeg(bytes, size).map_err(|found| Error::media(path, "a whole Jpeg image", found))
        }
        ImageFormat::Png => from_png(path, bytes, by)?.ok_or_else(refuse),
        _ => Err(refuse()),
    }
}

/// The four inks of a JPEG, whole; `None` where there are none, or it is too broken for their decoder, which knows them better than `image`'s: that one
/// adds the inks up, and mixes those of fewer pixels than the black one's otherwise than libjpeg.
pub(super) fn inks(bytes: &[u8], format: ImageFormat) -> Option<DynamicImage> {
    if format != ImageFormat::Jpeg || jpeg::channels(bytes) != 4 {
        return None;
    }
    from_jpeg(bytes, (u32::MAX, u32::MAX)).ok()
}

/// At the smallest scale that is no smaller than `width` x `height`; inks in the channels of an RGBA image. The error is what was found.
fn from_jpeg(bytes: &[u8], (width, height): (u32, u32)) -> std::result::Result<DynamicImage, String> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    let side = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let (width, height) = decoder.scale(side(width), side(height)).map_err(|e| e.to_string())?;
    let pixels = decoder.decode().map_err(|e| e.to_string())?;
    let (width, height) = (u32::from(width), u32::from(height));
    let image = match decoder.info().map(|info| info.pixel_format) {
        Some(PixelFormat::L8) => GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8),
        Some(PixelFormat::RGB24) => RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8),
        Some(PixelFormat::CMYK32) => RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8),
        _ => None,
    };
    image.ok_or_else(|| "one of a form that is not known".into())
}

/// `None` for an interlaced one, whose rows come in seven passes.
fn from_png(path: &Path, bytes: &[u8], by: u32) -> Result<Option<DynamicImage>> {
    let broken = |e: png::DecodingError| Error::media(path, "a whole Png image", e.to_string());
    let beside = png::Limits { bytes: PNG_BESIDE as usize };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), beside);
    // As smaller images are read: palettes as their colours, of deep channels the high byte.
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(broken)?;
    if reader.info().interlaced {
        return Ok(None);
    }
    let (width, height) = (reader.info().width, reader.info().height);
    let (columns, rows) = (width.div_ceil(by), height.div_ceil(by));
    let channels = reader.output_color_type().0.samples();
    let mut boxes = Boxes::new(width as usize, by as usize, channels);
    let mut pixels = Vec::with_capacity(columns as usize * rows as usize * channels);
    for y in 1..=height {
        let Some(row) = reader.next_row().map_err(broken)? else { break };
        boxes.add(row.data());
        if y % by == 0 || y == height {
            boxes.take(&mut pixels);
        }
    }
    Ok(match channels {
        1 => GrayImage::from_raw(columns, rows, pixels).map(DynamicImage::ImageLuma8),
        2 => GrayAlphaImage::from_raw(columns, rows, pixels).map(DynamicImage::ImageLumaA8),
        3 => RgbImage::from_raw(columns, rows, pixels).map(DynamicImage::ImageRgb8),
        _ => RgbaImage::from_raw(columns, rows, pixels).map(DynamicImage::ImageRgba8),
    })
}

/// Means over squares of pixels, of which rows are seen one by one; colours count by their opacity.
struct Boxes {
    width: usize,
    by: usize,
    channels: usize,
    rows: u64,
    /// For each square: the sum of each channel.
    sums: Vec<u64>,
}

impl Boxes {
    fn new(width: usize, by: usize, channels: usize) -> Self {
        Self { width, by, channels, rows: 0, sums: vec![0; width.div_ceil(by) * channels] }
    }

    fn add(&mut self, row: &[u8]) {
        let (n, alpha) = (self.channels, self.channels.is_multiple_of(2));
        let squares = row[..row.len().min(self.width * n)].chunks(self.by * n);
        for (sums, square) in self.sums.chunks_exact_mut(n).zip(squares) {
            for pixel in square.chunks_exact(n) {
                let weight = if alpha { u64::from(pixel[n - 1]) } else { 1 };
                for (sum, value) in sums.iter_mut().zip(&pixel[..n - usize::from(alpha)]) {
                    *sum += u64::from(*value) * weight;
                }
                if alpha {
                    sums[n - 1] += weight;
                }
            }
        }
        self.rows += 1;
    }

    fn take(&mut self, into: &mut Vec<u8>) {
        let (n, alpha) = (self.channels, self.channels.is_multiple_of(2));
        let rounded = |sum: u64, weight: u64| (sum + weight / 2).checked_div(weight).unwrap_or(0) as u8;
        for (i, sums) in self.sums.chunks_exact(n).enumerate() {
            let across = self.by.min(self.width - i * self.by) as u64;
            let pixels = across * self.rows;
            let weight = if alpha { sums[n - 1] } else { pixels };
            into.extend(sums[..n - usize::from(alpha)].iter().map(|sum| rounded(*sum, weight)));
            if alpha {
                into.push(rounded(weight, pixels));
            }
        }
        self.sums.fill(0);
        self.rows = 0;
    }
}

#[cfg(test)]
#[path = "../tests/reduced.rs"]
mod tests;

//! TIFF files of palettes, of inks, and of greys of 2 and 4 bits: what `image` refuses, or makes colours of too early.
//!
//! The decoder below it reads them all but the palettes; to it, their numbers are told to be greys.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::Path;

use image::error::{DecodingError, ImageFormatHint};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageError, ImageFormat, RgbImage, RgbaImage};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::decoded::{Decoded, Form};
use super::options::{not_empty, over, size};
use super::part;
use super::reduced::BYTES_A_PIXEL;
use crate::{Error, Limits, Result};

/// The first directory of a file with places of 32 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    entries: usize,
    count: usize,
}

const BITS: u16 = 258;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const SAMPLES: u16 = 277;
const COLOUR_MAP: u16 = 320;

impl<'a> Directory<'a> {
    /// `None` where there is none, or not all of it.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let little = match bytes.get(..4)? {
            [b'I', b'I', 42, 0] => true,
            [b'M', b'M', 0, 42] => false,
            _ => return None,
        };
        let found = Self { bytes, little, entries: 0, count: 0 };
        let first = found.long(4)? as usize;
        let count = usize::from(found.short(first)?);
        let entries = first.checked_add(2)?;
        bytes.get(entries..entries.checked_add(12 * count)?)?;
        Some(Self { entries, count, ..found })
    }

    fn short(&self, at: usize) -> Option<u16> {
        let two = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let four = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) })
    }

    /// Where an entry begins.
    fn entry(&self, tag: u16) -> Option<usize> {
        (0..self.count).map(|i| self.entries + 12 * i).find(|at| self.short(*at) == Some(tag))
    }

    /// Where the numbers of 16 bits of an entry begin, and how many they are.
    fn shorts(&self, tag: u16) -> Option<(usize, usize)> {
        let entry = self.entry(tag)?;
        if self.short(entry + 2) != Some(3) {
            return None;
        }
        let count = self.long(entry + 4)? as usize;
        let at = if count <= 2 { entry + 8 } else { self.long(entry + 8)? as usize };
        Some((at, count))
    }

    fn first_short(&self, tag: u16) -> Option<u16> {
        self.short(self.shorts(tag)?.0)
    }

    /// Bits of a sample, and samples of a pixel; absent, one of one.
    fn samples(&self) -> (u16, u16) {
        (self.first_short(BITS).unwrap_or(1), self.first_short(SAMPLES).unwrap_or(1))
    }

    /// One bit for each pixel, black or white.
    pub(super) fn is_bits(&self) -> bool {
        self.samples() == (1, 1)
    }

    /// White is 0.
    pub(super) fn is_negative(&self) -> bool {
        self.first_short(PHOTOMETRIC) == Some(0)
    }

    /// The first `n` colours of the map: the high bytes of all reds, all greens, all blues.
    fn colours(&self, n: usize) -> std::result::Result<Vec<[u8; 3]>, String> {
        let Some((at, count)) = self.shorts(COLOUR_MAP) else {
            return Err("one without a colour map".into());
        };
        if count != 3 * n {
            return Err(format!("a colour map of {count} numbers for {n} colours"));
        }
        let colour = |i: usize| {
            let high = |of: usize| Some((self.short(at.checked_add(2 * (of * n + i))?)? >> 8) as u8);
            Some([high(0)?, high(1)?, high(2)?])
        };
        (0..n).map(colour).collect::<Option<_>>().ok_or_else(|| "a colour map that is cut off".into())
    }
}

/// What is read here.
enum Kind {
    Palette(Vec<[u8; 3]>),
    Grey,
    Inks,
}

/// The first image of a TIFF file that is read here; `None`: one that `image` reads, or refuses.
///
/// # Errors
/// [`Error::Limit`], found from the directory; [`Error::Media`].
pub(super) fn decode(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Option<Decoded>> {
    let Some(directory) = Directory::read(bytes) else { return Ok(None) };
    let wrong = |found: String| Error::media(path, "a whole Tiff image", found);
    if directory.first_short(FILL_ORDER) == Some(2) {
        // Their decoder would take such bits in the other order, and say nothing.
        return Err(wrong(
            "one whose bytes begin with their lowest bit (fill order 2): write it anew with fill order 1"
                .into(),
        ));
    }
    let (bits, samples) = directory.samples();
    let (kind, told) = match (directory.first_short(PHOTOMETRIC), bits, samples) {
        (Some(3), 1 | 2 | 4 | 8, 1) => {
            let palette = directory.colours(1 << bits).map_err(wrong)?;
            (Kind::Palette(palette), as_greys(bytes, &directory))
        }
        (Some(0 | 1), 2 | 4, 1) => (Kind::Grey, Cow::Borrowed(bytes)),
        (Some(5), 8 | 16, 4..) => (Kind::Inks, Cow::Borrowed(bytes)),
        _ => return Ok(None),
    };
    let broken = |e: TiffError| {
        let e = match e {
            TiffError::IoError(e) => ImageError::IoError(e),
            e => ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Tiff), e)),
        };
        part::broken(path, bytes, ImageFormat::Tiff, &e, limits)
    };
    let mut decoder = Decoder::new(Cursor::new(&*told)).map_err(broken)?;
    if !matches!(decoder.colortype(), Ok(ColorType::Gray(_) | ColorType::CMYK(_))) {
        return Ok(None);
    }
    let (width, height) = decoder.dimensions().map_err(broken)?;
    not_empty(path, width, height)?;
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        let found = format!("{}, and cannot be read at a smaller scale", size(width, height));
        return Err(over(path, found, limits));
    }
    let orientation = decoder.find_tag(Tag::Orientation).map_err(broken)?;
    let orientation =
        orientation.and_then(|v| Orientation::from_exif(u8::try_from(v.into_u16().ok()?).ok()?));
    let most = limits.max_pixels.saturating_mul(BYTES_A_PIXEL).max(1 << 20);
    let mut bounds = tiff::decoder::Limits::default();
    bounds.decoding_buffer_size = usize::try_from(most).unwrap_or(usize::MAX);
    bounds.intermediate_buffer_size = bounds.decoding_buffer_size;
    let mut decoder = decoder.with_limits(bounds);
    let mut read = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut read).map_err(broken)?;
    let bytes = match read {
        DecodingResult::U8(bytes) => bytes,
        DecodingResult::U16(numbers) => numbers.iter().map(|n| (n >> 8) as u8).collect(),
        _ => return Err(wrong("one of numbers below 0".into())),
    };
    if bytes.len() * (if bits == 16 { 2 } else { 1 }) < layout.complete_len {
        return Err(wrong(format!("one of {samples} planes, more than memory is kept for")));
    }
    // One plane is as long as the others.
    let plane = bytes.len() / layout.planes.max(1);
    let image = match &kind {
        Kind::Palette(palette) => {
            let colour = |i: u8| palette.get(usize::from(i)).copied().unwrap_or_default();
            let pixels = unpacked(&bytes, width, bits).flat_map(colour).collect();
            RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
        }
        Kind::Grey => {
            let step = if bits == 2 { 85 } else { 17 };
            let pixels = unpacked(&bytes, width, bits).map(|v| v * step).collect();
            GrayImage::from_raw(width, height, pixels).map(DynamicImage::ImageLuma8)
        }
        Kind::Inks if layout.planes > 1 => {
            let pixels = (0..plane)
                .flat_map(|i| [0, 1, 2, 3].map(|ink| bytes.get(ink * plane + i).copied().unwrap_or(0)));
            RgbaImage::from_raw(width, height, pixels.collect()).map(DynamicImage::ImageRgba8)
        }
        Kind::Inks => RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    let mut image = image.ok_or_else(|| wrong("one of fewer pixels than it says".into()))?;
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    let form = match kind {
        Kind::Palette(palette) => Form::Indexed(palette),
        Kind::Grey => Form::Colours,
        Kind::Inks => Form::Inks,
    };
    Ok(Some(Decoded { image, form }))
}

/// The file with its palette's numbers told to be greys, of which 0 is black.
fn as_greys<'a>(bytes: &'a [u8], directory: &Directory<'a>) -> Cow<'a, [u8]> {
    let mut told = bytes.to_vec();
    if let Some(value) = directory.entry(PHOTOMETRIC).and_then(|entry| told.get_mut(entry + 8..entry + 10)) {
        value.copy_from_slice(&if directory.little { 1u16.to_le_bytes() } else { 1u16.to_be_bytes() });
    }
    Cow::Owned(told)
}

/// Numbers of 1, 2, 4 or 8 bits, the first of a byte in its highest bits; a row begins with a byte.
fn unpacked(bytes: &[u8], width: u32, bits: u16) -> impl Iterator<Item = u8> + '_ {
    let (width, bits) = (width as usize, usize::from(bits));
    let row = (width * bits).div_ceil(8).max(1);
    bytes.chunks_exact(row).flat_map(move |row| {
        (0..width).map(move |x| {
            let at = x * bits;
            let byte = row.get(at / 8).copied().unwrap_or(0);
            (byte >> (8 - bits - at % 8)) & (0xff >> (8 - bits))
        })
    })
}

#[cfg(test)]
#[path = "../tests/tiff.rs"]
mod tests;

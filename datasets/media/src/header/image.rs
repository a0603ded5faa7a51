//! Width and height of images.

use crate::boxes::Boxes;
use crate::decode::{heif_size, is_heif};
use crate::{Blob, Opened, Result};
use image::{ImageFormat, ImageReader};
use std::io::{BufReader, Read, Seek, SeekFrom};

/// More segments than any JPEG has before its frame.
const SEGMENTS: usize = 4096;
/// More bytes than the list of an image's items has.
const ITEMS: u64 = 1 << 20;
/// Enough for every head but those of JPEG, TIFF and HEIF.
const HEAD: u64 = 64;

/// Width and height in pixels as they are stored, before an EXIF tag turns the image; `None` where the head does not say, as of vector images.
///
/// # Errors
/// [`Error::Files`](crate::Error::Files).
pub fn image_size(from: impl Into<Blob>) -> Result<Option<(u32, u32)>> {
    let mut opened = from.into().open()?;
    let head = opened.head(HEAD)?;
    let big = |at: usize| head.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let little = |at: usize, bytes: usize| {
        head.get(at..at + bytes).map(|b| b.iter().rev().fold(0u32, |n, byte| n << 8 | u32::from(*byte)))
    };
    let both = |width: Option<u32>, height: Option<u32>| width.zip(height);
    let size = match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => both(big(16), big(20)),
        [b'G', b'I', b'F', b'8', ..] => both(little(6, 2), little(8, 2)),
        // Rows from the top have a negative height.
        [b'B', b'M', ..] => both(little(18, 4), little(22, 4).map(|h| (h as i32).unsigned_abs())),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => match head.get(12..16) {
            Some(b"VP8X") => both(little(24, 3).map(|n| n + 1), little(27, 3).map(|n| n + 1)),
            Some(b"VP8L") => little(21, 4).map(|n| ((n & 0x3fff) + 1, (n >> 14 & 0x3fff) + 1)),
            Some(b"VP8 ") => both(little(26, 2).map(|n| n & 0x3fff), little(28, 2).map(|n| n & 0x3fff)),
            _ => None,
        },
        // What cannot be read is not told.
        [0xff, 0xd8, 0xff, ..] => jpeg(opened).unwrap_or_default(),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => tiff(opened),
        head if is_heif(head) => heif(opened).unwrap_or_default(),
        _ => None,
    };
    Ok(size.filter(|(width, height)| *width > 0 && *height > 0))
}

/// The size of the image among the items.
fn heif(mut file: Opened) -> std::io::Result<Option<(u32, u32)>> {
    let length = file.len();
    let Some((from, to)) = Boxes::new(&mut file).find(0, length, b"meta")? else { return Ok(None) };
    file.seek(SeekFrom::Start(from))?;
    let mut meta = Vec::new();
    file.take(ITEMS.min(to - from)).read_to_end(&mut meta)?;
    Ok(heif_size(&meta))
}

/// ISO 10918-1, B.2.2: the first frame header.
fn jpeg(opened: Opened) -> std::io::Result<Option<(u32, u32)>> {
    let mut file = BufReader::new(opened);
    file.seek(SeekFrom::Start(2))?;
    let mut byte = [0];
    for _ in 0..SEGMENTS {
        file.read_exact(&mut byte)?;
        if byte != [0xff] {
            return Ok(None);
        }
        while byte == [0xff] {
            file.read_exact(&mut byte)?;
        }
        let [marker] = byte;
        match marker {
            0x01 | 0xd0..=0xd8 => continue,
            // The end, or the image itself before its frame.
            0xd9 | 0xda => return Ok(None),
            _ => {}
        }
        let mut length = [0; 2];
        file.read_exact(&mut length)?;
        if matches!(marker, 0xc0..=0xcf) && ![0xc4, 0xc8, 0xcc].contains(&marker) {
            let mut frame = [0; 5];
            file.read_exact(&mut frame)?;
            let [_, a, b, c, d] = frame;
            return Ok(Some((u16::from_be_bytes([c, d]).into(), u16::from_be_bytes([a, b]).into())));
        }
        file.seek_relative(i64::from(u16::from_be_bytes(length)).max(2) - 2)?;
    }
    Ok(None)
}

fn tiff(opened: Opened) -> Option<(u32, u32)> {
    let mut reader = ImageReader::with_format(BufReader::new(opened), ImageFormat::Tiff);
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(16 << 20);
    reader.limits(bounds);
    reader.into_dimensions().ok()
}

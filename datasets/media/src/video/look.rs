//! Whether a container shows images, by its own tables: phones, browsers and recorders write audio files into containers that are called videos.
//! A look costs a few reads; nothing is decoded and no program is started.

use crate::decode::ogg_shows_images;
use crate::{Blob, Opened, Result};
use std::io::{Read, Seek, SeekFrom};

/// Tables that stand at the beginning are within so many bytes.
const HEAD: u64 = 1 << 18;
/// More boxes than any file has before its tables.
const MOST_BOXES: usize = 4096;
/// Windows Media's name of a video track.
const ASF_VIDEO: [u8; 16] =
    [0xc0, 0xef, 0x19, 0xbc, 0x4d, 0x5b, 0xcf, 0x11, 0xa8, 0xfd, 0x00, 0x80, 0x5f, 0x5c, 0x44, 0x2b];

/// Whether a file in MP4, Matroska, WebM, Ogg or Windows Media holds a video track; `None` for other files, and where its tables are not
/// found.
///
/// # Errors
/// [`Error::Files`](crate::Error::Files).
pub fn shows_images(from: impl Into<Blob>) -> Result<Option<bool>> {
    let mut file = from.into().open()?;
    let (head, length) = (file.head(HEAD)?, file.len());
    Ok(match head.as_slice() {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => {
            let mut boxes = Boxes { file, left: MOST_BOXES };
            // What cannot be read is not told.
            boxes.movie(length).unwrap_or_default()
        }
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(&head),
        [b'O', b'g', b'g', b'S', ..] => Some(ogg_shows_images(&head)),
        [0x30, 0x26, 0xb2, 0x75, ..] => Some(head.windows(16).any(|w| w == ASF_VIDEO)),
        _ => None,
    })
}

/// ISO/IEC 14496-12: boxes within boxes, each with its length and name.
struct Boxes {
    file: Opened,
    left: usize,
}

impl Boxes {
    /// Looks through the tracks of the movie box.
    fn movie(&mut self, length: u64) -> std::io::Result<Option<bool>> {
        let Some((from, to)) = self.find(0, length, b"moov")? else { return Ok(None) };
        let (mut at, mut any) = (from, false);
        while let Some((name, start, end)) = self.next(at, to)? {
            at = end;
            if &name != b"trak" {
                continue;
            }
            let Some((from, to)) = self.find(start, end, b"mdia")? else { continue };
            let Some((start, _)) = self.find(from, to, b"hdlr")? else { continue };
            let mut handler = [0; 12];
            self.file.seek(SeekFrom::Start(start))?;
            self.file.read_exact(&mut handler)?;
            if handler.ends_with(b"vide") {
                return Ok(Some(true));
            }
            any |= handler.ends_with(b"soun");
        }
        Ok(any.then_some(false))
    }

    /// The first box of a name between two places: where what it holds begins and ends.
    fn find(&mut self, mut at: u64, to: u64, wanted: &[u8; 4]) -> std::io::Result<Option<(u64, u64)>> {
        while let Some((name, start, end)) = self.next(at, to)? {
            if &name == wanted {
                return Ok(Some((start, end)));
            }
            at = end;
        }
        Ok(None)
    }

    fn next(&mut self, at: u64, to: u64) -> std::io::Result<Option<([u8; 4], u64, u64)>> {
        if to.saturating_sub(at) < 8 || self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut head = [0; 16];
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut head[..8])?;
        let [a, b, c, d, name @ ..] = head.first_chunk::<8>().copied().unwrap_or_default();
        let (start, length) = match u32::from_be_bytes([a, b, c, d]) {
            0 => (8, to - at),
            1 => {
                self.file.read_exact(&mut head[8..])?;
                (16, u64::from_be_bytes(head.last_chunk::<8>().copied().unwrap_or_default()))
            }
            length => (8, length.into()),
        };
        // A box that is shorter than its head, or longer than what it lies in, ends the walk.
        let end = at.checked_add(length).filter(|end| length >= start && *end <= to);
        Ok(end.map(|end| (name, at + start, end)))
    }
}

/// RFC 8794 and 9559: the track entries' types.
fn matroska(head: &[u8]) -> Option<bool> {
    const SEGMENT: u64 = 0x1853_8067;
    const CLUSTER: u64 = 0x1f43_b675;
    const TRACKS: u64 = 0x1654_ae6b;
    let mut at = 0;
    loop {
        let (id, start, end) = element(head, at)?;
        at = match id {
            SEGMENT => start,
            CLUSTER => return None,
            TRACKS => return tracks(head.get(start..end)?),
            _ => end,
        };
    }
}

fn tracks(entries: &[u8]) -> Option<bool> {
    let (mut at, mut any) = (0, false);
    while let Some((id, start, end)) = element(entries, at) {
        at = end;
        let entry = entries.get(start..end)?;
        let mut inner = 0;
        while let (0xae, Some((id, start, end))) = (id, element(entry, inner)) {
            inner = end;
            match entry.get(start..end) {
                Some([1]) if id == 0x83 => return Some(true),
                Some([2]) if id == 0x83 => any = true,
                _ => {}
            }
        }
    }
    any.then_some(false)
}

/// An element: its name, and where what it holds begins and ends; one of unknown length has no end.
fn element(bytes: &[u8], at: usize) -> Option<(u64, usize, usize)> {
    let (id, wide) = number(bytes, at, false)?;
    let (length, long) = number(bytes, at + wide, true)?;
    let start = at + wide + long;
    let unknown = length == (1u64 << (7 * long)) - 1;
    let end = if unknown { usize::MAX } else { start.checked_add(usize::try_from(length).ok()?)? };
    Some((id, start, end))
}

/// A number of one to eight bytes, whose first bits say how many; they are no part of lengths.
fn number(bytes: &[u8], at: usize, masked: bool) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    let wide = first.leading_zeros() as usize + 1;
    let rest = bytes.get(at + 1..at + wide).filter(|_| wide <= 8)?;
    let first = if masked { u64::from(first) & ((1u64 << (8 - wide)) - 1) } else { first.into() };
    Some((rest.iter().fold(first, |n, byte| n << 8 | u64::from(*byte)), wide))
}

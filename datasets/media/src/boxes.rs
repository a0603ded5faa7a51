//! The tables of containers: boxes of ISO media, elements of Matroska.

use crate::Opened;
use std::io::{Read, Seek, SeekFrom};

/// More boxes than any file has before its tables.
const MOST_BOXES: usize = 4096;

/// ISO/IEC 14496-12: boxes within boxes, each with its length and name.
pub(crate) struct Boxes<'a> {
    pub(crate) file: &'a mut Opened,
    left: usize,
}

impl<'a> Boxes<'a> {
    pub(crate) fn new(file: &'a mut Opened) -> Self {
        Self { file, left: MOST_BOXES }
    }

    /// The first box of a name between two places: where what it holds begins and ends.
    pub(crate) fn find(
        &mut self,
        mut at: u64,
        to: u64,
        wanted: &[u8; 4],
    ) -> std::io::Result<Option<(u64, u64)>> {
        while let Some((name, start, end)) = self.next(at, to)? {
            if &name == wanted {
                return Ok(Some((start, end)));
            }
            at = end;
        }
        Ok(None)
    }

    pub(crate) fn next(&mut self, at: u64, to: u64) -> std::io::Result<Option<([u8; 4], u64, u64)>> {
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

/// An element: its name, and where what it holds begins and ends; one of unknown length has no end.
pub(crate) fn element(bytes: &[u8], at: usize) -> Option<(u64, usize, usize)> {
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

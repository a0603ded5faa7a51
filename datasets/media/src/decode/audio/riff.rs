//! The chunks of a WAV file: RIFF, its big-endian RIFX, and RF64 or BW64, whose lengths have 64 bits. Lengths are taken as people's
//! programs write them: pad bytes may be missing, and what goes through a pipe is written before its length is known.

/// More chunks than any file has: a file of nothing but empty ones ends here.
const MOST_CHUNKS: usize = 1 << 16;

/// Lengths from here on are marks of "not known": sox writes 0x7ffff000, others 0x7fffffff, 0x80000000 or 0xffffffff, some a little less.
const UNKNOWN: u64 = 0x7fff_0000;

/// Names that follow each other in WAV files.
const NAMES: [&[u8; 4]; 16] = [
    b"data", b"fmt ", b"fact", b"LIST", b"JUNK", b"junk", b"PEAK", b"bext", b"cue ", b"smpl", b"inst",
    b"id3 ", b"ID3 ", b"iXML", b"axml", b"chna",
];

/// Numbers at places of a byte string, of either order; `None` beyond its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) big: bool,
}

impl Numbers<'_> {
    pub(super) fn u16(self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    pub(super) fn u32(self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(if self.big { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }
}

/// What the chunks of one file hold.
#[derive(Debug)]
pub(super) struct Riff<'a> {
    /// Of the `fmt ` chunk.
    pub(super) format: Numbers<'a>,
    /// Where the `data` chunk lies.
    pub(super) data: std::ops::Range<u64>,
}

/// Whether a file begins like one.
pub(super) fn is_wave(bytes: &[u8]) -> bool {
    matches!(bytes.get(..4), Some(b"RIFF" | b"RIFX" | b"RF64" | b"BW64")) && bytes.get(8..12) == Some(b"WAVE")
}

/// Finds the format and the samples of a file of `length` bytes, of which these are the first. `None`: they are too few to say.
///
/// # Errors
/// What was found instead of a whole file.
pub(super) fn read(bytes: &[u8], length: u64) -> Result<Option<Riff<'_>>, String> {
    let all_there = bytes.len() as u64 == length;
    let big = bytes.starts_with(b"RIFX");
    let all = Numbers { bytes, big };
    let (mut format, mut data, mut long) = (None, None, None);
    for chunk in (Chunks { all, at: 12 }).take(MOST_CHUNKS) {
        let rest = bytes.get(chunk.start..).unwrap_or_default();
        match &chunk.name {
            b"ds64" => long = all.u64(chunk.start + 8),
            b"fmt " if format.is_none() => {
                let length = usize::try_from(chunk.length).unwrap_or(usize::MAX).min(rest.len());
                format = Some(Numbers { bytes: &rest[..length], big });
            }
            b"data" if data.is_none() => data = Some((chunk.start, chunk.length)),
            _ => continue,
        }
        if format.is_some() && data.is_some() {
            break;
        }
    }
    if !all_there && (format.is_none() || data.is_none()) {
        return Ok(None);
    }
    let format = format.ok_or("one that is cut off: it has no format chunk")?;
    let (start, claimed) = data.ok_or("one that is cut off: it has no data chunk")?;
    let claimed = match long {
        Some(long) if claimed == u64::from(u32::MAX) => long,
        _ => claimed,
    };
    if claimed == 0 && !all_there {
        return Ok(None);
    }
    let follows = claimed == 0 && complete(Chunks { all, at: start }, bytes.len());
    // Programs that count the header in are told by the exact sum.
    let counted = [length, length - 8].contains(&claimed);
    let frame = u64::from(format.u16(12).unwrap_or(1)).clamp(1, 64);
    let start = start as u64;
    let rest = length.saturating_sub(start);
    let long = match claimed {
        // A recorder that was killed never wrote it.
        0 if !follows => rest,
        n if n <= rest => n,
        n if n >= UNKNOWN || counted || n - rest < frame => rest,
        n => {
            return Err(format!("one that is cut off: {n} bytes of samples are promised, {rest} are there"));
        }
    };
    Ok(Some(Riff { format, data: start..start + long }))
}

/// Whether chunks of known names follow to the very end.
fn complete(mut chunks: Chunks, end: usize) -> bool {
    let mut known = true;
    for chunk in chunks.by_ref().take(MOST_CHUNKS) {
        known &= NAMES.contains(&&chunk.name);
    }
    known && (end..=end + 1).contains(&chunks.at)
}

struct Chunk {
    name: [u8; 4],
    start: usize,
    length: u64,
}

struct Chunks<'a> {
    all: Numbers<'a>,
    at: usize,
}

impl Iterator for Chunks<'_> {
    type Item = Chunk;

    fn next(&mut self) -> Option<Chunk> {
        let bytes = self.all.bytes;
        let name: [u8; 4] = bytes.get(self.at..self.at.checked_add(4)?)?.try_into().ok()?;
        let length = self.all.u32(self.at + 4)?;
        let start = self.at + 8;
        let end = start.saturating_add(length as usize);
        // A chunk of odd length is followed by a pad byte, which some programs leave out.
        let bare =
            bytes.get(end..end.saturating_add(4)).is_some_and(|n| NAMES.iter().any(|k| k.as_slice() == n));
        self.at = if length % 2 == 1 && !bare { end.saturating_add(1) } else { end };
        Some(Chunk { name, start, length: length.into() })
    }
}

//! How long audio files last, and videos.

use super::tables;
use crate::decode::mpeg_seconds;
use crate::{Blob, Opened, Result};
use std::io::{Read, Seek, SeekFrom};

/// Two frames of MPEG are within so many bytes, and the tables of most others.
const HEAD: usize = 1 << 16;
/// Within so many bytes of its end a last page of Ogg begins: one has at most 65,307.
const TAIL: u64 = 1 << 17;
/// More chunks than any file has before its samples.
const CHUNKS: usize = 256;

/// Seconds that an audio file or a video lasts by its head: WAV, AIFF, FLAC, Ogg (Vorbis, Opus, Speex), MPEG audio, MP4, Matroska, AVI and Windows
/// Media. Of MPEG audio without an encoder's summary it is an estimate by the first frame. `None` where the head does not say.
///
/// # Errors
/// [`Error::Files`](crate::Error::Files).
pub fn seconds(from: impl Into<Blob>) -> Result<Option<f64>> {
    let mut opened = from.into().open()?;
    // What cannot be read is not told.
    let found = told(&mut opened).unwrap_or_default();
    Ok(found.filter(|seconds| seconds.is_finite() && *seconds > 0.0))
}

fn told(file: &mut Opened) -> std::io::Result<Option<f64>> {
    let start = tag(file)?;
    let head = at(file, start, HEAD)?;
    let rest = file.len().saturating_sub(start);
    Ok(match head.as_slice() {
        [b'R', b'I', b'F', b'F' | b'X', ..] | [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..]
            if head.get(8..12) == Some(b"WAVE") =>
        {
            wave(file, start, head[3] == b'X')?
        }
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => aiff(file, start)?,
        [b'f', b'L', b'a', b'C', ..] => flac(&head),
        [b'O', b'g', b'g', b'S', ..] => ogg(file, &head)?,
        [0xff, second, ..] if second & 0xe0 == 0xe0 => mpeg_seconds(&head, rest),
        _ => match tables::seconds(file, &head)? {
            None if start > 0 => mpeg_seconds(&head, rest),
            found => found,
        },
    })
}

fn at(file: &mut Opened, place: u64, most: usize) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(place))?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Where the audio begins: behind tags of ID3 version 2, which hold images of any size.
fn tag(file: &mut Opened) -> std::io::Result<u64> {
    let mut start = 0;
    // One may follow another.
    for _ in 0..8 {
        match *at(file, start, 10)? {
            [b'I', b'D', b'3', _, _, flags, a, b, c, d] if (a | b | c | d) & 0x80 == 0 => {
                let length = [a, b, c, d].iter().fold(0u64, |n, byte| n << 7 | u64::from(*byte));
                start += 10 + length + if flags & 0x10 == 0 { 0 } else { 10 };
            }
            _ => break,
        }
    }
    Ok(start)
}

/// Its bytes a second, and how many bytes of samples there are: so it is right for every coding of a steady rate.
fn wave(file: &mut Opened, start: u64, big: bool) -> std::io::Result<Option<f64>> {
    let number = |b: &[u8]| match b {
        [a, b, c, d] if big => u32::from_be_bytes([*a, *b, *c, *d]),
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    };
    let (mut place, mut rate) = (start + 12, 0);
    for _ in 0..CHUNKS {
        let head = at(file, place, 20)?;
        let (Some(name), Some(length)) = (head.get(..4), head.get(4..8).map(number)) else { break };
        match name {
            b"fmt " => rate = head.get(16..20).map_or(0, number),
            b"data" => {
                // A length that was not known when it was written, or that stands elsewhere, goes to the end.
                let there = file.len().saturating_sub(place + 8);
                let bytes = if length == u32::MAX { there } else { u64::from(length).min(there) };
                return Ok((rate > 0).then(|| bytes as f64 / f64::from(rate)));
            }
            _ => {}
        }
        place += 8 + u64::from(length) + u64::from(length % 2);
    }
    Ok(None)
}

/// `COMM`: channels, frames, bits, and the rate as an 80-bit number.
fn aiff(file: &mut Opened, start: u64) -> std::io::Result<Option<f64>> {
    let mut place = start + 12;
    for _ in 0..CHUNKS {
        let head = at(file, place, 26)?;
        let Some(&[a, b, c, d]) = head.get(4..8) else { break };
        let length = u32::from_be_bytes([a, b, c, d]);
        if head.starts_with(b"COMM") {
            let (Some(&[a, b, c, d]), Some(rate)) = (head.get(10..14), head.get(16..26)) else { break };
            let power = i32::from(u16::from_be_bytes([rate[0] & 0x7f, rate[1]])) - 16383 - 63;
            let digits = rate[2..].iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
            return Ok(Some(
                f64::from(u32::from_be_bytes([a, b, c, d])) / (digits as f64 * 2f64.powi(power)),
            ));
        }
        place += 8 + u64::from(length) + u64::from(length % 2);
    }
    Ok(None)
}

/// `STREAMINFO`, which is the first block: 20 bits of the rate, 36 bits of the samples.
fn flac(head: &[u8]) -> Option<f64> {
    let info = head.get(18..26)?;
    let number = info.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let (rate, samples) = (number >> 44, number & 0xf_ffff_ffff);
    (rate > 0).then(|| samples as f64 / rate as f64)
}

/// The first page says what is in it, the last one's position how many samples there were.
fn ogg(file: &mut Opened, head: &[u8]) -> std::io::Result<Option<f64>> {
    let segments = usize::from(head.get(26).copied().unwrap_or(0));
    let packet = head.get(27 + segments..).unwrap_or_default();
    let little =
        |at: usize| packet.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let (rate, skip) = if packet.starts_with(b"\x01vorbis") {
        (little(12), 0)
    } else if packet.starts_with(b"OpusHead") {
        (48_000, u64::from(little(10) & 0xffff))
    } else if packet.starts_with(b"Speex   ") {
        (little(36), 0)
    } else {
        return Ok(None);
    };
    let tail = at(file, file.len().saturating_sub(TAIL), TAIL as usize)?;
    let pages = tail.windows(14).enumerate().rev().filter(|(_, w)| w.starts_with(b"OggS\0"));
    let places = pages.map(|(_, w)| w[6..14].iter().rev().fold(0u64, |n, byte| n << 8 | u64::from(*byte)));
    // On a page where no packet ends it is -1.
    let last = places.into_iter().find(|samples| *samples != u64::MAX);
    Ok(last.filter(|_| rate > 0).map(|samples| samples.saturating_sub(skip) as f64 / f64::from(rate)))
}

//! How long containers say that they last.

use crate::Opened;
use crate::boxes::{Boxes, element};
use std::io::{Read, Seek, SeekFrom};

/// More elements than any file has before its tracks.
const ELEMENTS: usize = 4096;
/// Windows Media's name of the object that holds a file's properties.
const ASF_FILE: [u8; 16] =
    [0xa1, 0xdc, 0xab, 0x8c, 0x47, 0xa9, 0xcf, 0x11, 0x8e, 0xe4, 0x00, 0xc0, 0x0c, 0x20, 0x53, 0x65];

/// Seconds by the tables of MP4, Matroska, AVI and Windows Media; `head` are the file's first bytes.
pub(super) fn seconds(file: &mut Opened, head: &[u8]) -> std::io::Result<Option<f64>> {
    Ok(match head {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => movie(file)?,
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(head),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => avi(head),
        [0x30, 0x26, 0xb2, 0x75, ..] => asf(head),
        _ => None,
    })
}

/// ISO/IEC 14496-12, 8.2.2: the movie header within the movie box. Of a movie in fragments it says nothing.
fn movie(file: &mut Opened) -> std::io::Result<Option<f64>> {
    let (length, mut boxes) = (file.len(), Boxes::new(file));
    let Some((from, to)) = boxes.find(0, length, b"moov")? else { return Ok(None) };
    let Some((from, _)) = boxes.find(from, to, b"mvhd")? else { return Ok(None) };
    let mut header = [0; 32];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut header)?;
    let long = header[0] == 1;
    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let (scale, units, unknown) = match long {
        true => (number(&header[20..24]), number(&header[24..32]), u64::MAX),
        false => (number(&header[12..16]), number(&header[16..20]), u64::from(u32::MAX)),
    };
    Ok((scale > 0 && units != unknown).then(|| units as f64 / scale as f64))
}

/// RFC 9559, 5.1.2: the duration in units of the scale, which is a million nanoseconds where nothing is said.
fn matroska(head: &[u8]) -> Option<f64> {
    const SEGMENT: u64 = 0x1853_8067;
    const INFO: u64 = 0x1549_a966;
    const SCALE: u64 = 0x2a_d7b1;
    const DURATION: u64 = 0x4489;
    let (mut at, mut scale, mut units) = (0, 1_000_000u64, None);
    // Elements within the segment and its information are read as if they lay side by side.
    for _ in 0..ELEMENTS {
        let Some((id, start, end)) = element(head, at) else { break };
        at = match id {
            SEGMENT | INFO => start,
            _ => end,
        };
        let value = head.get(start..end.min(head.len())).unwrap_or_default();
        match (id, value) {
            (SCALE, value) if value.len() <= 8 => {
                scale = value.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
            }
            (DURATION, &[a, b, c, d]) => units = Some(f64::from(f32::from_be_bytes([a, b, c, d]))),
            (DURATION, value) => units = value.try_into().ok().map(f64::from_be_bytes),
            _ => {}
        }
    }
    Some(units? * scale as f64 / 1e9)
}

/// The main header: microseconds a frame, and frames.
fn avi(head: &[u8]) -> Option<f64> {
    let at = head.windows(4).take(256).position(|w| w == b"avih")?;
    let little = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    Some(f64::from(little(at + 8)?) * f64::from(little(at + 24)?) / 1e6)
}

/// File properties: how long it plays in units of 100 ns, after a lead in milliseconds.
fn asf(head: &[u8]) -> Option<f64> {
    let at = head.windows(16).position(|w| w == ASF_FILE)?;
    let little = |at: usize| Some(u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?));
    Some(little(at + 64)? as f64 / 1e7 - little(at + 80)? as f64 / 1e3)
}

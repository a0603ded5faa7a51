//! Files that were joined byte by byte, of containers that FFmpeg reads the first of only, and says nothing.

use crate::{Blob, Opened};
use std::io::{Read, Result, Seek, SeekFrom};

/// Parts of a file that are stepped over, at most.
const MOST: usize = 10_000_000;

/// What is told of a file behind whose end, as FFmpeg sees it, another recording begins; `None`: none is known to.
pub fn unread(from: impl Into<Blob>) -> Option<String> {
    let mut file = from.into().open().ok()?;
    let mut head = [0; 12];
    file.read_exact(&mut head).ok()?;
    let (kind, at) = match head {
        [b'F', b'L', b'V', 1, ..] => ("FLV", flv(&mut file)),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => ("Matroska", matroska(&mut file)),
        [_, _, _, _, a, b, c, d, ..] if [*b"ftyp", *b"moov", *b"mdat", *b"wide"].contains(&[a, b, c, d]) => {
            ("MP4", mp4(&mut file))
        }
        _ => return None,
    };
    // What ends in the middle of a part is told by the decoder.
    let at = at.ok().flatten()?;
    Some(format!("another {kind} file begins at byte {at} of this one and is not read; cut them apart there"))
}

/// The second index, or what goes before it: FFmpeg takes the first.
fn mp4(file: &mut Opened) -> Result<Option<u64>> {
    let (mut at, mut begins, mut indices) = (0, 0, 0);
    for _ in 0..MOST {
        let mut head = [0; 16];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head[..8])?;
        let [a, b, c, d, kind @ .., _, _, _, _, _, _, _, _] = head;
        let size = match u32::from_be_bytes([a, b, c, d]) {
            0 => return Ok(None),
            1 => {
                file.read_exact(&mut head[8..])?;
                let [.., a, b, c, d, e, f, g, h] = head;
                u64::from_be_bytes([a, b, c, d, e, f, g, h])
            }
            size => size.into(),
        };
        if &kind == b"ftyp" {
            begins = at;
        }
        if &kind == b"moov" {
            indices += 1;
        }
        if indices == 2 {
            return Ok(Some(begins.max(1).min(at)));
        }
        at = match at.checked_add(size) {
            Some(next) if size >= 8 => next,
            _ => return Ok(None),
        };
    }
    Ok(None)
}

/// A header where a tag should be.
fn flv(file: &mut Opened) -> Result<Option<u64>> {
    let mut head = [0; 9];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut head)?;
    let [.., a, b, c, d] = head;
    // Each tag is followed by its length, the header by that of none.
    let mut at = u64::from(u32::from_be_bytes([a, b, c, d])) + 4;
    for _ in 0..MOST {
        let mut tag = [0; 4];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut tag)?;
        if tag == [b'F', b'L', b'V', 1] {
            return Ok(Some(at));
        }
        let [kind, a, b, c] = tag;
        if ![8, 9, 18].contains(&(kind & 0x1f)) {
            return Ok(None);
        }
        at += u64::from(u32::from_be_bytes([0, a, b, c])) + 15;
    }
    Ok(None)
}

/// The third header: FFmpeg goes on once.
fn matroska(file: &mut Opened) -> Result<Option<u64>> {
    let (mut at, mut headers) = (0, 0);
    for _ in 0..MOST {
        let mut head = [0; 12];
        file.seek(SeekFrom::Start(at))?;
        // The last element may be shorter than the longest head.
        let n = file.read(&mut head)?;
        let id = head[0].leading_zeros() as usize + 1;
        let long = head.get(id).map_or(9, |first| first.leading_zeros() as usize + 1);
        if n == 0 || id > 4 || long > 8 || n < id + long {
            return Ok(None);
        }
        if head[..4] == [0x1a, 0x45, 0xdf, 0xa3] {
            headers += 1;
            if headers == 3 {
                return Ok(Some(at));
            }
        }
        let mask = (1_u64 << (7 * long)) - 1;
        let size = head[id..id + long].iter().fold(0, |size: u64, byte| size << 8 | u64::from(*byte)) & mask;
        // All ones: its end is not known.
        if size == mask {
            return Ok(None);
        }
        at += (id + long) as u64 + size;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("v");
        std::fs::write(&path, bytes).unwrap();
        unread(path)
    }

    #[test]
    fn what_follows_is_told_with_its_place() {
        let mp4 =
            [&b"\0\0\0\x10ftypisom\0\0\0\0\0\0\0\x09moov.\0\0\0\x01mdat"[..], &19_u64.to_be_bytes(), b"abc"]
                .concat();
        let flv = b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x09\0\0\x02\0\0\0\0\0\0\0ab\0\0\0\x0d".to_vec();
        let mkv = [&b"\x1a\x45\xdf\xa3\x81a"[..], b"\x18\x53\x80\x67\x01\0\0\0\0\0\0\x05abcde"].concat();
        for (bytes, least, kind) in [(mp4, 2, "MP4"), (flv, 2, "FLV"), (mkv, 3, "Matroska")] {
            for count in 1..5 {
                let found = told(&bytes.repeat(count));
                if count < least {
                    assert_eq!(found, None, "{kind}");
                } else {
                    let place =
                        format!("another {kind} file begins at byte {} of", bytes.len() * (least - 1));
                    assert!(found.as_ref().is_some_and(|f| f.starts_with(&place)), "{kind}: {found:?}");
                }
                // Cut anywhere, it ends.
                for length in 0..bytes.len() * count {
                    told(&bytes.repeat(count)[..length]);
                }
            }
        }
        let unknown = b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".repeat(4);
        assert_eq!((told(&unknown), told(b"words"), told(b"")), (None, None, None));
    }
}

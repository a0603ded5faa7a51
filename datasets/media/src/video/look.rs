//! Whether a container shows images, by its own tables: phones, browsers and recorders write audio files into containers that are called videos.
//! A look costs a few reads; nothing is decoded and no program is started.

use crate::boxes::{Boxes, element};
use crate::decode::ogg_shows_images;
use crate::{Blob, Result};
use std::io::{Read, Seek, SeekFrom};

/// Tables that stand at the beginning are within so many bytes.
const HEAD: u64 = 1 << 18;
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
            // What cannot be read is not told.
            movie(&mut Boxes::new(&mut file), length).unwrap_or_default()
        }
        [0x1a, 0x45, 0xdf, 0xa3, ..] => matroska(&head),
        [b'O', b'g', b'g', b'S', ..] => Some(ogg_shows_images(&head)),
        [0x30, 0x26, 0xb2, 0x75, ..] => Some(head.windows(16).any(|w| w == ASF_VIDEO)),
        _ => None,
    })
}

/// Looks through the tracks of the movie box.
fn movie(boxes: &mut Boxes, length: u64) -> std::io::Result<Option<bool>> {
    let Some((from, to)) = boxes.find(0, length, b"moov")? else { return Ok(None) };
    let (mut at, mut any) = (from, false);
    while let Some((name, start, end)) = boxes.next(at, to)? {
        at = end;
        if &name != b"trak" {
            continue;
        }
        let Some((from, to)) = boxes.find(start, end, b"mdia")? else { continue };
        let Some((start, _)) = boxes.find(from, to, b"hdlr")? else { continue };
        let mut handler = [0; 12];
        boxes.file.seek(SeekFrom::Start(start))?;
        boxes.file.read_exact(&mut handler)?;
        if handler.ends_with(b"vide") {
            return Ok(Some(true));
        }
        any |= handler.ends_with(b"soun");
    }
    Ok(any.then_some(false))
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

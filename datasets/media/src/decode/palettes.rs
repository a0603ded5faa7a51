//! What numbers of colours stand for, read from the heads of files: decoders give the colours and keep the numbers to themselves.

/// Black, then white for every other number: what Pillow makes of single bits.
pub(super) fn bits() -> Vec<[u8; 3]> {
    (0..=255u8).map(|bit| [if bit == 0 { 0 } else { 255 }; 3]).collect()
}

fn colours(bytes: &[u8]) -> Vec<[u8; 3]> {
    bytes.as_chunks().0.to_vec()
}

/// The chunk of colours, which comes before the pixels.
pub(super) fn png(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    let mut rest = bytes.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let (kind, data) = (rest.get(4..8)?, rest.get(8..)?);
        if kind == b"PLTE" {
            return Some(colours(data.get(..length)?));
        }
        rest = data.get(length.checked_add(4)?..)?;
    }
}

/// The table of colours for all frames, after the size of the screen.
pub(super) fn gif(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    let flags = *bytes.get(10)?;
    let most = 3usize << ((flags & 7) + 1);
    if flags & 0x80 == 0 { None } else { Some(colours(bytes.get(13..13 + most)?)) }
}

/// The palette of a BMP whose colours are no ramp of greys. Pillow takes a ramp for greys; black and white alone for single bits.
pub(super) fn bmp(bytes: &[u8]) -> Option<Vec<[u8; 3]>> {
    let short = |at: usize| Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let head = long(14)? as usize;
    // The oldest head has no number of colours, and three bytes for each.
    let (depth, named, wide) = if head == 12 { (short(24)?, 0, 3) } else { (short(28)?, long(46)?, 4) };
    if !matches!(depth, 1 | 4 | 8) {
        return None;
    }
    let count = if named == 0 { 1 << depth } else { named as usize };
    let table = bytes.get(14usize.checked_add(head)?..)?;
    let palette: Vec<[u8; 3]> =
        table.chunks_exact(wide).take(count.min(256)).map(|c| [c[2], c[1], c[0]]).collect();
    let ramp = |last: usize| palette.iter().zip([0, last].iter().cycle()).all(|(c, v)| *c == [*v as u8; 3]);
    if palette.len() == 2 && ramp(255) {
        return Some(bits());
    }
    let greys = palette.iter().enumerate().all(|(i, c)| *c == [i as u8; 3]);
    (!greys && !palette.is_empty()).then_some(palette)
}

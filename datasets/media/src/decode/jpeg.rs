//! JPEG files by their markers: whether one is whole, and what decoding it would hold in memory.

/// What a walk over the markers tells; nothing is decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// The end-of-image marker is there. libjpeg reads on until it, and so Pillow calls what lacks it truncated; decoders here would fill
    /// what is missing with grey.
    pub(super) ends: bool,
    /// Bytes of coefficients that a progressive image keeps until its last scan, at whatever scale it is shown; 0 for others.
    pub(super) coefficients: u64,
    /// Each goes over the whole image.
    pub(super) scans: u32,
}

/// Walks the markers of a file that begins with the start-of-image marker.
pub(super) fn outline(bytes: &[u8]) -> Outline {
    let mut found = Outline::default();
    for (marker, header) in markers(bytes) {
        found.ends |= marker == END;
        found.scans += u32::from(marker == 0xda);
        // Frames whose coefficients come in several scans (SOF2, 6, 10, 14).
        if [0xc2, 0xc6, 0xca, 0xce].contains(&marker) {
            found.coefficients = found.coefficients.max(coefficients(header));
        }
    }
    found
}

/// Channels of the first frame: 1, 3, or four inks; 0 where none begins. What comes before it is all that is looked at.
pub(super) fn channels(bytes: &[u8]) -> u8 {
    let frame = |marker: u8| matches!(marker, 0xc0..=0xcf) && ![0xc4, 0xc8, 0xcc].contains(&marker);
    let header = markers(bytes).find(|(marker, _)| frame(*marker)).map(|(_, header)| header);
    header.and_then(|header| header.get(5)).copied().unwrap_or(0)
}

/// End of image.
const END: u8 = 0xd9;

/// Markers with what their length says is theirs, up to the end of the image: those without a length, of restarts and in a scan's data, are left out.
fn markers(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    let mut ended = false;
    std::iter::from_fn(move || {
        // Between a scan's header and the next marker lies its data, in which 0xff stands only before 0 and before restart markers.
        while !ended {
            at += bytes.get(at..)?.iter().position(|b| *b == 0xff)? + 1;
            // Any number of 0xff may stand before a marker.
            while bytes.get(at) == Some(&0xff) {
                at += 1;
            }
            let marker = *bytes.get(at)?;
            at += 1;
            match marker {
                END => {
                    ended = true;
                    return Some((END, &[][..]));
                }
                // Data, restarts, and markers without a length.
                0x00 | 0x01 | 0xd0..=0xd8 => {}
                _ => {
                    let begin = at;
                    // A scan of which even the length is missing has begun all the same.
                    let length =
                        bytes.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
                    ended = length.is_none();
                    let length = length.unwrap_or(0);
                    at += length.max(2);
                    return Some((marker, bytes.get(begin + 2..begin + length).unwrap_or_default()));
                }
            }
        }
        None
    })
}

/// Two bytes for each coefficient of each component's blocks.
fn coefficients(header: &[u8]) -> u64 {
    let [_, h0, h1, w0, w1, _, components @ ..] = header else { return 0 };
    let (height, width) = (u16::from_be_bytes([*h0, *h1]), u16::from_be_bytes([*w0, *w1]));
    let sampling = |c: &[u8; 3]| (u64::from(c[1] >> 4).max(1), u64::from(c[1] & 15).max(1));
    let sampled = components.as_chunks::<3>().0;
    let across = sampled.iter().map(|c| sampling(c).0).max().unwrap_or(1);
    let down = sampled.iter().map(|c| sampling(c).1).max().unwrap_or(1);
    let (columns, rows) = (u64::from(width).div_ceil(8 * across), u64::from(height).div_ceil(8 * down));
    let blocks: u64 = sampled.iter().map(|c| sampling(c).0 * sampling(c).1).sum();
    // A side is below 2^16, a sampling factor below 16, components below 256: no overflow.
    columns * rows * blocks * 128
}

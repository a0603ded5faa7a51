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
    /// Channels of the last frame that begins: 1, 3, or four inks.
    pub(super) channels: u8,
}

/// Walks the markers of a file that begins with the start-of-image marker.
pub(super) fn outline(bytes: &[u8]) -> Outline {
    let mut found = Outline::default();
    let mut at = 2;
    // Between a scan's header and the next marker lies its data, in which 0xff stands only before 0 and before restart markers.
    while let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0xff)) {
        at += next + 1;
        // Any number of 0xff may stand before a marker.
        while bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        let Some(marker) = bytes.get(at) else { break };
        at += 1;
        match marker {
            0xd9 => {
                found.ends = true;
                break;
            }
            // Data, restarts, and markers without a length.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                found.scans += u32::from(*marker == 0xda);
                let Some(length) = bytes.get(at..at + 2) else { break };
                let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
                if matches!(marker, 0xc0..=0xcf) && ![0xc4, 0xc8, 0xcc].contains(marker) {
                    found.channels = bytes.get(at + 7).copied().unwrap_or(0);
                }
                // Frames whose coefficients come in several scans (SOF2, 6, 10, 14).
                if [0xc2, 0xc6, 0xca, 0xce].contains(marker) {
                    let header = bytes.get(at + 2..at + length).unwrap_or_default();
                    found.coefficients = found.coefficients.max(coefficients(header));
                }
                at += length.max(2);
            }
        }
    }
    found
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

//! Coded images as a stream that FFmpeg reads, a frame a tile: AV1 in IVF, HEVC behind start codes (Annex B).

use super::items::{Codec, Coded};

/// A temporal delimiter: what stands before each AV1 frame of a stream.
const DELIMITER: [u8; 2] = [0x12, 0];

/// The stream; an error is what was found.
pub(super) fn stream(coded: &Coded) -> Result<Vec<u8>, String> {
    match coded.codec {
        Codec::Av1 => ivf(coded),
        Codec::Hevc => hevc(coded).ok_or_else(|| "one that is cut off".into()),
    }
}

fn ivf(coded: &Coded) -> Result<Vec<u8>, String> {
    let side = |side: u32| u16::try_from(side).unwrap_or(0).to_le_bytes();
    let frames = u32::try_from(coded.tiles.len()).unwrap_or(u32::MAX);
    let mut out = b"DKIF\0\0\x20\0AV01".to_vec();
    out.extend([side(coded.tile.0), side(coded.tile.1)].concat());
    out.extend([25u32, 1, frames, 0].map(u32::to_le_bytes).concat());
    for (number, tile) in (0u64..).zip(&coded.tiles) {
        let length = u32::try_from(tile.len() + DELIMITER.len()).map_err(|_| "a tile of gigabytes")?;
        out.extend(length.to_le_bytes());
        out.extend(number.to_le_bytes());
        out.extend(DELIMITER);
        out.extend_from_slice(tile);
    }
    Ok(out)
}

fn hevc(coded: &Coded) -> Option<Vec<u8>> {
    let wide = usize::from(coded.configuration.get(21)? & 3) + 1;
    // Once: they stay what they are, and a small file of many tiles small.
    let mut out = parameters(coded.configuration)?;
    for tile in &coded.tiles {
        let mut rest: &[u8] = tile;
        // Units stand behind their lengths.
        while !rest.is_empty() {
            let (length, after) = rest.split_at_checked(wide)?;
            let length = length.iter().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
            let (unit, after) = after.split_at_checked(length)?;
            out.extend([0, 0, 0, 1]);
            out.extend_from_slice(unit);
            rest = after;
        }
    }
    Some(out)
}

/// ISO/IEC 14496-15, 8.3.3.1: parameter sets, each behind its start code.
fn parameters(configuration: &[u8]) -> Option<Vec<u8>> {
    let (arrays, mut rest) = configuration.get(22..)?.split_first()?;
    let mut out = Vec::new();
    for _ in 0..*arrays {
        let [_, a, b, after @ ..] = rest else { return None };
        rest = after;
        for _ in 0..u16::from_be_bytes([*a, *b]) {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            out.extend([0, 0, 0, 1]);
            out.extend_from_slice(unit);
            rest = after;
        }
    }
    Some(out)
}

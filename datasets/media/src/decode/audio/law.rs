//! A-law and mu-law of telephones (ITU-T G.711): a byte is a sign, three bits of exponent and four of mantissa.

/// A sample of A-law.
pub(super) fn a(byte: u8) -> f32 {
    let code = byte ^ 0x55;
    let (exponent, mantissa) = (code >> 4 & 7, i16::from(code & 15) << 4);
    let size = match exponent {
        0 => mantissa + 8,
        _ => (mantissa + 0x108) << (exponent - 1),
    };
    full(if code & 0x80 == 0 { -size } else { size })
}

/// A sample of mu-law.
pub(super) fn mu(byte: u8) -> f32 {
    let code = !byte;
    let size = ((i16::from(code & 15) << 3) + 0x84) << (code >> 4 & 7);
    full(if code & 0x80 == 0 { size - 0x84 } else { 0x84 - size })
}

fn full(sample: i16) -> f32 {
    f32::from(sample) * (1.0 / 32768.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_both_scales() {
        let levels = [a(0xd5), a(0x55), a(0xaa), a(0x2a)].map(|s| s * 32768.0);
        assert_eq!(levels, [8.0, -8.0, 32256.0, -32256.0]);
        assert_eq!(
            [mu(0xff), mu(0x7f), mu(0x80), mu(0x00)].map(|s| s * 32768.0),
            [0.0, 0.0, 32124.0, -32124.0]
        );
        // Louder codes are louder.
        let rises =
            |audio: fn(u8) -> f32, codes: [u8; 128]| codes.windows(2).all(|c| audio(c[0]) < audio(c[1]));
        assert!(rises(a, std::array::from_fn(|i| (i as u8 | 0x80) ^ 0x55)));
        assert!(
            rises(mu, std::array::from_fn(|i| !(i as u8)))
                || rises(mu, std::array::from_fn(|i| !(i as u8 | 0x80)))
        );
    }
}

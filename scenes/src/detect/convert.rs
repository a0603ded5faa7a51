//! From decoded bytes to blue, green and red, with the integers of FFmpeg's `swscale` on x86.
//!
//! OpenCV asks `swscale` for BGR24 of the same size, and never for exact rounding; of 4:2:0 that takes a shortcut which multiplies
//! 16-bit numbers and keeps the upper half of each product, and gives each chroma sample to a square of four pixels. The coefficients
//! are BT.601's whatever the file says of its colours. Compared with OpenCV for all 2^24 triples in both ranges (`tests/detect.rs`).

/// A row of pixels, apart by colour.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub blue: Vec<u8>,
    pub green: Vec<u8>,
    pub red: Vec<u8>,
}

impl Row {
    pub(super) fn new(width: usize) -> Self {
        Self { blue: vec![0; width], green: vec![0; width], red: vec![0; width] }
    }
}

/// `swscale`'s coefficients, in units of 2^-13.
#[derive(Debug, Clone, Copy)]
struct Coefficients {
    offset: i16,
    luma: i16,
    v_red: i16,
    u_green: i16,
    v_green: i16,
    u_blue: i16,
}

const LIMITED: Coefficients =
    Coefficients { offset: 128, luma: 9539, v_red: 13_075, u_green: -3209, v_green: -6660, u_blue: 16_525 };
const FULL: Coefficients =
    Coefficients { offset: 0, luma: 8192, v_red: 11_485, u_green: -2819, v_green: -5850, u_blue: 14_516 };

/// Upper half of a product.
#[inline(always)]
fn high(a: i16, b: i16) -> i16 {
    ((i32::from(a) * i32::from(b)) >> 16) as i16
}

#[inline(always)]
fn byte(value: i16) -> u8 {
    value.clamp(0, 255) as u8
}

/// Pixels of the same length each: luma and chroma at each pixel.
pub(super) fn yuv_to_bgr(luma: &[u8], u: &[u8], v: &[u8], full_range: bool, into: &mut Row) {
    let k = if full_range { FULL } else { LIMITED };
    let n = into.blue.len().min(luma.len()).min(u.len()).min(v.len());
    let (luma, u, v) = (&luma[..n], &u[..n], &v[..n]);
    let (blue, green, red) = (&mut into.blue[..n], &mut into.green[..n], &mut into.red[..n]);
    for i in 0..n {
        let y = high((i16::from(luma[i]) << 3) - k.offset, k.luma);
        let (u, v) = ((i16::from(u[i]) << 3) - 1024, (i16::from(v[i]) << 3) - 1024);
        blue[i] = byte(y + high(u, k.u_blue));
        green[i] = byte(y + high(u, k.u_green) + high(v, k.v_green));
        red[i] = byte(y + high(v, k.v_red));
    }
}

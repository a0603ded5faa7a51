//! From decoded bytes to blue, green and red, with the integers of FFmpeg's `swscale` on x86.
//!
//! OpenCV asks `swscale` for BGR24 of the same size, and never for exact rounding; of 4:2:0 that takes a shortcut which multiplies
//! 16-bit numbers and keeps the upper half of each product, and gives each chroma sample to a square of four pixels. OpenCV 5.0 lets the
//! file say its matrix and range; 4.12 takes BT.601 and the limited range whatever it says (only `yuvj420p` is full there). Compared
//! with OpenCV 5.0 for all 2^24 triples of BT.601 in both ranges, and for 2^20 of each other matrix (`src/tests/detect.rs`).

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

/// How luma and chroma make up a colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Matrix {
    /// ITU-R BT.601 (`bt470bg`, `smpte170m`), and what is not told.
    #[default]
    Bt601,
    /// ITU-R BT.709 (`bt709`): most files of high definition say so.
    Bt709,
    /// ITU-R BT.2020 (`bt2020nc`, `bt2020c`).
    Bt2020,
    /// `fcc`.
    Fcc,
    /// `smpte240m`.
    Smpte240,
}

impl Matrix {
    /// By FFmpeg's name, which its `showinfo` tells of each frame after `color_space:`. Every other is taken for BT.601.
    pub fn named(name: &str) -> Self {
        match name {
            "bt709" => Self::Bt709,
            "bt2020nc" | "bt2020c" => Self::Bt2020,
            "fcc" => Self::Fcc,
            "smpte240m" => Self::Smpte240,
            _ => Self::Bt601,
        }
    }

    /// How much of V goes into red, of U into blue, and of U and V off green, in units of 2^-16 of the limited range: `swscale`'s table.
    const fn shares(self) -> [i32; 4] {
        match self {
            Self::Bt601 => [104_597, 132_201, 25_675, 53_279],
            Self::Bt709 => [117_489, 138_438, 13_975, 34_925],
            Self::Bt2020 => [110_013, 140_363, 12_277, 42_626],
            Self::Fcc => [104_448, 132_798, 24_759, 53_109],
            Self::Smpte240 => [117_579, 136_230, 16_907, 35_559],
        }
    }
}

/// `swscale`'s coefficients, in units of 2^-13.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coefficients {
    offset: i16,
    luma: i16,
    v_red: i16,
    u_green: i16,
    v_green: i16,
    u_blue: i16,
}

impl Coefficients {
    pub(super) const fn new(matrix: Matrix, full_range: bool) -> Self {
        const fn eighth(value: i32, full_range: bool) -> i16 {
            let value = if full_range { value * 224 / 255 } else { value };
            ((value + 4) >> 3) as i16
        }
        let [v_red, u_blue, u_green, v_green] = matrix.shares();
        Self {
            offset: if full_range { 0 } else { 16 << 3 },
            luma: if full_range { 8192 } else { 9539 },
            v_red: eighth(v_red, full_range),
            u_green: eighth(-u_green, full_range),
            v_green: eighth(-v_green, full_range),
            u_blue: eighth(u_blue, full_range),
        }
    }
}

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
pub(super) fn yuv_to_bgr(luma: &[u8], u: &[u8], v: &[u8], k: Coefficients, into: &mut Row) {
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

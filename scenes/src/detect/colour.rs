//! Colours of a small image in OpenCV's 8-bit integers: hue, saturation and value, and two kinds of grey.

use super::image::Image;

/// Hue (0 to 179), saturation and value (0 to 255) of each pixel.
#[derive(Debug, Clone, Default)]
pub(super) struct Hsv {
    pub hue: Vec<u8>,
    pub saturation: Vec<u8>,
    pub value: Vec<u8>,
}

/// Adding it rounds a number below 2^22 to the nearest whole one, ties to even, and leaves that in the lowest bits.
const ROUND: f32 = 12_582_912.0;

/// Pixels at a time, in stages that the compiler turns into vectors of different widths.
const BLOCK: usize = 128;

impl Hsv {
    /// OpenCV's `COLOR_BGR2HSV`. Its tables hold `255 / value` and `30 / difference` in units of 2^-12, rounded. Here they are reckoned
    /// anew for each pixel, in floats, which is exact (every number is a multiple of a half below 2^23) and goes four or more pixels
    /// at a time.
    pub(super) fn of(&mut self, image: &Image) {
        let n = image.blue.len();
        for plane in [&mut self.hue, &mut self.saturation, &mut self.value] {
            plane.resize(n, 0);
        }
        let from = image.blue.chunks(BLOCK).zip(image.green.chunks(BLOCK)).zip(image.red.chunks(BLOCK));
        let into = self
            .hue
            .chunks_mut(BLOCK)
            .zip(self.saturation.chunks_mut(BLOCK))
            .zip(self.value.chunks_mut(BLOCK));
        for (((blue, green), red), ((hue, saturation), value)) in from.zip(into) {
            block([blue, green, red], [hue, saturation, value]);
        }
    }
}

fn block([blue, green, red]: [&[u8]; 3], [hue, saturation, value]: [&mut [u8]; 3]) {
    let n = value.len().min(BLOCK);
    let (mut difference, mut sixths) = ([0i16; BLOCK], [0i16; BLOCK]);
    for i in 0..n {
        let (b, g, r) = (i16::from(blue[i]), i16::from(green[i]), i16::from(red[i]));
        let v = b.max(g).max(r);
        let d = v - b.min(g).min(r);
        let rest = if v == g { b - r + 2 * d } else { r - g + 4 * d };
        sixths[i] = if v == r { g - b } else { rest };
        difference[i] = d;
        value[i] = v as u8;
    }
    for i in 0..n {
        let per_value = 1_044_480.0 / f32::from(value[i].max(1)) + ROUND - ROUND;
        // A half more, so that rounding to the nearest is rounding down of what is half a unit larger, as OpenCV's shift does it.
        let scaled = (f32::from(difference[i]) * per_value + 0.5) / 4096.0;
        saturation[i] = (scaled + ROUND).to_bits() as u8;
    }
    for i in 0..n {
        let per_difference = 122_880.0 / f32::from(difference[i].max(1)) + ROUND - ROUND;
        let turned = f32::from(sixths[i]) * per_difference;
        // A negative hue goes once round.
        let round = if turned < -2048.0 { 180 } else { 0u8 };
        hue[i] = ((turned + 0.5) / 4096.0 + ROUND).to_bits() as u8;
        hue[i] = hue[i].wrapping_add(round);
    }
}

/// The largest of the three colours, where hue and saturation do not count.
pub(super) fn value(image: &Image, into: &mut Vec<u8>) {
    into.clear();
    let pixels = image.blue.iter().zip(&image.green).zip(&image.red);
    into.extend(pixels.map(|((b, g), r)| *b.max(g).max(r)));
}

/// OpenCV's `COLOR_BGR2GRAY`: weights in units of 2^-15.
pub(super) fn grey(image: &Image, into: &mut Vec<u8>) {
    weighted(image, [3735, 19_235, 9798], 15, into);
}

/// The Y of OpenCV's `COLOR_BGR2YUV`: the same weights in units of 2^-14.
pub(super) fn luma(image: &Image, into: &mut Vec<u8>) {
    weighted(image, [1868, 9617, 4899], 14, into);
}

fn weighted(image: &Image, weights: [u32; 3], bits: u32, into: &mut Vec<u8>) {
    into.clear();
    let pixels = image.blue.iter().zip(&image.green).zip(&image.red);
    into.extend(pixels.map(|((b, g), r)| {
        let sum = u32::from(*b) * weights[0] + u32::from(*g) * weights[1] + u32::from(*r) * weights[2];
        ((sum + (1 << (bits - 1))) >> bits) as u8
    }));
}

/// The mean of `|a - b|`.
pub(super) fn mean_distance(a: &[u8], b: &[u8]) -> f64 {
    let sum: u32 = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
    f64::from(sum) / a.len() as f64
}

/// The mean of all three colours.
pub(super) fn mean(image: &Image) -> f64 {
    let sum = |plane: &[u8]| plane.iter().map(|v| u32::from(*v)).sum::<u32>();
    let all = u64::from(sum(&image.blue)) + u64::from(sum(&image.green)) + u64::from(sum(&image.red));
    all as f64 / (3 * image.blue.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenCV's tables and shifts.
    fn by_tables(b: i32, g: i32, r: i32) -> [u8; 3] {
        let per = |above: i32, below: i32| {
            if below == 0 { 0 } else { (f64::from(above) / f64::from(below)).round_ties_even() as i32 }
        };
        let (v, least) = (b.max(g).max(r), b.min(g).min(r));
        let difference = v - least;
        let sixths = match v {
            _ if v == r => g - b,
            _ if v == g => b - r + 2 * difference,
            _ => r - g + 4 * difference,
        };
        let hue = (sixths * per(180 << 12, 6 * difference) + 2048) >> 12;
        let saturation = (difference * per(255 << 12, v) + 2048) >> 12;
        [(if hue < 0 { hue + 180 } else { hue }) as u8, saturation as u8, v as u8]
    }

    #[test]
    fn floats_give_the_tables_integers() {
        let mut image = Image::new(256, 256);
        let mut hsv = Hsv::default();
        for red in 0..=255u8 {
            for i in 0..65_536usize {
                (image.blue[i], image.green[i], image.red[i]) = (i as u8, (i >> 8) as u8, red);
            }
            hsv.of(&image);
            for i in 0..65_536usize {
                let expected = by_tables((i & 255) as i32, (i >> 8) as i32, i32::from(red));
                assert_eq!([hsv.hue[i], hsv.saturation[i], hsv.value[i]], expected, "{i} {red}");
            }
        }
    }
}

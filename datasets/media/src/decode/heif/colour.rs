//! Planes of brightness and colour to red, green and blue (ITU-T H.273).

use super::items::{Codec, Coded, Nclx};
use crate::video::Told;
use image::{RgbImage, RgbaImage};

/// Samples of one plane, and how wide it is.
pub(super) struct Plane {
    samples: Vec<u16>,
    width: usize,
    height: usize,
}

/// The planes of an image of which its tiles came one after another; `None` where what came is not as long as they are.
pub(super) fn planes(coded: &Coded, raw: &[u8]) -> Option<Vec<Plane>> {
    let mut shapes = vec![(0u8, 0u8)];
    shapes.extend(coded.layout.halved.into_iter().flat_map(|halved| [halved, halved]));
    let wide = if coded.layout.depth > 8 { 2 } else { 1 };
    let mut planes: Vec<Plane> = Vec::new();
    for (across, down) in &shapes {
        let (width, height) = (halve(coded.size.0, *across), halve(coded.size.1, *down));
        planes.push(Plane { samples: vec![0; width.checked_mul(height)?], width, height });
    }
    let mut rest = raw;
    for number in 0..coded.tiles.len() as u32 {
        let (column, row) = (number % coded.columns, number / coded.columns);
        for (plane, (across, down)) in planes.iter_mut().zip(&shapes) {
            let (tile_width, tile_height) = (halve(coded.tile.0, *across), halve(coded.tile.1, *down));
            let (tile, after) =
                rest.split_at_checked(tile_width.checked_mul(tile_height)?.checked_mul(wide)?)?;
            rest = after;
            let left = ((column * coded.tile.0) >> across) as usize;
            let top = ((row * coded.tile.1) >> down) as usize;
            let lines = plane.samples.chunks_exact_mut(plane.width).skip(top);
            for (to, from) in lines.zip(tile.chunks_exact(tile_width * wide)) {
                let to = to.get_mut(left..)?.iter_mut();
                match wide {
                    1 => to.zip(from).for_each(|(to, from)| *to = u16::from(*from)),
                    _ => {
                        to.zip(from.as_chunks::<2>().0).for_each(|(to, from)| *to = u16::from_le_bytes(*from))
                    }
                }
            }
        }
    }
    rest.is_empty().then_some(planes)
}

fn halve(side: u32, by: u8) -> usize {
    side.div_ceil(1 << by) as usize
}

/// What samples mean.
struct Meaning {
    /// Shares of red and blue in brightness; `None`: the planes are green, blue and red.
    shares: Option<(f32, f32)>,
    /// Black, and one over the distance to white.
    light: (f32, f32),
    /// No colour, and one over the distance of its extremes.
    colour: (f32, f32),
}

impl Meaning {
    fn of(depth: u8, nclx: Option<Nclx>, told: &Told) -> Self {
        let full = nclx.map_or(told.full, |nclx| nclx.full);
        let matrix = match (nclx.map(|nclx| nclx.matrix), told.matrix.as_str()) {
            (Some(number), _) if number != 2 => number,
            (_, "gbr") => 0,
            (_, "bt709") => 1,
            (_, "fcc") => 4,
            (_, "smpte240m") => 7,
            (_, "bt2020nc" | "bt2020c") => 9,
            // Whatever else: the matrix of most images.
            _ => 6,
        };
        let shares = match matrix {
            // So the decoder has it: the file may say it of planes that are something else.
            0 if told.form.starts_with("gbr") => None,
            1 => Some((0.2126, 0.0722)),
            4 => Some((0.30, 0.11)),
            7 => Some((0.212, 0.087)),
            9 | 10 => Some((0.2627, 0.0593)),
            _ => Some((0.299, 0.114)),
        };
        let (most, step) = (((1u32 << depth) - 1) as f32, (1u32 << (depth - 8)) as f32);
        match full {
            true => Self { shares, light: (0.0, 1.0 / most), colour: (128.0 * step, 1.0 / most) },
            false => Self {
                shares,
                light: (16.0 * step, 1.0 / (219.0 * step)),
                colour: (128.0 * step, 1.0 / (224.0 * step)),
            },
        }
    }
}

/// A share of full brightness, of 255.
fn byte(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

/// Colours of 8 bits. Halved planes are interpolated where the image is AV1, as libavif does, and repeated where it is HEVC, as libheif does.
pub(super) fn colours(coded: &Coded, told: &Told, planes: &[Plane]) -> Option<RgbImage> {
    let (width, height) = coded.size;
    let meaning = Meaning::of(coded.layout.depth, coded.nclx, told);
    let (light, others) = planes.split_first()?;
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (y, line) in light.samples.chunks_exact(light.width).enumerate() {
        if let [a, b] = others {
            let smooth = coded.codec == Codec::Av1;
            a.line(y, coded, smooth, &mut first);
            b.line(y, coded, smooth, &mut second);
        }
        for (x, sample) in line.iter().enumerate() {
            let bright = (f32::from(*sample) - meaning.light.0) * meaning.light.1;
            let (Some(a), Some(b)) = (first.get(x), second.get(x)) else {
                out.extend([byte(bright); 3]);
                continue;
            };
            let Some((red, blue)) = meaning.shares else {
                let value = |sample: f32| byte((sample - meaning.light.0) * meaning.light.1);
                out.extend([value(*b), byte(bright), value(*a)]);
                continue;
            };
            let cb = (a - meaning.colour.0) * meaning.colour.1;
            let cr = (b - meaning.colour.0) * meaning.colour.1;
            let (r, b) = (bright + 2.0 * (1.0 - red) * cr, bright + 2.0 * (1.0 - blue) * cb);
            let g = (bright - red * r - blue * b) / (1.0 - red - blue);
            out.extend([byte(r), byte(g), byte(b)]);
        }
    }
    RgbImage::from_raw(width, height, out)
}

impl Plane {
    /// A line as long as the image's: of a halved plane between its samples, which lie in the middle of those that they stand for, or the nearest.
    fn line(&self, y: usize, coded: &Coded, smooth: bool, out: &mut Vec<f32>) {
        let (across, down) = coded.layout.halved.unwrap_or((0, 0));
        let line = |row: usize| &self.samples[row * self.width..(row + 1) * self.width];
        let near = |place: usize, by: u8, most: usize| {
            let at = place >> by;
            let other = if place.is_multiple_of(2) { at.saturating_sub(1) } else { (at + 1).min(most - 1) };
            (at.min(most - 1), if by == 1 && smooth { other.min(most - 1) } else { at.min(most - 1) })
        };
        let (row, beside) = near(y, down, self.height);
        let (row, beside) = (line(row), line(beside));
        out.clear();
        out.extend((0..coded.size.0 as usize).map(|x| {
            let (at, other) = near(x, across, self.width);
            let mix = |line: &[u16]| 0.75 * f32::from(line[at]) + 0.25 * f32::from(line[other]);
            0.75 * mix(row) + 0.25 * mix(beside)
        }));
    }
}

/// Lays an opacity beside colours.
pub(super) fn beside(
    colours: RgbImage,
    (coded, told, planes): (&Coded, &Told, &[Plane]),
    premultiplied: bool,
) -> Option<RgbaImage> {
    let meaning = Meaning::of(coded.layout.depth, coded.nclx, told);
    let opacity = &planes.first()?.samples;
    let (width, height) = colours.dimensions();
    let mut out = Vec::with_capacity(opacity.len() * 4);
    for (pixel, sample) in colours.pixels().zip(opacity) {
        let alpha = byte((f32::from(*sample) - meaning.light.0) * meaning.light.1);
        let straight = |value: u8| match alpha {
            0 => 0,
            alpha => ((u32::from(value) * 255 + u32::from(alpha) / 2) / u32::from(alpha)).min(255) as u8,
        };
        out.extend(if premultiplied { pixel.0.map(straight) } else { pixel.0 });
        out.push(alpha);
    }
    RgbaImage::from_raw(width, height, out)
}

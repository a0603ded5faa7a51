//! Images resized by direct convolution, and every way to fit one into a tower's size made of simpler ways.

#![allow(clippy::unwrap_used, missing_docs)]

use image::{Rgb, RgbImage, imageops};
use proptest::prelude::*;
use std::f64::consts::PI;
use unisono_processors::{Fit, ImageProcessor, Interpolation, Rounding, Size};

const FILTERS: [Interpolation; 5] = [
    Interpolation::Box,
    Interpolation::Bilinear,
    Interpolation::Hamming,
    Interpolation::Bicubic,
    Interpolation::Lanczos,
];

/// The filter by its definition, and half its width.
fn kernel(filter: Interpolation, x: f64) -> (f64, f64) {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    let t = x.abs();
    match filter {
        Interpolation::Nearest | Interpolation::Box => (f64::from(u8::from(x > -0.5 && x <= 0.5)), 0.5),
        Interpolation::Bilinear => ((1.0 - t).max(0.0), 1.0),
        Interpolation::Hamming => (if t < 1.0 { sinc(t) * (0.54 + 0.46 * (PI * t).cos()) } else { 0.0 }, 1.0),
        // Keys' cubic with a = -1/2.
        Interpolation::Bicubic => {
            let a = -0.5;
            let value = match t {
                t if t < 1.0 => (a + 2.0) * t.powi(3) - (a + 3.0) * t.powi(2) + 1.0,
                t if t < 2.0 => a * t.powi(3) - 5.0 * a * t.powi(2) + 8.0 * a * t - 4.0 * a,
                _ => 0.0,
            };
            (value, 2.0)
        }
        Interpolation::Lanczos => (if t < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 }, 3.0),
    }
}

/// One line of bytes resized: the filter widened by the scale, over the pixels whose middles it reaches, rounded to a byte.
fn line(filter: Interpolation, from: &[f64], n: usize) -> Vec<f64> {
    let scale = from.len() as f64 / n as f64;
    let wide = scale.max(1.0);
    let one = |i: usize| {
        let centre = (i as f64 + 0.5) * scale;
        let reach = kernel(filter, 0.0).1 * wide;
        let first = ((centre - reach + 0.5).floor().max(0.0)) as usize;
        let last = ((centre + reach + 0.5).floor() as usize).min(from.len());
        let weights: Vec<f64> =
            (first..last).map(|k| kernel(filter, (k as f64 + 0.5 - centre) / wide).0).collect();
        let sum: f64 = weights.iter().sum();
        let value: f64 = weights.iter().zip(&from[first..last]).map(|(w, v)| w / sum * v).sum();
        (value + 0.5).floor().clamp(0.0, 255.0)
    };
    (0..n).map(one).collect()
}

/// Rows first, then columns.
fn convolved(image: &RgbImage, w: u32, h: u32, filter: Interpolation) -> RgbImage {
    let mut out = RgbImage::new(w, h);
    for channel in 0..3 {
        let byte = |image: &RgbImage, x, y| f64::from(image.get_pixel(x, y)[channel]);
        let rows: Vec<Vec<f64>> = (0..image.height())
            .map(|y| {
                let row: Vec<f64> = (0..image.width()).map(|x| byte(image, x, y)).collect();
                if image.width() == w { row } else { line(filter, &row, w as usize) }
            })
            .collect();
        for x in 0..w {
            let column: Vec<f64> = rows.iter().map(|row| row[x as usize]).collect();
            let column = if image.height() == h { column } else { line(filter, &column, h as usize) };
            column.iter().zip(0..).for_each(|(v, y)| out.get_pixel_mut(x, y)[channel] = *v as u8);
        }
    }
    out
}

fn stretched(image: &RgbImage, w: u32, h: u32, interpolation: Interpolation) -> RgbImage {
    let size = Size { sides: [h.into(), w.into()] };
    ImageProcessor { size, fit: Fit::Stretch, interpolation, ..ImageProcessor::new(1) }.prepare(image)
}

fn noise(w: u32, h: u32, seed: u32) -> RgbImage {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    RgbImage::from_fn(w, h, |_, _| Rgb([next(), next(), if next() > 127 { 255 } else { 0 }]))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn resizing_is_a_convolution(
        (w, h) in (1u32..40, 1u32..40),
        (to_w, to_h) in (1u32..30, 1u32..30),
        filter in prop::sample::select(FILTERS.to_vec()),
        seed in any::<u32>(),
    ) {
        let image = noise(w, h, seed);
        let (found, want) = (stretched(&image, to_w, to_h, filter), convolved(&image, to_w, to_h, filter));
        let apart: Vec<u8> = found.as_raw().iter().zip(want.as_raw()).map(|(a, b)| a.abs_diff(*b)).collect();
        // Weights of 22 bits: an exact half may fall to the other side, once a pass.
        prop_assert!(apart.iter().all(|d| *d <= 2), "{filter:?} {w}x{h} to {to_w}x{to_h}: {:?}", apart.iter().max());
        // Made larger, a line repeats itself, and with it such a half.
        let few = if to_w > w || to_h > h { 0 } else { apart.iter().filter(|d| **d > 0).count() };
        prop_assert!(few * 3 <= apart.len().max(30), "{filter:?} {w}x{h} to {to_w}x{to_h}: {few} of {}", apart.len());
    }

    #[test]
    fn nothing_is_made_of_one_colour(
        (w, h, to_w, to_h) in (1u32..60, 1u32..60, 1u32..60, 1u32..60),
        colour in any::<[u8; 3]>(),
    ) {
        let image = RgbImage::from_pixel(w, h, Rgb(colour));
        for filter in FILTERS.into_iter().chain([Interpolation::Nearest]) {
            prop_assert!(stretched(&image, to_w, to_h, filter).pixels().all(|p| p.0 == colour), "{filter:?}");
        }
    }

    #[test]
    fn whole_factors_are_means_of_blocks((w, h, by) in (1u32..12, 1u32..12, 1u32..6), seed in any::<u32>()) {
        let image = noise(w * by, h * by, seed);
        let small = stretched(&image, w, h, Interpolation::Box);
        for (x, y, pixel) in small.enumerate_pixels() {
            for c in 0..3 {
                // Rounded after the rows, then after the columns.
                let mean = |values: &mut dyn Iterator<Item = u32>| (2 * values.sum::<u32>() + by) / (2 * by);
                let row = |dy| mean(&mut (0..by).map(|dx| u32::from(image.get_pixel(x * by + dx, y * by + dy)[c])));
                let want = mean(&mut (0..by).map(row));
                prop_assert!(u32::from(pixel[c]).abs_diff(want) <= 1);
            }
        }
    }

    #[test]
    fn the_nearest_pixel_is_that_under_the_middle((w, h, to_w, to_h) in (1u32..40, 1u32..40, 1u32..40, 1u32..40)) {
        let image = noise(w, h, 5);
        let found = stretched(&image, to_w, to_h, Interpolation::Nearest);
        for (x, y, pixel) in found.enumerate_pixels() {
            let at = |i: u32, n: u32, of: u32| f64::from(2 * i + 1) * f64::from(of) / f64::from(2 * n);
            let (fx, fy) = (at(x, to_w, w), at(y, to_h, h));
            // On a border between two pixels the sums of single steps decide.
            if (fx - fx.round()).abs() > 1e-9 && (fy - fy.round()).abs() > 1e-9 {
                prop_assert_eq!(pixel, image.get_pixel(fx as u32, fy as u32));
            }
        }
    }

    #[test]
    fn a_padded_image_is_a_stretched_one_on_a_ground(
        (w, h) in (1u32..60, 1u32..60),
        (out_w, out_h) in (1u32..30, 1u32..30),
        filter in prop::sample::select(FILTERS.to_vec()),
    ) {
        let image = noise(w, h, 9);
        let size = Size { sides: [out_h.into(), out_w.into()] };
        let p = ImageProcessor { size, interpolation: filter, background: [1, 2, 3], ..ImageProcessor::new(1) };
        // The larger of the sizes of its shape that fit.
        let side = |side: u32, other: u32, out: u32, out_other: u32| {
            let ratio = (f64::from(side) / f64::from(out)).max(f64::from(other) / f64::from(out_other));
            ((f64::from(side) / ratio).round() as u32).clamp(1, out)
        };
        let (rw, rh) = (side(w, h, out_w, out_h), side(h, w, out_h, out_w));
        prop_assert!(rw == out_w || rh == out_h);
        let mut want = RgbImage::from_pixel(out_w, out_h, Rgb([1, 2, 3]));
        let (x, y) = ((out_w - rw) / 2, (out_h - rh) / 2);
        imageops::replace(&mut want, &stretched(&image, rw, rh, filter), x.into(), y.into());
        prop_assert_eq!(p.prepare(&image), want);
    }

    #[test]
    fn a_cropped_image_is_the_middle_of_a_stretched_one(
        (w, h) in (1u32..60, 1u32..60),
        (out_w, out_h) in (1u32..24, 1u32..24),
        filter in prop::sample::select(FILTERS.to_vec()),
    ) {
        let image = noise(w, h, 3);
        let size = Size { sides: [out_h.into(), out_w.into()] };
        let p = ImageProcessor { size, fit: Fit::Crop, interpolation: filter, ..ImageProcessor::new(1) };
        let ratio = (f64::from(w) / f64::from(out_w)).min(f64::from(h) / f64::from(out_h));
        let cover = |side: u32, out: u32| ((f64::from(side) / ratio).round() as u32).max(out);
        let (rw, rh) = (cover(w, out_w), cover(h, out_h));
        let whole = stretched(&image, rw, rh, filter);
        let part = imageops::crop_imm(&whole, (rw - out_w) / 2, (rh - out_h) / 2, out_w, out_h).to_image();
        prop_assert_eq!(p.prepare(&image), part);
    }

    #[test]
    fn the_shortest_edge_is_what_was_asked_for(
        (w, h, edge, out) in (1u32..200, 1u32..200, 1u32..40, 1u32..40),
        rounding in prop::sample::select(vec![Rounding::Nearest, Rounding::Even, Rounding::Down]),
        even_margin in any::<bool>(),
    ) {
        let p = ImageProcessor {
            fit: Fit::Crop,
            edge: Some(edge),
            rounding,
            even_margin,
            interpolation: Interpolation::Box,
            ..ImageProcessor::new(out)
        };
        let image = noise(w, h, 4);
        let exact = f64::from(w.max(h)) * f64::from(edge) / f64::from(w.min(h));
        let long = match rounding {
            Rounding::Nearest => exact.round(),
            Rounding::Even => exact.round_ties_even(),
            Rounding::Down => exact.floor(),
        };
        // Where a product of doubles may lie on the other side of a half, nothing is known.
        prop_assume!((exact * 2.0 - (exact * 2.0).round()).abs() > 1e-6 || exact.fract() == 0.0);
        let (rw, rh) = if w <= h { (edge, long as u32) } else { (long as u32, edge) };
        let whole = stretched(&image, rw, rh, Interpolation::Box);
        let margin = |has: u32| {
            let spare = f64::from(has.saturating_sub(out)) / 2.0;
            (if even_margin { spare.round_ties_even() } else { spare.floor() }) as u32
        };
        let (x, y, cw, ch) = (margin(rw), margin(rh), rw.min(out), rh.min(out));
        let part = imageops::crop_imm(&whole, x, y, cw, ch).to_image();
        let mut want = RgbImage::new(out, out);
        let before = |has: u32| i64::from(if even_margin { (out - has) / 2 } else { (out - has).div_ceil(2) });
        imageops::replace(&mut want, &part, before(cw), before(ch));
        prop_assert_eq!(p.prepare(&image), want);
    }

    #[test]
    fn patches_are_whole_few_enough_and_as_many_as_fit(
        (w, h) in (1u32..500, 1u32..500),
        (patch, side) in (1u32..9, 1u32..9),
    ) {
        let p = ImageProcessor { fit: Fit::Patches, patch: Some(patch), ..ImageProcessor::new(patch * side) };
        p.validate().unwrap();
        prop_assert_eq!(p.output_size(), None);
        let made = p.prepare(&RgbImage::new(w, h));
        prop_assert!(made.width().is_multiple_of(patch) && made.height().is_multiple_of(patch));
        let count = |scale: f64| {
            let side = |side: u32| (f64::from(side) * scale / f64::from(patch)).ceil().max(1.0);
            side(w) * side(h)
        };
        let most = f64::from(side * side);
        let (columns, rows) = (f64::from(made.width() / patch), f64::from(made.height() / patch));
        prop_assert!(columns * rows <= most.max(1.0) || count(1e-6) > most);
        // The smallest scale at which one side has a patch more: too many, or beyond what is tried.
        let next = [(columns, w), (rows, h)].map(|(n, side)| n * f64::from(patch) / f64::from(side));
        let scale = next[0].min(next[1]) + 2e-5;
        prop_assert!(scale >= 100.0 || count(scale) > most, "{w}x{h}, patches of {patch}, {most}: {columns}x{rows}");
    }
}

#[test]
fn settings_that_cannot_be_are_named() {
    let good = ImageProcessor::new(16);
    good.validate().unwrap();
    for (p, key) in [
        (
            ImageProcessor { size: Size { sides: [0, 16] }, ..good.clone() },
            "image.size: expected 1 to 16384 pixels, found 0 x 16",
        ),
        (ImageProcessor { size: 16_385.into(), ..good.clone() }, "image.size"),
        (ImageProcessor { edge: Some(0), ..good.clone() }, "image.edge"),
        (
            ImageProcessor { fit: Fit::Patches, ..good.clone() },
            "image.patch: expected a divisor of size 16 x 16",
        ),
        (ImageProcessor { fit: Fit::Patches, patch: Some(5), ..good.clone() }, "image.patch"),
        (ImageProcessor { fit: Fit::Patches, patch: Some(0), ..good.clone() }, "image.patch"),
        (ImageProcessor { std: [1.0, 0.0, 1.0], ..good.clone() }, "image.std: expected numbers above 0"),
        (ImageProcessor { std: [1.0, f32::NAN, 1.0], ..good.clone() }, "image.std"),
        (ImageProcessor { mean: [f32::INFINITY, 0.0, 0.0], ..good.clone() }, "image.mean"),
    ] {
        let said = p.validate().unwrap_err().to_string();
        assert!(said.starts_with(key), "{said}");
    }
    // An image without pixels is ground.
    assert!(good.prepare(&RgbImage::new(0, 7)).pixels().all(|p| p.0 == [255; 3]));
}

#[test]
fn a_contract_is_written_short_and_read_strictly() {
    let short: ImageProcessor = serde_json::from_str(r#"{"size": 24}"#).unwrap();
    assert_eq!(short, ImageProcessor::new(24));
    let text = serde_json::to_string(&short).unwrap();
    assert!(!text.contains("rounding") && !text.contains("edge") && !text.contains("alpha"), "{text}");
    let all = ImageProcessor {
        size: Size { sides: [24, 48] },
        fit: Fit::Crop,
        edge: Some(30),
        rounding: Rounding::Even,
        even_margin: true,
        interpolation: Interpolation::Hamming,
        alpha: unisono_processors::Alpha::Drop,
        background: [1, 2, 3],
        ..short
    };
    let text = serde_json::to_string(&all).unwrap();
    assert!(text.contains(r#""size":[24,48]"#), "{text}");
    assert_eq!(serde_json::from_str::<ImageProcessor>(&text).unwrap(), all);
    assert_eq!((all.longest_side(), all.output_size()), (48, Some([24, 48])));
    for wrong in [
        r#"{"size": 24, "sharpen": true}"#,
        r#"{"fit": "crop"}"#,
        r#"{"size": [1, 2, 3]}"#,
        r#"{"size": 24, "fit": "squeeze"}"#,
    ] {
        assert!(serde_json::from_str::<ImageProcessor>(wrong).is_err(), "{wrong}");
    }
}

//! Images over the limit at a smaller scale: beside the same image within it, averaged.

use super::*;
use crate::decode::{ImageOptions, image as decode_image};
use image::{DynamicImage, Rgb, imageops};

fn decoded(bytes: &[u8], max_pixels: u64) -> Result<RgbImage> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    std::fs::write(&path, bytes).unwrap();
    let limits = Limits { max_pixels, ..Limits::default() };
    decode_image(&path, &ImageOptions { limits, ..ImageOptions::default() })
}

fn encoded(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Smooth, with colour, sides that no scale divides.
fn image() -> RgbImage {
    RgbImage::from_fn(93, 61, |x, y| {
        let wave = |f: f32, of: u32| (127.0 + 100.0 * (of as f32 * f).sin()) as u8;
        Rgb([wave(0.11, x), wave(0.07, y), wave(0.05, x + y)])
    })
}

/// Means of squares: what a smaller scale should be.
fn means(image: &RgbImage, by: u32) -> RgbImage {
    RgbImage::from_fn(image.width().div_ceil(by), image.height().div_ceil(by), |x, y| {
        let (right, bottom) = (((x + 1) * by).min(image.width()), ((y + 1) * by).min(image.height()));
        let (mut sum, mut n) = ([0u32; 3], 0);
        for (y, x) in (y * by..bottom).flat_map(|y| (x * by..right).map(move |x| (y, x))) {
            sum.iter_mut().zip(image.get_pixel(x, y).0).for_each(|(s, v)| *s += u32::from(v));
            n += 1;
        }
        Rgb(sum.map(|s| ((s + n / 2) / n) as u8))
    })
}

fn most(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}

#[test]
fn scales_are_as_mild_as_the_limit_allows() {
    let limits = |max_pixels| Limits { max_pixels, ..Limits::default() };
    assert_eq!(scale(100, 100, &limits(9_999)), Some(2));
    assert_eq!(scale(100, 100, &limits(2_500)), Some(2));
    assert_eq!(scale(100, 100, &limits(2_499)), Some(4));
    assert_eq!(scale(100, 100, &limits(500)), Some(8));
    assert_eq!(scale(100, 100, &limits(499)), None);
    // The photographs of phones, within the default.
    assert_eq!(scale(12_032, 9_024, &Limits::default()), Some(2));
    assert_eq!(scale(16_320, 12_240, &Limits::default()), Some(2));
}

#[test]
fn a_png_is_averaged_row_by_row() {
    let png = encoded(image().into(), ImageFormat::Png);
    assert_eq!(decoded(&png, 47 * 31).unwrap(), means(&image(), 2));
    for by in [2, 4, 8] {
        let found = from_png(Path::new("a"), &png, by).unwrap().unwrap();
        assert_eq!(found.into_rgb8(), means(&image(), by), "1/{by}");
    }
    // Colours under transparency do not bleed into what is seen.
    let mut clear = DynamicImage::from(image()).into_rgba8();
    clear.pixels_mut().enumerate().for_each(|(i, p)| {
        if i % 93 % 2 == 1 {
            p.0 = [255, 0, 0, 0];
        }
    });
    let limits = Limits { max_pixels: 47 * 31, ..Limits::default() };
    let bytes = encoded(clear.into(), ImageFormat::Png);
    let small = reduced(Path::new("a"), &bytes, ImageFormat::Png, (93, 61), &limits).unwrap().into_rgba8();
    let even = RgbImage::from_fn(47, 61, |x, y| *image().get_pixel(2 * x, y));
    let want = RgbImage::from_fn(47, 31, |x, y| {
        let below = even.get_pixel(x, (2 * y + 1).min(60)).0;
        let (above, n) = (even.get_pixel(x, 2 * y).0, if y == 30 { 1 } else { 2 });
        Rgb([0, 1, 2].map(|c| match n {
            1 => above[c],
            _ => (u32::from(above[c]) + u32::from(below[c]) + 1).div_euclid(2) as u8,
        }))
    });
    assert_eq!(DynamicImage::from(small.clone()).into_rgb8(), want);
    assert!(small.rows().all(|mut row| row.all(|p| p[3] == 128 || p[3] == 255)));
    // Grey, palette and deep images keep their form.
    let grey = DynamicImage::from(image()).into_luma8();
    assert_eq!(
        decoded(&encoded(grey.clone().into(), ImageFormat::Png), 47 * 31).unwrap(),
        means(&DynamicImage::from(grey).into_rgb8(), 2)
    );
    let deep = DynamicImage::from(image()).into_rgb16();
    assert_eq!(decoded(&encoded(deep.into(), ImageFormat::Png), 47 * 31).unwrap(), means(&image(), 2));
}

#[test]
fn a_jpeg_is_transformed_at_the_scale() {
    let mut jpeg = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 97).encode_image(&image()).unwrap();
    let whole = decoded(&jpeg, 1 << 20).unwrap();
    for by in [2, 4, 8] {
        let want = means(&whole, by);
        let found = from_jpeg(&jpeg, want.dimensions()).unwrap().into_rgb8();
        // The last column's and row's squares reach beyond the image, where the encoder repeats or fills.
        let inner = |p: &RgbImage| imageops::crop_imm(p, 0, 0, p.width() - 1, p.height() - 1).to_image();
        let off = most(&inner(&found), &inner(&want));
        assert!(off <= 6, "1/{by}: {off}");
    }
}

#[test]
fn every_kind_of_jpeg_has_a_smaller_scale() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for name in [
        "cuts/progressive.jpg",
        "cuts/restarts.jpg",
        "cuts/grey.jpg",
        "cuts/full-colour.jpg",
        "images/cmyk.jpg",
        "images/turned.jpg",
    ] {
        let bytes = std::fs::read(dir.join(name)).unwrap();
        let whole = decoded(&bytes, 1 << 20).unwrap();
        let (width, height) = (whole.width().div_ceil(2), whole.height().div_ceil(2));
        let found = decoded(&bytes, u64::from(width * height)).unwrap();
        assert_eq!(found.dimensions(), (width, height), "{name}");
        // Means of real images, not of their extremes: colour at half its resolution differs at edges.
        let mean =
            |p: &RgbImage| p.as_raw().iter().map(|v| f64::from(*v)).sum::<f64>() / p.as_raw().len() as f64;
        assert!((mean(&found) - mean(&whole)).abs() < 3.0, "{name}: {} {}", mean(&found), mean(&whole));
    }
}

#[test]
fn channels_stand_in_the_first_frame() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    for (name, channels) in
        [("cuts/grey.jpg", 1), ("cuts/progressive.jpg", 3), ("cuts/inks.jpg", 4), ("images/ycck.jpg", 4)]
    {
        let bytes = std::fs::read(dir.join(name)).unwrap();
        assert_eq!(jpeg::channels(&bytes), channels, "{name}");
        assert_eq!(inks(&bytes, ImageFormat::Jpeg).is_some(), channels == 4, "{name}");
        assert_eq!(jpeg::channels(&bytes[..4]), 0, "{name}");
    }
}

#[test]
fn what_has_no_smaller_scale_is_refused() {
    let refused = |bytes: &[u8], max_pixels| decoded(bytes, max_pixels).unwrap_err().to_string();
    for format in [ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Bmp] {
        let text = refused(&encoded(image().into(), format), 2000);
        assert!(
            text.contains("93 x 61 pixels, and cannot be read at a smaller scale, the limit is 2000"),
            "{text}"
        );
        assert!(text.ends_with("raise `max_pixels` if the file is meant to be that large"), "{text}");
    }
    let png = encoded(image().into(), ImageFormat::Png);
    assert!(
        refused(&png, 12 * 8 - 1).contains("93 x 61 pixels, the limit is"),
        "too large at an eighth, too"
    );
    // Each scan costs as much as an image.
    let scans =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cuts/progressive.jpg"))
            .unwrap();
    let first = scans.windows(2).position(|w| w == [0xff, 0xda]).unwrap();
    let many = [&scans[..first], &scans[first..scans.len() - 2].repeat(20), &[0xff, 0xd9]].concat();
    assert!(refused(&many, 1000).contains("more than 64 scans"));
    // A progressive image keeps all its coefficients, at whatever scale: 65,000 x 65,000 in a kilobyte.
    let mut bomb =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cuts/progressive.jpg"))
            .unwrap();
    let frame = bomb.windows(2).position(|w| w == [0xff, 0xc2]).unwrap();
    bomb[frame + 5..frame + 9].copy_from_slice(&[0xfd, 0xe8, 0xfd, 0xe8]);
    assert!(jpeg::outline(&bomb).coefficients > 12_000_000_000);
    let text = refused(&bomb, 250_000_000);
    assert!(text.contains("65000 x 65000 pixels, and cannot be read at a smaller scale"), "{text}");
}

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

//! OpenCV's single steps, on images that a formula makes: `fixtures/scenes.py parts`.

use super::tests::{Size, crc32, load};
use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Parts {
    every_yuv: BTreeMap<String, u32>,
    matrices: Vec<(String, bool, u32)>,
    shrink: Vec<(Size, Size, u32)>,
    edges: Vec<(Size, u32, [u32; 3])>,
    area: Vec<(Size, usize, u32)>,
    grey: u32,
    luma: u32,
    hsv: u32,
}

fn noise(count: usize) -> Vec<u8> {
    let scrambled = |i: u32| {
        let h = i.wrapping_mul(2_654_435_761);
        let h = (h ^ (h >> 15)).wrapping_mul(2_246_822_519);
        ((h ^ (h >> 13)) >> 24) as u8
    };
    (0..count as u32).map(scrambled).collect()
}

fn waves(width: usize, height: usize) -> Vec<u8> {
    let value = |(i, n): (usize, u8)| (i % width * 5 + i / width * 3 + usize::from(n & 31)) as u8;
    noise(width * height).into_iter().enumerate().map(value).collect()
}

#[test]
fn steps_are_those_of_opencv() {
    let parts: Parts = load("parts.json");
    for (size, small, sum) in parts.shrink {
        let mut shrink = Shrink::new(size.0, size.1).unwrap();
        assert_eq!(shrink.small(), small);
        let mut image = Image::default();
        shrink.bgr(&noise(size.0 * size.1 * 3), &mut image).unwrap();
        assert_eq!(crc32(&image.interleaved()), sum, "{size:?}");
    }
    for (size, sum, wide) in parts.edges {
        let mut edges = edges::Edges::new(size.0, size.1);
        assert_eq!(crc32(edges.of(&waves(size.0, size.1))), sum, "{size:?}");
        let mut out = Vec::new();
        for (kernel, sum) in [3, 5, 9].into_iter().zip(wide) {
            edges.widened(kernel, &mut out);
            assert_eq!(crc32(&out), sum, "{size:?} {kernel}");
        }
    }
    for (size, side, sum) in parts.area {
        let out = area::area(&noise(size.0 * size.1), size, (side, side));
        assert_eq!(crc32(&out), sum, "{size:?} to {side}");
    }
}

#[test]
fn every_colour_is_that_of_opencv() {
    let parts: Parts = load("parts.json");
    let mut image = Image::new(1, 1 << 24);
    for i in 0..1 << 24 {
        (image.blue[i], image.green[i], image.red[i]) = (i as u8, (i >> 8) as u8, (i >> 16) as u8);
    }
    let mut plane = Vec::new();
    colour::grey(&image, &mut plane);
    assert_eq!(crc32(&plane), parts.grey);
    colour::luma(&image, &mut plane);
    assert_eq!(crc32(&plane), parts.luma);
    let mut hsv = colour::Hsv::default();
    hsv.of(&image);
    let planes = hsv.hue.iter().zip(&hsv.saturation).zip(&hsv.value);
    assert_eq!(crc32(&planes.flat_map(|((h, s), v)| [*h, *s, *v]).collect::<Vec<_>>()), parts.hsv);
    for (name, full) in [("limited", false), ("full", true)] {
        let mut row = convert::Row::new(1 << 24);
        // Blue counts fastest, so it stands for luma.
        let k = convert::Coefficients::new(Matrix::Bt601, full);
        convert::yuv_to_bgr(&image.blue, &image.green, &image.red, k, &mut row);
        let pixels = row.blue.iter().zip(&row.green).zip(&row.red);
        let bytes: Vec<u8> = pixels.flat_map(|((b, g), r)| [*b, *g, *r]).collect();
        assert_eq!(crc32(&bytes), parts.every_yuv[name], "{name}");
    }
}

#[test]
fn every_matrix_is_that_of_opencv() {
    let parts: Parts = load("parts.json");
    // Not shrunk: the rows of 256 x 256 images, one below the other.
    let (side, count) = (256, 16);
    let mut shrink = Shrink::new(side, side).unwrap();
    for (name, full, sum) in parts.matrices {
        shrink.set_matrix(Matrix::named(&name));
        let bytes = noise(side * side / 2 * 3 * count);
        let mut all = Vec::new();
        let mut image = Image::default();
        for frame in bytes.chunks_exact(side * side / 2 * 3) {
            shrink.yuv420(frame, full, &mut image).unwrap();
            all.extend(image.interleaved());
        }
        assert_eq!(crc32(&all), sum, "{name} {full}");
    }
}

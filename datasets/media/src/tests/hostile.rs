//! Damaged files of every format: an error or media within the limits, never a panic and never a hang.

use super::*;
use crate::{Blob, Limits};
use ::image::{ImageFormat, Rgb, RgbImage};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::io::Cursor;

/// Cuts, overwrites and swaps bytes; the header, where most decisions are made, is hit more often.
fn damage(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let reach = if rng.random() { bytes.len().min(64) } else { bytes.len() };
        let at = rng.random_range(0..reach);
        match rng.random_range(0..4) {
            0 => bytes.truncate(at.max(1)),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.random_range(0..5)],
            2 => bytes[at] = rng.random(),
            _ => {
                let other = rng.random_range(0..bytes.len());
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

fn wav() -> Vec<u8> {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 16_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    (0..200).for_each(|s| writer.write_sample(s * 50).unwrap());
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn damaged_audios_never_panic() {
    let limits = Limits { max_seconds: 10.0, ..Limits::default() };
    let files: [&[u8]; 4] = [
        &wav(),
        include_bytes!("../../fixtures/tone.flac"),
        include_bytes!("../../fixtures/tone.ogg"),
        include_bytes!("../../fixtures/tone.mp3"),
    ];
    for (format, bytes) in files.into_iter().enumerate() {
        for n in 0..300 {
            // What is not known any more would be FFmpeg's, which has a process of its own.
            let damaged = damage(bytes, &mut ChaCha8Rng::seed_from_u64(n << 16 | (format as u64) << 1));
            if let Ok(Some(audio)) = kept_audio(Blob::bytes("sound", damaged), &limits) {
                assert!(!audio.samples.is_empty() && audio.seconds() <= 10.0);
                assert!(audio.samples.iter().all(|s| (-1.0..=1.0).contains(s)));
            }
        }
    }
}

#[test]
fn damaged_images_never_panic() {
    let limits = Limits { max_pixels: 10_000, ..Limits::default() };
    let options = ImageOptions { svg_size: 64, limits, ..ImageOptions::default() };
    let image = RgbImage::from_fn(24, 16, |x, y| Rgb([x as u8 * 10, y as u8 * 16, 99]));
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ];
    let mut files: Vec<Vec<u8>> = formats
        .iter()
        .map(|format| {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, *format).unwrap();
            bytes.into_inner()
        })
        .collect();
    let svg = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><linearGradient id="a"><stop offset="0" stop-color="#f00"/>
        </linearGradient></defs><g transform="rotate(30)"><path d="M0 0L9 9H3z" fill="url(#a)"/><use href="#b"/></g><circle id="b" r="3"/></svg>"##;
    files.push(svg.as_bytes().to_vec());
    for name in ["palette-4.tif", "negative-2.tif", "cmyk-planes.tif", "cmyk16.tif", "ycck.jpg"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/images").join(name);
        files.push(std::fs::read(path).unwrap());
    }
    for (format, bytes) in files.iter().enumerate() {
        for n in 0..300 {
            let damaged = damage(bytes, &mut ChaCha8Rng::seed_from_u64(n << 16 | (format as u64) << 1 | 1));
            let _ = super::stored(Blob::bytes("image", damaged.clone()), &options);
            if let Ok(image) = super::image(Blob::bytes("image", damaged), &options) {
                assert!(u64::from(image.width()) * u64::from(image.height()) <= 10_000);
            }
        }
    }
}

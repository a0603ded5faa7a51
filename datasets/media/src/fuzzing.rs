//! Every reader of a stranger's file, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::decode::Wanted;
use crate::video::{VideoLimits, animation as moving};
use crate::{Blob, ImageOptions, Limits, decode, header};

/// Reads bytes.
pub type Target = fn(&[u8]);

/// By their names.
pub const TARGETS: [(&str, Target); 5] =
    [("audio", audio), ("image", image), ("heif", heif), ("vector", vector), ("animation", animation)];

/// Audio files that the kept decoders read.
pub fn audio(bytes: &[u8]) {
    let limits = Limits { max_seconds: 60.0, ..Limits::default() };
    let blob = Blob::bytes("s.wav", bytes);
    let Ok(Some(audio)) = decode::kept_audio(&blob, &limits) else { return };
    assert!(audio.seconds() <= 60.0 && audio.samples.iter().all(|s| (-1.0..=1.0).contains(s)));
    // What was read without FFmpeg is, of its parts, too.
    let part = Wanted::Range(&|extent| extent.samples / 3..extent.samples / 2);
    if let Ok(found) = decode::excerpt(&blob, &limits, None, part) {
        let length = found.audio.samples.len() as u64;
        assert_eq!(length, found.extent.samples / 2 - found.extent.samples / 3);
    }
}

/// Images of pixels, by their first bytes; none that a program of its own decodes.
pub fn image(bytes: &[u8]) {
    if decode::is_heif(bytes) {
        return;
    }
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let options = ImageOptions { limits, ..ImageOptions::default() };
    if let Ok(image) = decode::image(Blob::bytes("p.png", bytes), &options) {
        assert!(u64::from(image.width()) * u64::from(image.height()) <= 1 << 20);
    }
}

/// The items of HEIC and AVIF images.
pub fn heif(bytes: &[u8]) {
    let head = [b"\0\0\0\x14ftypmif1\0\0\0\0mif1", bytes].concat();
    for bytes in [bytes, &head] {
        if let Some(length) = decode::heif_outline(bytes) {
            assert!(length <= 64 + 16 * bytes.len());
        }
        let _ = header::image_size(Blob::bytes("h.heic", bytes));
    }
}

/// Vector images.
pub fn vector(bytes: &[u8]) {
    let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
    let options = ImageOptions { limits, svg_size: 64, ..ImageOptions::default() };
    let _ = decode::image(Blob::bytes("v.svg", bytes), &options);
}

/// Moving images, all their frames.
pub fn animation(bytes: &[u8]) {
    let limits = VideoLimits {
        max_pixels: 1 << 16,
        max_frames: 100,
        max_total_pixels: 1 << 20,
        ..VideoLimits::default()
    };
    let Ok(frames) = moving(Blob::bytes("a.gif", bytes), &limits) else { return };
    let mut before = None;
    for frame in frames.map_while(Result::ok) {
        assert!(before.is_none_or(|before| before < frame.time));
        before = Some(frame.time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// What the fuzzer found, once more.
    #[test]
    fn kept_finds_cost_nothing() {
        for (target, run) in TARGETS {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-kept").join(target);
            // Git keeps no empty folder.
            for entry in fs::read_dir(kept).into_iter().flatten() {
                run(&fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }
}

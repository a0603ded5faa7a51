//! Every reader of a stranger's file, on bytes: what `fuzz/` and the replay of its finds call. Nothing here is part of the library's interface.

use crate::video::{VideoLimits, animation as moving};
use crate::{ImageOptions, Limits, decode};
use std::path::{Path, PathBuf};

/// Reads bytes, in a folder for those that take a path.
pub type Target = fn(&Path, &[u8]);

/// By their names.
pub const TARGETS: [(&str, Target); 4] =
    [("audio", audio), ("image", image), ("vector", vector), ("animation", animation)];

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    drop(std::fs::write(&path, bytes));
    path
}

/// Audio files that the kept decoders read.
pub fn audio(_: &Path, bytes: &[u8]) {
    let limits = Limits { max_seconds: 60.0, ..Limits::default() };
    if let Ok(Some(audio)) = decode::kept_audio(Path::new("s.wav"), bytes, &limits) {
        assert!(audio.seconds() <= 60.0 && audio.samples.iter().all(|s| (-1.0..=1.0).contains(s)));
    }
}

/// Images of pixels, by their first bytes.
pub fn image(dir: &Path, bytes: &[u8]) {
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    let options = ImageOptions { limits, ..ImageOptions::default() };
    if let Ok(image) = decode::image(&written(dir, "p.png", bytes), &options) {
        assert!(u64::from(image.width()) * u64::from(image.height()) <= 1 << 20);
    }
}

/// Vector images.
pub fn vector(dir: &Path, bytes: &[u8]) {
    let limits = Limits { max_pixels: 1 << 16, ..Limits::default() };
    let options = ImageOptions { limits, svg_size: 64, ..ImageOptions::default() };
    let _ = decode::image(&written(dir, "v.svg", bytes), &options);
}

/// Moving images, all their frames.
pub fn animation(dir: &Path, bytes: &[u8]) {
    let limits = VideoLimits {
        max_pixels: 1 << 16,
        max_frames: 100,
        max_total_pixels: 1 << 20,
        ..VideoLimits::default()
    };
    let Ok(frames) = moving(&written(dir, "a.gif", bytes), &limits) else { return };
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

    /// What the fuzzer found, once more.
    #[test]
    fn kept_finds_cost_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for (target, run) in TARGETS {
            let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus-kept").join(target);
            // Git keeps no empty folder.
            for entry in fs::read_dir(kept).into_iter().flatten() {
                run(dir.path(), &fs::read(entry.unwrap().path()).unwrap());
            }
        }
    }
}

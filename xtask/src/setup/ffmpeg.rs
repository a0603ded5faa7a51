//! The program that decodes videos: the one on the machine, or else a static build out of a wheel.

use super::piece::Piece;
use super::platform::Wheel;
use crate::{Error, Result, exec, ui};
use std::path::Path;

/// FFmpeg 9 for Linux: the older static build crashes on MPEG transport streams. The index has no later one for macOS.
const fn wheel(version: &'static str, size: u64, sha256: &'static str) -> Wheel {
    Wheel { name: "imageio-ffmpeg", version, sha256, size }
}

fn this() -> Option<Wheel> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        Some(wheel("0.8.1", 67_998_402, "050d6850601c3b3890bd2b28306f3b842b3daea390a561101174375a1c460bda"))
    } else if cfg!(all(target_os = "linux", target_arch = "aarch64")) {
        Some(wheel("0.8.1", 60_956_631, "fad3176f859b25869e60a8ed79957d4e3ed74a97a95e5f0cdcb91455f6c6d00e"))
    } else if cfg!(all(target_os = "macos", target_arch = "aarch64")) {
        Some(wheel("0.7.0", 21_114_068, "5cb5c37d3c19aa8e7cd95b9f4833e6a3d9fd33e4b1d126a42995b14aef9fef02"))
    } else {
        None
    }
}

/// Sees to it that there is an `ffmpeg`. Everything but videos works without one: what goes wrong here is told, and set-up goes on.
pub(crate) fn ensure(cache: &Path) {
    if let Err(error) = find_or_fetch(cache) {
        ui::say(&format!("warning: no ffmpeg, videos cannot be read until there is one: {error}"));
    }
}

fn find_or_fetch(cache: &Path) -> Result<()> {
    let named = std::env::var_os("UNISONO_FFMPEG").is_some_and(|value| !value.is_empty());
    if named || exec::find_on_path(&["ffmpeg"]).is_some() || cache.join("ffmpeg/ffmpeg").is_file() {
        return Ok(());
    }
    let wheel = this()
        .ok_or(Error::MissingTool { tool: "ffmpeg", fix: "install it, or name it by UNISONO_FFMPEG" })?;
    let program = Piece {
        wheel,
        entry: "imageio_ffmpeg/binaries/ffmpeg-",
        folder: "ffmpeg",
        file: "ffmpeg",
        mode: 0o755,
        space: 5,
        what: "ffmpeg, for videos",
    };
    program.ensure(cache)
}

//! How an image file becomes pixels, and the bounds that hold for all of them.

use crate::{Error, Limits, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Most bytes of a PNG's profile, texts and rows.
pub(crate) const PNG_BESIDE: u64 = 64 << 20;

/// How an image file becomes pixels. A change here changes embeddings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageOptions {
    /// RGB colour that transparent pixels are laid over.
    pub background: [u8; 3],
    /// Transparency is dropped instead, and the colour under it shows, as Pillow's conversion to RGB does.
    pub drop_alpha: bool,
    /// Longest edge of a vector image, in pixels.
    pub svg_size: u32,
    /// Bounds checked before decoding.
    pub limits: Limits,
}

impl Default for ImageOptions {
    /// White background, vectors at 256 pixels.
    fn default() -> Self {
        Self { background: [255; 3], drop_alpha: false, svg_size: 256, limits: Limits::default() }
    }
}

pub(super) fn not_empty(path: &Path, width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return Err(Error::media(path, "an image with pixels", format!("one of {width} x {height}")));
    }
    Ok(())
}

/// Refuses empty and too large images.
pub(super) fn check_size(path: &Path, width: u32, height: u32, limits: &Limits) -> Result<()> {
    not_empty(path, width, height)?;
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(over(path, size(width, height), limits));
    }
    Ok(())
}

pub(super) fn size(width: u32, height: u32) -> String {
    format!("{width} x {height} pixels")
}

/// An image of more pixels than it may have.
pub(super) fn over(path: &Path, found: String, limits: &Limits) -> Error {
    Error::Limit {
        path: path.to_path_buf(),
        what: "the image",
        found,
        limit: format!("{} pixels in all", limits.max_pixels),
        option: "max_pixels",
    }
}

/// What a file of unknown format looks like, for the error message.
pub(super) fn describe(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(8)];
    if bytes.iter().take(512).all(|&b| b >= 0x20 || b.is_ascii_whitespace()) {
        return "text".into();
    }
    let hex: Vec<String> = head.iter().map(|b| format!("{b:02x}")).collect();
    format!("a file of an unknown format that begins with bytes {}", hex.join(" "))
}

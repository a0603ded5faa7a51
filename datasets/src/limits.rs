//! Bounds that a media file must respect before it is decoded.

use serde::{Deserialize, Serialize};

/// What a single media file may cost. Exceeding one is [`crate::Error::Limit`], found from the header where the format
/// has one, so a picture of 50,000 x 50,000 pixels in a file of a kilobyte is refused before a byte is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest file, in bytes.
    pub max_file_bytes: u64,
    /// Largest picture, in pixels (width times height).
    pub max_pixels: u64,
    /// Longest sound, in seconds.
    pub max_seconds: f64,
}

impl Default for Limits {
    /// 256 MiB, 100 megapixels, one hour: what honest files stay below.
    fn default() -> Self {
        Self { max_file_bytes: 256 << 20, max_pixels: 100_000_000, max_seconds: 3600.0 }
    }
}

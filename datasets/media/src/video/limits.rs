//! What a video may cost.

use serde::{Deserialize, Serialize};

/// What a video may cost. Sizes are found before a frame is decoded, the others end the decoding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VideoLimits {
    /// Largest frame, in pixels (width times height).
    pub max_pixels: u64,
    /// Most frames decoded from one file.
    pub max_frames: u64,
    /// All frames of one GIF, WebP or PNG together, in pixels: some bytes of it fill a whole frame.
    pub max_total_pixels: u64,
    /// Longest file, in seconds.
    pub max_seconds: f64,
    /// Most seconds in which the decoder gives neither a frame nor its end, or, where it is asked for something else, does nothing at all.
    pub max_silence: f64,
    /// Most address space of the decoder, in MiB.
    pub max_memory: u64,
}

impl Default for VideoLimits {
    /// A frame of 8192 x 4320, two million frames, eight gigapixels of an animation, twelve hours, a minute, 8 GiB: what honest files stay
    /// below.
    fn default() -> Self {
        Self {
            max_pixels: 8192 * 4320,
            max_frames: 2_000_000,
            max_total_pixels: 8_000_000_000,
            max_seconds: 43_200.0,
            max_silence: 60.0,
            max_memory: 8192,
        }
    }
}

//! What the decoder's log says of a frame before it comes.

use super::shape::Layout;
use super::time::{Ratio, Time};

/// What is known of a frame before it comes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    /// Frames before it, of all that were decoded.
    pub(super) frame: u64,
    pub(super) time: Time,
    pub(super) ticks: i64,
    pub(super) rate: Ratio,
    pub(super) size: (u32, u32),
    /// FFmpeg's name of the pixel format.
    pub(super) form: String,
    /// Luma runs from 0 to 255.
    pub(super) full_range: bool,
    /// FFmpeg's name of the matrix between RGB and YUV, as the file tells it.
    pub(super) matrix: &'static str,
}

/// FFmpeg's names of matrices; what is none of them is not known.
const MATRICES: [&str; 9] =
    ["gbr", "bt709", "fcc", "bt470bg", "smpte170m", "smpte240m", "ycgco", "bt2020nc", "bt2020c"];

impl Shown {
    /// The layout of its bytes as they are, where that is one of ours.
    pub(super) fn yuv420(&self) -> Option<Layout> {
        let even = self.size.0.is_multiple_of(2) && self.size.1.is_multiple_of(2);
        match self.form.as_str() {
            "yuv420p" if even => Some(Layout::Yuv420 { full_range: self.full_range }),
            "yuvj420p" if even => Some(Layout::Yuv420 { full_range: true }),
            _ => None,
        }
    }

    /// With what `pc color_space:bt709 color_primaries:…` says.
    pub(super) fn coloured(mut self, words: &str) -> Self {
        let mut parts = words.split_whitespace();
        self.full_range = parts.next() == Some("pc");
        let named = parts.find_map(|part| part.strip_prefix("color_space:"));
        self.matrix = MATRICES.into_iter().find(|m| Some(*m) == named).unwrap_or("unknown");
        self
    }
}

//! What is known of a frame besides its bytes, and how those lie.

#[cfg(doc)]
use super::{Grid, Video};
use super::{Ratio, Time};

/// How the bytes of a frame lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// A plane of luma, then two of chroma of half the width and height; both sides are even.
    Yuv420 {
        /// Luma runs from 0 to 255; else from 16 to 235.
        full_range: bool,
    },
    /// Some pixels only: as the [`Grid`] says that was asked for.
    Picked {
        /// Luma runs from 0 to 255; else from 16 to 235.
        full_range: bool,
    },
    /// Blue, green, red.
    Bgr,
    /// Red, green, blue.
    Rgb,
}

impl Layout {
    /// Bytes of a whole frame.
    pub fn bytes(self, width: u32, height: u32) -> usize {
        let pixels = width as usize * height as usize;
        match self {
            Self::Yuv420 { .. } | Self::Picked { .. } => pixels / 2 * 3,
            Self::Bgr | Self::Rgb => pixels * 3,
        }
    }
}

/// What is known of a frame besides its bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Frames before it, of all that were decoded.
    pub frame: u64,
    /// When it is shown. Never before the frame that came before it: where the container's clock goes back or jumps, times run on, and
    /// [`Failures::jumps`](super::Failures::jumps) has the place.
    pub time: Time,
    /// For how long, in ticks of the time's base; 0 where the container does not tell.
    pub ticks: i64,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Width and height before it was scaled, upright.
    pub source: (u32, u32),
    /// How its bytes lie.
    pub layout: Layout,
    /// FFmpeg's name of the matrix between RGB and YUV, as the file tells it: `bt709`, `smpte170m`, …; `unknown` where it tells none.
    pub matrix: &'static str,
    /// The stream's rate as FFmpeg guesses it, frames a second: where the rate varies, this is no average; [`Video::rate`] is.
    pub rate: Ratio,
}

//! Videos, decoded by the `ffmpeg` program in a process of its own: a hostile file crashes that process, not this one, and nothing is
//! linked. Every frame carries the container's own time, as a rational.
//!
//! ```text
//! Ffmpeg::find -> probe (limits) -> index (times, no decoding) -> frames (RGB + time) | sound
//! ```

mod ffmpeg;
mod frames;
mod index;
mod probe;
mod sound;
pub mod span;
mod time;

pub use ffmpeg::{Ffmpeg, VideoLimits};
pub use frames::{Failures, Frame, FrameOptions, Frames};
pub use index::spread;
pub use probe::Video;
pub use span::Span;
pub use time::{Ratio, Time};

#[cfg(test)]
#[path = "../tests/video.rs"]
mod tests;

//! Videos, decoded by the `ffmpeg` program in a process of its own: a hostile file crashes that process, not this one, and nothing is
//! linked. Every frame carries the container's own time, as a rational.
//!
//! ```text
//! Ffmpeg::find -> probe (limits) -> index (times, no decoding) -> frames (RGB + time) | stream (several forms of every frame) | audio
//! ```

mod animation;
mod audio;
mod audio_index;
mod audio_run;
mod audio_seek;
mod beside;
mod clock;
mod complaint;
mod desk;
mod failures;
mod ffmpeg;
mod frames;
mod graph;
mod index;
mod joined;
mod known;
mod limits;
mod listen;
mod log;
mod look;
mod picks;
mod probe;
mod process;
mod sample;
mod shape;
mod shown;
pub mod span;
mod still;
mod stream;
mod time;
mod watchdog;

pub use animation::{Animation, animation, folder, is_animation};
pub use clock::Jump;
pub use failures::Failures;
pub use ffmpeg::Ffmpeg;
pub use frames::{Frame, FrameOptions, Frames};
pub use index::spread;
pub use joined::unread;
pub use limits::VideoLimits;
pub use look::shows_images;
pub use picks::{Grid, Picks};
pub use probe::Video;
pub use shape::{Layout, Shape};
pub use span::Span;
pub(crate) use still::Told;
pub use stream::{Ending, Stream, StreamOptions, Track};
pub use time::{Ratio, Time, gcd};

#[cfg(test)]
#[path = "../tests/video.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/seek.rs"]
mod seek_tests;

#[cfg(test)]
#[path = "../tests/seek_audio.rs"]
mod seek_audio_tests;

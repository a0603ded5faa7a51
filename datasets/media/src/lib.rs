//! Images, audio files and videos of strangers: within limits, which are looked at first, decoded to [`image::RgbImage`] and `f32` samples.
//!
//! What a file is, its first bytes say. Decoders that are kept here read what they know; FFmpeg, a process of its own that opens one file,
//! reads videos and whatever else there is.

pub mod address;
mod blob;
mod boxes;
pub mod decode;
mod error;
#[cfg(test)]
#[path = "tests/forms.rs"]
mod forms;
#[doc(hidden)]
pub mod fuzzing;
pub mod header;
pub mod limits;
pub mod video;

pub use blob::{Blob, Lent, Opened, Rows};
pub use decode::{Audio, ImageOptions};
pub use error::{Error, Result, one_line};
pub use image;
pub use limits::{Limits, MediaLimits};

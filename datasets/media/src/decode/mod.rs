//! Files to media. Formats are recognised by content, never by the file's name; limits are checked before memory is
//! spent; every failure names the file, what was expected and what was found.

mod audio;
mod decoded;
mod image;
mod jpeg;
mod options;
mod palettes;
mod part;
mod reduced;
mod resample;
mod samples;
mod stored;
mod tiff;
mod vector;

pub(crate) use audio::{Mix, mpeg_seconds, ogg_shows_images, piped};
pub use audio::{audio, audio_by, audio_on_clock, kept_audio};
pub use decoded::printed;
pub use image::{flatten, image, rgba};
pub use options::ImageOptions;
pub(crate) use options::PNG_BESIDE;
pub use resample::{Resampling, resample};
pub use samples::Audio;
pub use stored::{DeepImage, Stored, stored};

#[cfg(test)]
#[path = "../tests/hostile.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/documented.rs"]
mod documented;

//! Files to media. Formats are recognised by content, never by the file's name; limits are checked before memory is
//! spent; every failure names the file, what was expected and what was found.

mod jpeg;
mod options;
mod part;
mod picture;
mod reduced;
mod resample;
mod samples;
mod sound;
mod vector;

pub use options::ImageOptions;
pub(crate) use options::PNG_BESIDE;
pub use picture::{flatten, image, rgba, rgba_of};
pub use resample::resample;
pub use samples::Sound;
pub(crate) use sound::{Mix, ogg_shows_pictures, piped};
pub use sound::{kept_sound, sound, sound_by, sound_on_clock};

#[cfg(test)]
#[path = "../tests/hostile.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/documented.rs"]
mod documented;

//! Files to media. Formats are recognised by content, never by the file's name; limits are checked before memory is
//! spent; every failure names the file, what was expected and what was found.

mod jpeg;
mod part;
mod picture;
mod reduced;
mod resample;
mod sound;
mod vector;

pub use picture::{ImageOptions, image};
pub(crate) use picture::{PNG_BESIDE, flatten, rgba, rgba_of};
pub use resample::resample;
pub use sound::{Sound, sound};

#[cfg(test)]
#[path = "../tests/hostile.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/documented.rs"]
mod documented;

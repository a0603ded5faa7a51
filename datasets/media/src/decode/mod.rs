//! Files to media. Formats are recognised by content, never by the file's name; limits are checked before memory is
//! spent; every failure names the file, what was expected and what was found.

mod audio;
mod decoded;
mod heif;
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
pub use audio::{audio, audio_by, audio_on_clock, excerpt, is_kept, kept_audio};
pub use decoded::printed;
pub(crate) use heif::{is_heif, outline as heif_outline, size as heif_size};
pub use image::{flatten, image, image_by, rgba};
pub use options::ImageOptions;
pub(crate) use options::PNG_BESIDE;
pub use resample::{Resampling, resample, resample_part, resampled, source_of};
pub use samples::{Audio, Excerpt, Extent, Wanted};
pub use stored::{DeepImage, Stored, stored, stored_by};

#[cfg(test)]
#[path = "../tests/hostile.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/documented.rs"]
mod documented;

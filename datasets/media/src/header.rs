//! What a file's head tells of it without decoding: how large an image is, how long an audio file or a video lasts. A few reads a file, however large
//! it is; what it says is believed, which is enough to count and to draw, and not to decode by.

mod audio;
mod image;
mod tables;

pub use audio::seconds;
pub use image::image_size;

#[cfg(test)]
#[path = "tests/header.rs"]
mod tests;

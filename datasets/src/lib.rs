//! Manifests, decoding, augmentation, sampling and loading: everything between files on disk and the media that a
//! processor turns into tensors.
//!
//! ```text
//! manifest -> records -> sampler (which record when) -> loader (worker threads) -> decode + augment -> media
//! ```
//!
//! Media leave this crate as [`image::RgbImage`] and plain `f32` samples; tensors are made elsewhere, so nothing here
//! knows of models. Randomness is a pure function of (seed, epoch, sample, purpose), see [`rng`]: a batch is the same
//! on one worker and on twenty, and a resumed training needs the step number only.

pub mod address;
pub mod augment;
pub mod cache;
pub mod decode;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod loader;
pub mod manifest;
pub mod msrvtt;
mod plain;
pub mod rng;
pub mod sample;
pub mod sampler;
pub mod video;
pub mod words;

pub use decode::{ImageOptions, Sound};
pub use error::{Error, Result};
pub use files::{cache_folder, write_atomic};
pub use image;
pub use limits::{Limits, MediaLimits};
pub use loader::{Batch, Loader, LoaderOptions, LoaderStats, Skip};
pub use manifest::{Manifest, Record};
pub use sampler::{Draw, Sampler, Source};

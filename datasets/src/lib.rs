//! Manifests, augmentation, sampling and loading: everything between lists of records and batches of media.
//!
//! ```text
//! manifest -> records -> sampler (which record when) -> loader (worker threads) -> decode + augment -> media
//! ```
//!
//! Media are [`image::RgbImage`] and plain `f32` samples, decoded below; tensors are made elsewhere, so nothing here
//! knows of models. Randomness is a pure function of (seed, epoch, sample, purpose), see [`rng`]: a batch is the same
//! on one worker and on twenty, and a resumed training needs the step number only.

mod annotated;
mod arrow;
pub mod augment;
pub mod cache;
mod causes;
mod chosen;
mod columnar;
mod error;
mod fields;
mod folder;
#[doc(hidden)]
pub mod fuzzing;
mod lines;
pub mod loader;
pub mod manifest;
mod mixture;
pub mod msrvtt;
mod open;
pub mod order;
pub mod pack;
pub mod parquet;
mod plain;
mod position;
mod published;
mod record;
mod retold;
pub mod rng;
pub mod sample;
pub mod sampler;
pub mod shards;
pub mod similar;
pub mod source;
mod table;
mod tables;
pub mod vectors;
pub mod words;

pub use annotated::subset;
pub use causes::Causes;
pub use error::{Error, Result};
pub use loader::{Allowed, Batch, Fault, Loader, LoaderOptions, LoaderStats, Skip, Stage, timed};
pub use manifest::Manifest;
pub use open::{Columns, Names, SourceConfig, SourceKind, open};
pub use order::Order;
pub use record::Record;
pub use retold::Retold;
pub use sampler::{Draw, Rate, Sampler, Share, Tail};
pub use source::{Key, Part, Source};
pub use tables::reopened;

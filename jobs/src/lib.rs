//! Long work over many files: embed, index, search.
//!
//! ```text
//! inputs -> items -> decode + process (worker threads) -> model (batches) -> vectors -> file or index -> search
//! ```
//!
//! Start at [`Embedder`] for a few things in memory, at [`Inputs`] and [`embed()`] for many files, at [`Index`] to find them again.

pub mod classify;
pub mod crossmodal;
mod embed;
mod embedder;
mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod hub;
mod identity;
pub mod index;
mod inputs;
pub mod inspect;
mod item;
mod kind;
mod ledger;
mod ordered;
pub mod output;
mod parquet;
mod progress;
pub mod resume;
pub mod scenes;
pub mod search;
pub mod sheet;
pub mod shots;
pub mod transcripts;
pub mod understand;
mod vectors;

pub use embed::{EmbedOptions, Embedded, embed};
pub use embedder::Embedder;
pub use error::{Error, Result};
pub use identity::{identity, identity_with_fusion};
pub use index::Index;
pub use inputs::{Inputs, Listing};
pub use item::{Item, Skip};
pub use progress::{Flow, Progress};
pub use search::Hit;
pub use tch::Device;
pub use unisono_encoders::Modality;
pub use vectors::{Vectors, similarity};

//! Long work over many files: embed, index, search.
//!
//! ```text
//! inputs -> items -> decode + process (worker threads) -> engine (batches) -> sink: memory, file, index, folder
//! ```
//!
//! Start at [`Embedder`] for a few things in memory, at [`Inputs`] and [`embed()`] for many files, at [`Index`] to find them again, at
//! [`understand`] for captions, answers, matches and transcripts.

pub mod check;
pub mod classify;
pub mod crossmodal;
pub mod curate;
mod embed;
mod embedded;
mod embedder;
mod error;
pub mod feedback;
mod form;
#[doc(hidden)]
pub mod fuzzing;
pub mod hub;
mod identity;
pub mod index;
mod inputs;
pub mod inspect;
mod kind;
mod lang;
mod named;
mod options;
pub mod output;
mod pipeline;
mod progress;
pub mod scenes;
mod shard;
pub mod sheet;
pub mod shots;
pub mod store;
pub mod transcripts;
pub mod understand;

pub use embed::{Job, ROUND, Stored, Written, embed, embed_to};
pub use embedded::Embedded;
pub use embedder::Embedder;
pub use error::{Error, Result};
pub use identity::{identity, identity_with_fusion};
pub use index::Index;
pub use inputs::{Inputs, LeftOut, Listing};
pub use lang::{LangDetector, Spoken};
pub use options::EmbedOptions;
pub use pipeline::{Batch, Outcome, Round, Sink, ledger, partial};
pub use progress::{Flow, Progress};
pub use shard::Shard;
pub use tch::Device;
pub use unisono_datasets::Skip;
pub use unisono_encoders::Modality;
pub use unisono_index::{Hit, Item, Items, Vectors, similarity};

//! Understanding on top of aligned towers: objectives, the fusion Transformer, its heads, and generation.

mod ability;
mod bounds;
pub mod config;
mod entrance;
pub mod files;
pub mod generate;
mod heads;
pub mod import;
mod lexicon;
mod memory;
mod model;
pub mod objective;
pub mod speech;
mod stack;

pub use ability::Ability;
pub use config::Generation;
pub use entrance::Sequence;
pub use generate::{Generated, Generator};
pub use model::{FusionModel, Imported};
pub use objective::{Items, Objective, View};
pub use stack::Stack;
pub use unisono_nn::{Cache, CrossKv, Mask};

/// What can go wrong in an objective.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A view's vectors and rows do not fit each other or the batch.
    #[error("{0}")]
    Shape(String),
    /// A configuration that cannot be.
    #[error("{0}")]
    Config(String),
    /// Of layers, their configuration and their weights.
    #[error(transparent)]
    Nn(#[from] unisono_nn::Error),
    /// Of what libtorch has and `tch` does not bind.
    #[error(transparent)]
    Torch(#[from] unisono_torch_ext::Error),
    /// The encoders' error.
    #[error(transparent)]
    Encoders(#[from] unisono_encoders::Error),
    /// Of processors.
    #[error(transparent)]
    Processors(#[from] unisono_processors::Error),
    /// A file that cannot be opened, read or written.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// Whoever watches a generation asked it to stop.
    #[error("stopped")]
    Stopped,
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! Objectives over aligned towers: the contrastive loss over every pair of modalities of a batch.

mod contrastive;

pub use contrastive::{Contrastive, ContrastiveLoss, Items, PairLoss, View};

/// What can go wrong in an objective.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A view's vectors and rows do not fit each other or the batch.
    #[error("{0}")]
    Shape(String),
    /// The encoders' error.
    #[error(transparent)]
    Encoders(#[from] unisono_encoders::Error),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

//! The crate's error. What came out of a stranger's file is made printable on its way into a message, once, here.

use std::path::Path;
use unisono_files::printable;

/// What can go wrong with configurations, weights, processors and towers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that cannot be built, a file that does not hold what its name says, weights that do not fit.
    #[error(transparent)]
    Nn(#[from] unisono_nn::Error),
    /// The model lacks what was asked for.
    #[error("this model has no {wanted} tower; it has: {has}")]
    NoTower {
        /// The modality asked for.
        wanted: &'static str,
        /// The modalities it has.
        has: String,
    },
    /// An input that a tower or processor cannot take.
    #[error("{}", printable(.0))]
    Input(String),
    /// Of processors.
    #[error(transparent)]
    Processors(#[from] unisono_processors::Error),
    /// A file that cannot be opened, read or written, or that costs too much to read.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
}

impl Error {
    /// A file at `path` that could not be read or written.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        unisono_nn::Error::io(path, source).into()
    }

    /// A file at `path` that does not hold what its name says.
    pub fn format(path: &Path, message: impl Into<String>) -> Self {
        unisono_nn::Error::format(path, message).into()
    }

    /// A key of a configuration, `image.heads`, that cannot be built.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        unisono_nn::Error::config(field, message).into()
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

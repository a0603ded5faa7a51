//! The crate's error. What came out of a stranger's file is made printable on its way into a message, once, here.

use std::path::{Path, PathBuf};
use unisono_files::printable;

/// What can go wrong with layers, their configuration and their weights.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A configuration that cannot be built.
    #[error("{}", printable(format_args!("{field}: {message}")))]
    Config {
        /// The key's path, `image.heads`.
        field: String,
        /// What was found, what is expected.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{}", printable(format_args!("{}: {source}", path.display())))]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// Weights do not fit the configuration.
    #[error("{}", printable(format_args!("{}: weights do not fit the configuration: {report}", path.display())))]
    Weights {
        /// The weights file.
        path: PathBuf,
        /// Missing, unexpected and mismatched tensors.
        report: Box<crate::LoadReport>,
    },
    /// Two parameters of one name: a mistake in a model.
    #[error("parameter {0} is defined twice")]
    Duplicate(String),
    /// An input that a layer cannot take.
    #[error("{}", printable(.0))]
    Input(String),
    /// A file that cannot be opened, read or written, costs too much to read, or does not hold what its name says.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
    /// A dispatcher call failed.
    #[error(transparent)]
    TorchExt(#[from] unisono_torch_ext::Error),
}

impl Error {
    /// An [`Error::Io`] at `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// A file that does not hold what its name says.
    pub fn format(path: &Path, message: impl Into<String>) -> Self {
        unisono_files::Error::format(path, message).into()
    }

    /// An [`Error::Config`] at `field`.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { field: field.into(), message: message.into() }
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

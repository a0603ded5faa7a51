//! The crate's error. What came out of a stranger's file is made printable on its way into a message, once, here.

use std::path::Path;
use unisono_files::printable;

/// What can go wrong with the settings of a processor, and with what it is given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that cannot work.
    #[error("{}", printable(format_args!("{field}: {message}")))]
    Config {
        /// The key's path, `image.mean`.
        field: String,
        /// What was found, what is expected.
        message: String,
    },
    /// An input that a processor cannot take.
    #[error("{}", printable(.0))]
    Input(String),
    /// The tokenizer's own error.
    #[error("tokenizer: {}", printable(.0))]
    Tokenizer(String),
    /// A decoder panicked on a file.
    #[error("its decoder panicked (this is a bug, please report it)")]
    Panicked,
    /// A medium that cannot be decoded.
    #[error(transparent)]
    Media(#[from] unisono_media::Error),
    /// A file that cannot be opened or read, costs too much to read, or does not hold what its name says.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
}

impl Error {
    /// A file that does not hold what its name says.
    pub fn format(path: &Path, message: impl Into<String>) -> Self {
        unisono_files::Error::format(path, message).into()
    }

    /// What the tokenizer's library says.
    pub(crate) fn tokenizer(e: impl std::fmt::Display) -> Self {
        Self::Tokenizer(e.to_string())
    }

    /// An [`Error::Config`] at `field`.
    pub fn config(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Config { field: field.into(), message: message.into() }
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

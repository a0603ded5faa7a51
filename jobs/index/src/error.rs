//! What can be wrong with an index.

use std::path::Path;

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, in one line that names the file, what was expected and found, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A query that no search can work with.
    #[error("{0}")]
    Query(String),
    /// Whoever was told how far it is said stop; what was there before is as it was.
    #[error("stopped")]
    Stopped,
    /// A file that the system refuses, or that does not hold what it should.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
}

impl Error {
    /// For `map_err`: what the system refused, with its path and action.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let of = unisono_files::Error::io(path, action);
        move |source| of(source).into()
    }

    /// A file that does not hold what it should.
    pub(crate) fn format(path: &Path, message: impl Into<String>) -> Self {
        unisono_files::Error::format(path, message).into()
    }
}

//! What keeps a server from starting.

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server does not start, in one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting, or a set of models, that nothing can be served with.
    #[error("{0}")]
    Input(String),
    /// The address cannot be had.
    #[error("{addr}: {source}; give another address with --addr")]
    Address {
        /// The address.
        addr: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system refuses something that a server needs.
    #[error("{what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// Of models, indexes and jobs.
    #[error(transparent)]
    Jobs(#[from] unisono_jobs::Error),
    /// Of files.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
}

impl Error {
    /// For `map_err`: what the system refused.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

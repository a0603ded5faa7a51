//! What can go wrong in a long job.

use std::path::Path;

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A job's failure, in one line that names the file, what was expected and found, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An input or an option that no job can work with.
    #[error("{0}")]
    Input(String),
    /// Too many inputs could not be used.
    #[error(
        "{count} inputs could not be used, more than the {max} allowed (`--max-skip`); the last was {id}: {reason}"
    )]
    TooManySkipped {
        /// Inputs skipped.
        count: usize,
        /// The allowed number.
        max: usize,
        /// The last input skipped.
        id: String,
        /// Why it was skipped.
        reason: String,
    },
    /// Not one input could be used.
    #[error("{}", none_usable(*count, id, reason))]
    AllSkipped {
        /// Inputs skipped.
        count: usize,
        /// The first of them.
        id: String,
        /// Why it was skipped.
        reason: String,
    },
    /// An index does not find what it holds.
    #[error("the new index failed its self-check: {0}; nothing was written")]
    SelfCheck(String),
    /// The caller's progress function asked to stop; nothing was written.
    #[error("interrupted")]
    Interrupted,
    /// A worker thread ended without its result: a bug, not bad data.
    #[error("a worker thread stopped while preparing {id} (this is a bug, please report it)")]
    Worker {
        /// The input in work.
        id: String,
    },
    /// A file or folder that the system refuses, that does not hold what it should, or that another run writes.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// Of indexes.
    #[error(transparent)]
    Index(unisono_index::Error),
    /// Of weights.
    #[error(transparent)]
    Nn(#[from] unisono_nn::Error),
    /// Of models and processors.
    #[error(transparent)]
    Encoders(#[from] unisono_encoders::Error),
    /// Of processors.
    #[error(transparent)]
    Processors(unisono_processors::Error),
    /// Of captions, matches, answers and transcripts.
    #[error(transparent)]
    Fusion(unisono_fusion::Error),
    /// Of manifests.
    #[error(transparent)]
    Datasets(#[from] unisono_datasets::Error),
    /// Of media.
    #[error(transparent)]
    Media(#[from] unisono_media::Error),
    /// Of detectors, scenes and their files.
    #[error(transparent)]
    Scenes(#[from] unisono_scenes::Error),
    /// Of metrics and pages.
    #[error(transparent)]
    Eval(#[from] unisono_eval::Error),
}

/// Of one input all is said by its reason.
fn none_usable(count: usize, id: &str, reason: &str) -> String {
    match count {
        1 => format!("{id}: {reason}"),
        _ => format!("none of the {count} inputs could be used; the first was {id}: {reason}"),
    }
}

impl From<unisono_fusion::Error> for Error {
    fn from(error: unisono_fusion::Error) -> Self {
        match error {
            unisono_fusion::Error::Stopped => Self::Interrupted,
            other => Self::Fusion(other),
        }
    }
}

impl From<unisono_processors::Error> for Error {
    fn from(error: unisono_processors::Error) -> Self {
        match error {
            unisono_processors::Error::Media(e) => Self::Media(e),
            other => Self::Processors(other),
        }
    }
}

impl From<unisono_index::Error> for Error {
    fn from(e: unisono_index::Error) -> Self {
        match e {
            unisono_index::Error::Stopped => Self::Interrupted,
            e => Self::Index(e),
        }
    }
}

impl Error {
    /// For `map_err`: what the system refused, with its path and action.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let of = unisono_files::Error::io(path, action);
        move |source| of(source).into()
    }

    /// A file or folder that does not hold what it should.
    pub(crate) fn format(path: &Path, message: impl Into<String>) -> Self {
        unisono_files::Error::format(path, message).into()
    }
}

//! The crate's error.

use std::path::PathBuf;

/// What can go wrong in a training.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A recipe that cannot be read.
    #[error("{path}{line}: {message}")]
    Recipe {
        /// The recipe, or the override.
        path: PathBuf,
        /// `:12`, or nothing.
        line: String,
        /// What was found, what is expected.
        message: String,
    },
    /// A setting that cannot work.
    #[error("{field}: {message}")]
    Setting {
        /// The recipe's key.
        field: String,
        /// What was found, what is expected.
        message: String,
    },
    /// The run directory holds something that this training would overwrite or cannot go on from.
    #[error("{path}: {message}")]
    Run {
        /// The directory or file.
        path: PathBuf,
        /// What was found, what to do.
        message: String,
    },
    /// A checkpoint that is not as it was written.
    #[error("{path}: {message}; this checkpoint is damaged: take an older one, or begin again with --fresh")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        message: String,
    },
    /// The loss or the gradient is not a number: the last checkpoint is untouched.
    #[error(
        "step {step}: {what} is {value}; the run stopped, its last checkpoint is from step {checkpoint}; lower the learning rate or look at this batch: {batch}"
    )]
    NotFinite {
        /// The step.
        step: u64,
        /// Loss or gradient norm.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The step of the last checkpoint.
        checkpoint: u64,
        /// Ids of the first items.
        batch: String,
    },
    /// Another process of the run went away, does not answer, or goes another way.
    #[error("{message}")]
    World {
        /// Which one, and how it is known.
        message: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file or folder that is not ours, is no regular file, or is being written by another run.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// Of weights.
    #[error(transparent)]
    Nn(#[from] unisono_nn::Error),
    /// The model's error.
    #[error(transparent)]
    Encoders(#[from] unisono_encoders::Error),
    /// Of processors.
    #[error(transparent)]
    Processors(unisono_processors::Error),
    /// The data's error.
    #[error(transparent)]
    Datasets(#[from] unisono_datasets::Error),
    /// A medium's error.
    #[error(transparent)]
    Media(#[from] unisono_media::Error),
    /// The objective's error.
    #[error(transparent)]
    Fusion(#[from] unisono_fusion::Error),
    /// The evaluation's error.
    #[error(transparent)]
    Eval(#[from] unisono_eval::Error),
    /// libtorch's error.
    #[error(transparent)]
    TorchExt(#[from] unisono_torch_ext::Error),
    /// libtorch's error.
    #[error("libtorch: {0}")]
    Tch(#[from] tch::TchError),
}

impl From<unisono_processors::Error> for Error {
    fn from(error: unisono_processors::Error) -> Self {
        match error {
            unisono_processors::Error::Media(e) => Self::Media(e),
            other => Self::Processors(other),
        }
    }
}

impl Error {
    /// A setting that cannot work.
    pub fn setting(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Setting { field: field.into(), message: message.into() }
    }

    /// A file that could not be read or written.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}

/// This crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

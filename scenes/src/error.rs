use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a video's frames and the files about its scenes. Every message is one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A video cannot be decoded.
    #[error(transparent)]
    Media(#[from] unisono_media::Error),
    /// A setting is impossible.
    #[error("{name}: expected {expected}, found {found}")]
    Setting {
        /// The setting, as the file of settings writes it: `content.threshold`.
        name: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file is not of the form that it should have.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        message: String,
    },
    /// A text of the user's that cannot be read.
    #[error(transparent)]
    Files(unisono_files::Error),
    /// The operating system refused to read or write.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
}

impl From<unisono_files::Error> for Error {
    fn from(error: unisono_files::Error) -> Self {
        match error {
            unisono_files::Error::Io { path, action, source } => Self::Io { path, action, source },
            unisono_files::Error::Format { path, message } => Self::Format { path, message },
            other => Self::Files(other),
        }
    }
}

impl Error {
    /// A setting that is impossible.
    pub fn setting(
        name: impl Into<String>,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Setting { name: name.into(), expected: expected.into(), found: found.to_string() }
    }

    /// A file of another form.
    pub fn format(path: &Path, message: impl Into<String>) -> Self {
        Self::Format { path: path.to_path_buf(), message: message.into() }
    }

    /// The system refused.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, action, source }
    }
}

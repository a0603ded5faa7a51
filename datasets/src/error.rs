use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a file and a batch. Every message is one line and names the file, what was expected and
/// what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `read`, `write`, `create folder`…
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file that cannot be opened or read within bounds.
    #[error(transparent)]
    Files(unisono_files::Error),
    /// An address where a file's path is expected.
    #[error("{}: is {advice}", path.display())]
    Address {
        /// As it was given.
        path: PathBuf,
        /// What it is and what to do.
        advice: &'static str,
    },
    /// A line of a manifest is not a valid record.
    #[error("{}:{line}: {message}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What was expected and found.
        message: String,
    },
    /// A picture or sound cannot be decoded.
    #[error("{}: expected {expected}, found {found}", path.display())]
    Media {
        /// The file.
        path: PathBuf,
        /// What the decoder needs.
        expected: String,
        /// What the file holds instead.
        found: String,
    },
    /// A file is larger than the limits allow; the limits protect memory and time from hostile or mistaken files.
    #[error("{}: {what} is {found}, the limit is {limit}{}", path.display(), crate::limits::advice(option))]
    Limit {
        /// The file.
        path: PathBuf,
        /// The measure that is too large.
        what: &'static str,
        /// The file's value, with its unit.
        found: String,
        /// The allowed value, with its unit.
        limit: String,
        /// One of [`crate::limits::NAMES`]; the message spells it as the user sets it.
        option: &'static str,
    },
    /// An option or a combination of options is impossible.
    #[error("{0}")]
    Options(String),
    /// Too many distinct records could not be prepared.
    #[error("{count} records could not be used, more than the {max} allowed; the last was {id}: {reason}")]
    TooManySkipped {
        /// Distinct ids skipped so far.
        count: usize,
        /// The allowed number.
        max: usize,
        /// The last record skipped.
        id: String,
        /// Why it was skipped.
        reason: String,
    },
    /// The function that prepares samples panicked: a bug, not bad data.
    #[error("a loader worker panicked on record {id}: {message} (this is a bug, please report it)")]
    WorkerPanic {
        /// The record in work.
        id: String,
        /// The panic's message.
        message: String,
    },
    /// A program that fetches or unpacks data is not installed.
    #[error("`{tool}` is not installed; it is needed to {what}")]
    ToolMissing {
        /// The program's name.
        tool: String,
        /// What it is needed for.
        what: String,
    },
    /// A sound that only FFmpeg reads, and there is none.
    #[error(
        "{}: found {found}, which FFmpeg has to read, and there is none: `cargo xtask setup` fetches it; or install it, or name it by --ffmpeg \
         or UNISONO_FFMPEG",
        path.display()
    )]
    NeedsFfmpeg {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// A program that fetches or unpacks data failed.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// The last line it wrote on standard error.
        stderr: String,
    },
    /// An archive is not the one this version knows.
    #[error("{}: expected SHA-256 {expected}, found {found}: delete the file and run again to fetch it anew", path.display())]
    Checksum {
        /// The archive.
        path: PathBuf,
        /// The sum written in the source.
        expected: String,
        /// The file's sum.
        found: String,
    },
    /// An archive's content is not what its name promises.
    #[error("{}: {message}", path.display())]
    Archive {
        /// The archive, or the file in it.
        path: PathBuf,
        /// What was expected and found.
        message: String,
    },
}

impl From<unisono_files::Error> for Error {
    fn from(error: unisono_files::Error) -> Self {
        match error {
            unisono_files::Error::Io { path, action, source } => Self::Io { path, action, source },
            other => Self::Files(other),
        }
    }
}

impl Error {
    /// For `map_err`: an [`Error::Io`] that knows its path and action.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { path, action, source }
    }

    pub(crate) fn media(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Media { path: path.to_path_buf(), expected: expected.into(), found: one_line(&found.into()) }
    }

    pub(crate) fn archive(path: &Path, message: impl Into<String>) -> Error {
        Error::Archive { path: path.to_path_buf(), message: one_line(&message.into()) }
    }
}

/// Decoders' messages may hold line breaks; ours are one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

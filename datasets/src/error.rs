use std::path::{Path, PathBuf};
use unisono_media::one_line;

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong between a file and a batch. Every message is one line and names the file, what was expected and
/// what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A medium cannot be decoded.
    #[error(transparent)]
    Media(#[from] unisono_media::Error),
    /// A file that cannot be opened or read within bounds.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// A line of a manifest or a row of a table is not a valid record.
    #[error("{}:{line}: {message}", path.display())]
    Manifest {
        /// The manifest or the table.
        path: PathBuf,
        /// Line number, counted from 1.
        line: usize,
        /// What was expected and found.
        message: String,
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

impl Error {
    /// For `map_err`: what the system refused, with its path and action.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let of = unisono_files::Error::io(path, action);
        move |source| of(source).into()
    }

    pub(crate) fn archive(path: &Path, message: impl Into<String>) -> Error {
        Error::Archive { path: path.to_path_buf(), message: one_line(&message.into()) }
    }
}

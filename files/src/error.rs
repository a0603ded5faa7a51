//! What goes wrong with a file, in one line that begins with its path.

use crate::printable;
use std::path::{Path, PathBuf};

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refuses.
    #[error("{}: cannot {action}: {source}", printable(path.display()))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: "read", "write", …
        action: &'static str,
        /// In the system's words.
        source: std::io::Error,
    },
    /// A folder, a pipe, a device or a socket stands where a file was expected.
    #[error("{}: expected a regular file, found {found}", printable(path.display()))]
    NotRegular {
        /// Its name.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// Another user's file or folder stands under the name of one of ours.
    #[error("{}: belongs to another user (number {owner}); expected one that this program made: move it away", path.display())]
    NotOurs {
        /// Its name.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// A folder that would be replaced holds something that this program did not write there.
    #[error("{}: holds {name}, which is not of this program's making: nothing is replaced; move it away or choose another name", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What lies in it.
        name: String,
    },
    /// More than a file of this kind ever holds.
    #[error("{}: {found}, more than the {limit} that such a file may have", printable(path.display()))]
    Budget {
        /// The file.
        path: PathBuf,
        /// How much, and of what.
        found: String,
        /// How much is allowed.
        limit: String,
    },
    /// Not of the expected form.
    #[error("{}", printable(format_args!("{}: {message}", path.display())))]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        message: String,
    },
    /// Another process writes it now.
    #[error("{}: is being written by another run (process {holder}); wait for it or choose another name", printable(path.display()))]
    Locked {
        /// The output.
        path: PathBuf,
        /// The other process's number, or "unknown".
        holder: String,
    },
}

impl Error {
    /// For `map_err`.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }

    pub(crate) fn not_regular(path: &Path, kind: std::fs::FileType) -> Self {
        Self::NotRegular { path: path.to_owned(), found: name(kind) }
    }

    /// A file that is not what it should be.
    pub fn format(path: &Path, message: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), message: message.into() }
    }
}

/// What lies there instead of a file.
fn name(kind: std::fs::FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a link"
    } else {
        "something else"
    }
}

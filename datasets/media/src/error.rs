use std::path::{Path, PathBuf};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a media file cannot be used. Every message is one line and names the file, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that cannot be opened or read within bounds.
    #[error(transparent)]
    Files(#[from] unisono_files::Error),
    /// An address where a file's path is expected.
    #[error("{}: is {advice}", path.display())]
    Address {
        /// As it was given.
        path: PathBuf,
        /// What it is and what to do.
        advice: &'static str,
    },
    /// An image or audio cannot be decoded.
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
    /// A program that decodes is not installed.
    #[error("`{tool}` is not installed; it is needed to {what}")]
    ToolMissing {
        /// The program's name.
        tool: String,
        /// What it is needed for.
        what: String,
    },
    /// An audio file that only FFmpeg reads, and there is none.
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
}

impl Error {
    /// For `map_err`: what the system refused, with its path and action.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let of = unisono_files::Error::io(path, action);
        move |source| of(source).into()
    }

    /// A file that is not what it has to be.
    pub fn media(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::Media { path: path.to_path_buf(), expected: expected.into(), found: one_line(&found.into()) }
    }
}

/// Other programs' messages may hold line breaks; ours are one line.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

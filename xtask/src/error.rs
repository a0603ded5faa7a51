//! The one error type of `xtask`. Every message is one line that ends with what to do.

use std::path::{Path, PathBuf};

/// What can go wrong, in words for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{action} {path}: {source}{hint}", path = path.display(), hint = io_hint(source))]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },

    #[error("LIBTORCH={path}: {problem}; unset LIBTORCH to let set-up find or fetch one, or point it at a libtorch 2.11", path = path.display())]
    BadLibtorch { path: PathBuf, problem: String },

    #[error("`{tool}` was not found on PATH; install it: {fix}")]
    MissingTool { tool: &'static str, fix: &'static str },

    #[error(
        "no libtorch wheel is known for this platform ({0}); set LIBTORCH to a libtorch 2.11, or activate a Python that has torch 2.11"
    )]
    Platform(&'static str),

    #[error(
        "cannot download {what}: {detail}; check the network (proxy and certificates as pip has them: `python3 -m pip config list`) and run the command again, it resumes"
    )]
    Network { what: String, detail: String },

    #[error(
        "pip's package index holds no {what}: {detail}; check `python3 -m pip config list` (index-url, no-index), or set LIBTORCH to a libtorch 2.11"
    )]
    NoWheel { what: String, detail: String },

    #[error(
        "{file}: sha256 is {found}, expected {expected}; the file was refused, run the command again (if it repeats, the index or a proxy alters files)"
    )]
    Checksum { file: String, expected: String, found: String },

    #[error(
        "no sha256 is known for {0} and the package index gives none; refuse to unpack unchecked code; use an index that gives hashes, or set LIBTORCH to a libtorch 2.11"
    )]
    Unchecked(String),

    #[error(
        "{path} has {have} MB free and set-up needs about {need} MB; free some space, or set UNISONO_CACHE to a folder on a larger disk", path = path.display()
    )]
    NoSpace { path: PathBuf, need: u64, have: u64 },

    #[error(
        "no space left while downloading {0}; free some space or set UNISONO_CACHE to a folder on a larger disk, and run the command again, it resumes"
    )]
    DiskFull(String),

    #[error("{path} is not a readable wheel: {detail}; delete it and run `cargo xtask setup` again", path = path.display())]
    BadWheel { path: PathBuf, detail: String },

    #[error("{path} lacks {missing} after unpacking; run `cargo xtask setup --force`", path = path.display())]
    Incomplete { path: PathBuf, missing: String },

    #[error("{path}: cargo's linker arguments cannot hold {what}; set UNISONO_CACHE (or LIBTORCH) to a plain path", path = path.display())]
    OddPath { path: PathBuf, what: &'static str },

    #[error("`{command}` could not be started: {source}; is it installed and on PATH?")]
    Start { command: String, source: std::io::Error },

    #[error("{what} failed: `{command}` ended with {status}; its own message is above")]
    Failed { what: String, command: String, status: String },

    #[error("{} was not set up; run `cargo xtask setup`", .0.display())]
    NotSetUp(PathBuf),

    #[error("{path} holds no stages.json of an earlier quickstart, so --fresh does not delete it; name another folder with --out", path = path.display())]
    NotOurs { path: PathBuf },

    #[error("no data to train on: {0}")]
    NoData(String),

    #[error("interrupted; run the same command again, it goes on where it stopped")]
    Interrupted,
}

/// `Result` with this crate's [`Error`].
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: names the action (a gerund, "writing") and the path of a failed file operation.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

fn io_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind::*;
    match error.kind() {
        StorageFull | QuotaExceeded => "; free some space, or set UNISONO_CACHE to a folder on a larger disk",
        PermissionDenied | ReadOnlyFilesystem => {
            "; make it writable, or set UNISONO_CACHE to a folder you own (the checkout's .cargo folder must be writable too)"
        }
        NotFound | AlreadyExists | NotADirectory => {
            "; check the path (UNISONO_CACHE, if you set it) and what stands in its way"
        }
        _ => "; run the command again",
    }
}

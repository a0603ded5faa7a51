//! A folder for readers that take a path: one a process, in memory where the system has such.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The process's folder.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a temporary folder").keep()
    })
}

//! The bytes as a file, for readers that take a path: one folder a process, in memory where the system has such.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The process's folder.
#[allow(dead_code)]
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a temporary folder").keep()
    })
}

/// `bytes` in a file of this name.
#[allow(dead_code)]
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

//! Whether a file is still the same.

use std::path::Path;
use std::time::SystemTime;

/// What tells that a file is still the same: its length, when it was written, and, where the system has them, its number and when that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    written: SystemTime,
    number: (u64, u64, i64, i64),
}

impl Stamp {
    /// The file's as it is now; `None` where the system does not tell.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let meta = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let number = {
            use std::os::unix::fs::MetadataExt;
            (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec())
        };
        #[cfg(not(unix))]
        let number = (0, 0, 0, 0);
        Some(Self { bytes: meta.len(), written: meta.modified().ok()?, number })
    }
}

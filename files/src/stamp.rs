//! Whether a file is still the same.

use std::fmt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What tells that a file is still the same: its length, when it was written, and, where the system has them, its number and when that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    bytes: u64,
    written: SystemTime,
    number: (u64, u64, i64, i64),
}

impl Stamp {
    /// Its length, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The file's as it is now; `None` where there is none, or the system does not tell.
    pub fn of(path: &Path) -> Option<Self> {
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

impl fmt::Display for Stamp {
    /// Length and time, as a job's record remembers them: a file that was copied back is the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.written.duration_since(UNIX_EPOCH).unwrap_or_default();
        write!(f, "{}@{}.{:09}", self.bytes, time.as_secs(), time.subsec_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn a_file_that_changed_has_another_stamp() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        assert_eq!(Stamp::of(&path), None);
        let write = |text: &str, seconds: u64| {
            fs::write(&path, text).unwrap();
            let time = UNIX_EPOCH + Duration::new(seconds, 7);
            fs::File::options().append(true).open(&path).unwrap().set_modified(time).unwrap();
            Stamp::of(&path).unwrap()
        };
        let first = write("abc", 5);
        assert_eq!(Stamp::of(&path), Some(first));
        assert_eq!(first.to_string(), "3@5.000000007");
        assert_eq!(write("abcd", 5).to_string(), "4@5.000000007");
        assert_eq!(write("abc", 6).to_string(), "3@6.000000007");
        // Another file under the name, of the same length and time: its words are the same, it is not.
        fs::write(dir.path().join("b"), "xyz").unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(UNIX_EPOCH + Duration::new(5, 7))
            .unwrap();
        let other = Stamp::of(&path).unwrap();
        assert_eq!(other.to_string(), first.to_string());
        #[cfg(unix)]
        assert_ne!(other, first);
    }
}

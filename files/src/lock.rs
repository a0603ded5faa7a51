//! One writer an output: a lock that the system lets go when its process ends, however that ends.

use crate::folder::parent;
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The right to write an output, until it is dropped. It is `flock` on an empty hidden file beside the output, `.NAME.lock`, which is removed
/// with the lock; one that a killed process left behind is simply taken.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock on `out`, a file or a folder, whether it is there or not. The folder around it must be there.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process, or this one, has it; [`Error::Io`] when its folder cannot be written.
    pub fn take(out: &Path) -> Result<Self> {
        // `a/` and `a` are one output.
        let out: PathBuf = out.components().collect();
        let name = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let path = parent(&out).join(format!(".{name}.lock"));
        // The holder removes the file before it lets go: what was opened may be gone from its name when the lock is had. Then again.
        for _ in 0..100 {
            let file = open(&path).map_err(Error::io(&out, "write"))?;
            match file.try_lock() {
                Ok(()) if still_there(&file, &path) => {
                    let mut lock = Self { file, path };
                    // Who it is helps a reader only.
                    let _ = lock.file.set_len(0).and_then(|()| write!(lock.file, "{}", std::process::id()));
                    return Ok(lock);
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { holder: holder(file), path: out });
                }
                Err(TryLockError::Error(e)) => return Err(Error::io(&out, "lock")(e)),
            }
        }
        Err(Error::Locked { holder: "unknown".into(), path: out })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held, nobody else can have put another file there.
        let _ = fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    // Never through a link that another user laid, never into a pipe.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32,
    );
    options.open(path)
}

#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(held), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}
#[cfg(not(unix))]
fn still_there(_: &File, path: &Path) -> bool {
    path.exists()
}

fn holder(file: File) -> String {
    let mut text = String::new();
    // It may be about to write it.
    let _ = file.take(20).read_to_string(&mut text);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) { text } else { "unknown".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("v.npy");
        let first = Lock::take(&out).unwrap();
        let said = Lock::take(&dir.path().join("v.npy/")).unwrap_err().to_string();
        assert!(said.contains(&format!("another run (process {})", std::process::id())), "{said}");
        let other = Lock::take(&dir.path().join("w.npy")).unwrap();
        drop((first, other));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        // A killed process's file is no lock.
        fs::write(dir.path().join(".v.npy.lock"), "1").unwrap();
        drop(Lock::take(&out).unwrap());
        assert!(Lock::take(&dir.path().join("none/v.npy")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        fs::write(&target, "another's").unwrap();
        std::os::unix::fs::symlink(&target, dir.path().join(".v.npy.lock")).unwrap();
        assert!(Lock::take(&dir.path().join("v.npy")).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "another's");
    }
}

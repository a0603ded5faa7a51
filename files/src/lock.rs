//! One writer an output: a lock that the system lets go when its process ends, however that ends.

use crate::alive::Alive;
use crate::folder::real_folder;
use crate::name::short_sum;
use crate::temporary::parent;
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// The right to write an output, until it is dropped. It is `flock` on an empty hidden file, which is removed with the lock; one that a killed
/// process left behind is simply taken.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// Folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    /// An end without destructors removes the file, too.
    _alive: Alive,
}

impl Lock {
    /// Takes the lock on `out`, a file, or a folder that is replaced as a whole, whether it is there or not: `.NAME.lock` beside it. The folder around
    /// it must be there.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process, or this one, has it; [`Error::Io`] when its folder cannot be written.
    pub fn take(out: &Path) -> Result<Self> {
        let out = if out.is_dir() {
            fs::canonicalize(out).unwrap_or_else(|_| real_folder(out))
        } else {
            real_folder(out)
        };
        let name = out.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // A name of the longest that a file system takes has no room for more letters.
        let name = if name.len() > 200 { short_sum(name.as_bytes()) } else { name };
        at(parent(&out).join(format!(".{name}.lock")), &out)
    }

    /// [`Lock::take`] that makes the folders around `out` first. Those that are still empty when the lock is dropped, because the work failed, vanish
    /// again.
    ///
    /// # Errors
    /// As [`Lock::take`]; [`Error::Io`] when a folder cannot be made.
    pub fn make(out: &Path) -> Result<Self> {
        let made = Folders::make(parent(&real_folder(out)))?;
        let mut lock = Self::take(out)?;
        lock.made = made.kept();
        Ok(lock)
    }

    /// Takes the lock on a folder that is filled file by file, and makes it where it is missing: `.unisono.lock` in it. Folders that were made and are
    /// still empty when the lock is dropped vanish again.
    ///
    /// # Errors
    /// As [`Lock::make`].
    pub fn within(folder: &Path) -> Result<Self> {
        let made = Folders::make(folder)?;
        let mut lock = at(folder.join(".unisono.lock"), folder)?;
        lock.made = made.kept();
        Ok(lock)
    }
}

/// Folders that were made; dropped, those that are empty vanish.
struct Folders(Vec<PathBuf>);

impl Folders {
    fn make(folder: &Path) -> Result<Self> {
        let missing = folder.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists());
        let made = Self(missing.map(Path::to_owned).collect());
        fs::create_dir_all(folder).map_err(Error::io(folder, "create"))?;
        Ok(made)
    }

    fn kept(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        remove_empty(&self.0);
    }
}

/// A folder that holds something is not removed, and so none around it.
fn remove_empty(folders: &[PathBuf]) {
    for folder in folders {
        if fs::remove_dir(folder).is_err_and(|e| e.kind() != ErrorKind::NotFound) {
            break;
        }
    }
}

/// The lock at `path`, on `out`.
fn at(path: PathBuf, out: &Path) -> Result<Lock> {
    let locked = |holder| Error::Locked { holder, path: out.to_owned() };
    // The holder removes the file before it lets go: what was opened may be gone from its name when the lock is had. Then again.
    for _ in 0..100 {
        let file = open(&path).map_err(Error::io(out, "write"))?;
        match file.try_lock().or_else(without_locks) {
            Ok(()) if still_there(&file, &path) => {
                let _alive = Alive::new(&path);
                let mut lock = Lock { file, path, made: Vec::new(), _alive };
                // Who it is helps a reader only.
                let _ = lock.file.set_len(0).and_then(|()| write!(lock.file, "{}", std::process::id()));
                return Ok(lock);
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(holder(file))),
            Err(TryLockError::Error(e)) => return Err(Error::io(out, "lock")(e)),
        }
    }
    Err(locked("unknown".into()))
}

/// On file systems that know no locks (some that are mounted over a network) work goes on without one.
fn without_locks(error: TryLockError) -> std::result::Result<(), TryLockError> {
    match error {
        TryLockError::Error(e) if e.kind() == ErrorKind::Unsupported || is_no_lock(&e) => Ok(()),
        error => Err(error),
    }
}

#[cfg(unix)]
fn is_no_lock(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let known = [Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
    error.raw_os_error().is_some_and(|code| known.iter().any(|errno| errno.raw_os_error() == code))
}
#[cfg(not(unix))]
fn is_no_lock(_: &std::io::Error) -> bool {
    false
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held, nobody else can have put another file there.
        let _ = fs::remove_file(&self.path);
        remove_empty(&self.made);
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    flags(&mut options);
    match options.open(path) {
        // Another user's, in a folder that is shared: it can be waited for, though not written to.
        Err(e) if e.kind() == ErrorKind::PermissionDenied && path.is_file() => {
            let mut reading = OpenOptions::new();
            reading.read(true);
            flags(&mut reading);
            reading.open(path)
        }
        opened => opened,
    }
}

/// Never through a link that another user laid, never into a pipe.
#[cfg(unix)]
fn flags(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        options,
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32,
    );
}
#[cfg(not(unix))]
fn flags(_: &mut OpenOptions) {}

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

    #[test]
    fn folders_that_stay_empty_vanish_again() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b/v.npy");
        drop(Lock::make(&out).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let lock = Lock::make(&out).unwrap();
        assert!(Lock::make(&out).is_err());
        fs::write(&out, "").unwrap();
        drop(lock);
        assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
        let folder = dir.path().join("c/d");
        let lock = Lock::within(&folder).unwrap();
        assert!(matches!(Lock::within(&folder), Err(Error::Locked { .. })));
        drop(lock);
        assert!(!dir.path().join("c").exists());
    }

    #[test]
    fn the_longest_names_are_locked_too() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("n".repeat(255));
        let _held = Lock::take(&out).unwrap();
        assert!(Lock::take(&out).is_err());
        assert!(Lock::take(&dir.path().join("n".repeat(254))).is_ok());
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

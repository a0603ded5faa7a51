//! The one atomic writer.

use crate::alive::Alive;
use crate::temporary::{PREFIX, SUFFIX, open_to_all, parent, sync_folder};
use crate::{Error, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile};

/// A file written beside its final place; it vanishes unless it is [put in place](Pending::place).
#[derive(Debug)]
pub struct Pending {
    file: NamedTempFile,
    path: PathBuf,
    alive: Alive,
}

impl Pending {
    /// An empty file beside `path`, to be filled bit by bit, under a random name that was free (`O_EXCL`: no link is followed).
    ///
    /// # Errors
    /// [`Error::Io`]: the folder is missing or not writable.
    pub fn begin(path: &Path) -> Result<Self> {
        let mut builder = Builder::new();
        builder.prefix(PREFIX).suffix(SUFFIX);
        open_to_all(&mut builder, 0o666);
        let file = builder.tempfile_in(parent(path)).map_err(Error::io(path, "write"))?;
        let alive = Alive::new(file.path());
        Ok(Self { file, path: path.to_owned(), alive })
    }

    /// Writes the whole file beside `path`, as [`begin`](Self::begin), and flushes it to the disk.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), or no space is left; nothing stays behind.
    pub fn write(
        path: &Path,
        write: impl FnOnce(&mut (dyn Write + Send)) -> std::io::Result<()>,
    ) -> Result<Self> {
        let mut pending = Self::begin(path)?;
        let mut out = BufWriter::new(pending.file());
        write(&mut out).and_then(|()| out.flush()).map_err(Error::io(path, "write"))?;
        drop(out);
        pending.sync()?;
        Ok(pending)
    }

    /// The file, while it has no name of its own.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Flushes it to the disk.
    ///
    /// # Errors
    /// [`Error::Io`]: no space is left.
    pub fn sync(&self) -> Result<()> {
        self.file.as_file().sync_all().map_err(Error::io(&self.path, "write"))
    }

    /// Gives the file its name, replacing an older file (a link is replaced, not followed), and makes that durable.
    ///
    /// # Errors
    /// [`Error::Io`]: a folder stands there.
    pub fn place(self) -> Result<()> {
        self.file.persist(&self.path).map_err(|e| Error::io(&self.path, "write")(e.error))?;
        drop(self.alive);
        sync_folder(parent(&self.path));
        Ok(())
    }
}

/// Writes a file: `path` holds all of it, or what it held before.
///
/// # Errors
/// As [`Pending::write`] and [`Pending::place`].
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    Pending::write(path, |w| write(w))?.place()
}

/// [`std::fs::write`], atomically.
///
/// # Errors
/// As [`write_atomic`].
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_atomic(path, |w| w.write_all(bytes.as_ref()))
}

/// Writes `value` as indented JSON and a newline, atomically.
///
/// # Errors
/// As [`write_atomic`], or [`Error::Format`] for a value that JSON cannot say.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value).map_err(|e| Error::format(path, e.to_string()))?;
    text.push('\n');
    write_atomic(path, |w| w.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_fails_leaves_nothing_and_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let full = |w: &mut dyn Write| {
            w.write_all(b"half")?;
            Err(std::io::Error::other("no space left"))
        };
        assert!(Pending::write(&path, |w| full(w)).unwrap_err().to_string().contains("no space left"));
        drop(Pending::write(&path, |w| w.write_all(b"never placed")).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        write_atomic(&path, |w| w.write_all(b"whole")).unwrap();
        assert!(write_atomic(&path, full).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let error = write_atomic(Path::new("/nonexistent/folder/a"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/folder/a: cannot write: "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_replaced_and_its_target_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        fs::write(&target, "another's").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_json(&link, &[1]).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "another's");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }
}

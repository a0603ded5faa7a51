//! Files and folders that appear whole under their names, or not at all.

use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::{Builder, NamedTempFile, TempDir};

/// What the umask grants, as any new file or folder: temporary ones are private by default.
#[cfg(unix)]
fn open_to_all(builder: &mut Builder, mode: u32) {
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
}
#[cfg(not(unix))]
fn open_to_all(_: &mut Builder, _: u32) {}

/// The folder that `path` lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file written beside its final place; it vanishes unless it is [put in place](Pending::place).
pub(crate) struct Pending {
    file: NamedTempFile,
    path: PathBuf,
}

impl Pending {
    /// Writes the whole file beside `path` and flushes it to the disk.
    ///
    /// # Errors
    /// The folder is missing or not writable, or no space is left.
    pub(crate) fn write(
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<Self> {
        let mut builder = Builder::new();
        builder.prefix(".unisono-").suffix(".tmp");
        open_to_all(&mut builder, 0o666);
        let file = builder.tempfile_in(parent(path)).map_err(Error::io(path, "write"))?;
        let mut out = BufWriter::new(file);
        write(&mut out).map_err(Error::io(path, "write"))?;
        let file = out.into_inner().map_err(|e| Error::io(path, "write")(e.into_error()))?;
        file.as_file().sync_all().map_err(Error::io(path, "write"))?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Gives the file its name, replacing an older one.
    ///
    /// # Errors
    /// A folder stands there.
    pub(crate) fn place(self) -> Result<()> {
        self.file.persist(&self.path).map_err(|e| Error::io(&self.path, "write")(e.error)).map(drop)
    }
}

/// An empty folder beside `path`; it vanishes unless it is moved away.
///
/// # Errors
/// The parent cannot be made or written.
pub(crate) fn folder_beside(path: &Path) -> Result<TempDir> {
    let parent = parent(path);
    fs::create_dir_all(parent).map_err(Error::io(parent, "create"))?;
    let mut builder = Builder::new();
    builder.prefix(".unisono-").suffix(".tmp");
    open_to_all(&mut builder, 0o777);
    builder.tempdir_in(parent).map_err(Error::io(path, "write"))
}

/// Gives a finished folder its name; what stood there before is moved aside first and deleted last, and comes back when the
/// move fails.
///
/// # Errors
/// The system refuses to rename.
pub(crate) fn place_folder(new: TempDir, path: &Path) -> Result<()> {
    let old = if path.exists() {
        let aside = folder_beside(path)?;
        let kept = aside.path().join("old");
        fs::rename(path, &kept).map_err(Error::io(path, "replace"))?;
        Some((aside, kept))
    } else {
        None
    };
    if let Err(e) = fs::rename(new.path(), path) {
        if let Some((_, kept)) = &old {
            // Best effort: the rename's own error is the one to report.
            let _ = fs::rename(kept, path);
        }
        return Err(Error::io(path, "write")(e));
    }
    // It has moved: nothing is left to delete under its temporary name.
    drop(new.keep());
    sync_folder(parent(path));
    Ok(())
}

/// Makes a rename durable where the system can; a failure costs durability only, not correctness.
fn sync_folder(folder: &Path) {
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let full = |w: &mut dyn Write| {
            w.write_all(b"half")?;
            Err(std::io::Error::other("no space left"))
        };
        assert!(Pending::write(&path, full).err().unwrap().to_string().contains("no space left"));
        drop(Pending::write(&path, |w| w.write_all(b"never placed")).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        Pending::write(&path, |w| w.write_all(b"whole")).unwrap().place().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn folders_replace_each_other_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for text in ["one", "two"] {
            let new = folder_beside(&path).unwrap();
            fs::write(new.path().join("f"), text).unwrap();
            place_folder(new, &path).unwrap();
            assert_eq!(fs::read_to_string(path.join("f")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

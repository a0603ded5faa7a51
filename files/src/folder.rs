//! Folders that appear whole under their names, or not at all.

use crate::alive;
use crate::write::open_to_all;
use crate::{Error, Result};
use std::fs::{self, File};
use std::path::Path;
use tempfile::{Builder, TempDir};

/// The folder that `path` lies in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// An empty folder beside `path`, of a random name; it vanishes unless it is moved away.
///
/// # Errors
/// [`Error::Io`]: the parent cannot be made or written.
pub fn folder_beside(path: &Path) -> Result<TempDir> {
    let parent = parent(path);
    fs::create_dir_all(parent).map_err(Error::io(parent, "create"))?;
    let mut builder = Builder::new();
    builder.prefix(".unisono-").suffix(".tmp");
    open_to_all(&mut builder, 0o777);
    let folder = builder.tempdir_in(parent).map_err(Error::io(path, "write"))?;
    alive::folder(folder.path());
    Ok(folder)
}

/// Gives a finished folder its name; what stood there before is moved aside first and deleted last, and comes back when the
/// move fails. Whether it may be replaced at all is the caller's to know.
///
/// # Errors
/// [`Error::Io`]: the system refuses to rename.
pub fn place_folder(new: TempDir, path: &Path) -> Result<()> {
    let placing = alive::placing();
    let old = if path.exists() {
        let aside = folder_beside(path)?;
        // It will hold what stood there: no end of the process may delete that.
        alive::keep(aside.path());
        let kept = aside.path().join("old");
        fs::rename(path, &kept).map_err(Error::io(path, "replace"))?;
        Some((aside, kept))
    } else {
        None
    };
    if let Err(e) = fs::rename(new.path(), path) {
        if let Some((aside, kept)) = old
            && fs::rename(&kept, path).is_err()
        {
            // It could not go back: it stays where it is, the only copy is not deleted.
            let kept = aside.keep().join("old");
            let message = format!("cannot write: {e}; what stood there is kept in {}", kept.display());
            return Err(Error::format(path, message));
        }
        return Err(Error::io(path, "write")(e));
    }
    drop(placing);
    // It has moved: nothing is left to delete under its temporary name.
    drop(new.keep());
    sync_folder(parent(path));
    Ok(())
}

/// Makes a rename durable where the system can; a failure costs durability only, not correctness.
pub(crate) fn sync_folder(folder: &Path) {
    if let Ok(handle) = File::open(folder) {
        let _ = handle.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Folders that appear whole under their names, or not at all.

use crate::alive;
use crate::temporary::{PREFIX, SUFFIX, open_to_all, parent, sync_folder};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::{Builder, TempDir};

/// Where a folder really is: an output that is a link to a folder means that folder, and `.` has a name, too.
pub fn real_folder(path: &Path) -> PathBuf {
    let unnamed = path.is_symlink() || path.file_name().is_none();
    let real = if unnamed && path.is_dir() { fs::canonicalize(path).ok() } else { None };
    // `a/` and `a` are one output.
    real.unwrap_or_else(|| path.components().collect())
}

/// An empty folder beside `path`, of a random name; it vanishes unless it is moved away.
///
/// # Errors
/// [`Error::Io`]: the parent cannot be made or written.
pub fn folder_beside(path: &Path) -> Result<TempDir> {
    let parent = parent(path);
    fs::create_dir_all(parent).map_err(Error::io(parent, "create"))?;
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
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
    replace_folder(new, path, |_| true).map(drop)
}

/// [`place_folder`] that looks at what it has replaced before it deletes that: a folder that `ours` does not accept (somebody put a file into it
/// meanwhile) is kept beside, as `NAME.kept`, whose path is returned.
///
/// # Errors
/// As [`place_folder`].
pub fn replace_folder(new: TempDir, path: &Path, ours: impl Fn(&Path) -> bool) -> Result<Option<PathBuf>> {
    // What the new folder's temporary name, or another one, holds from here on is what stood there: no end of the process may delete that.
    let placing = alive::placing();
    alive::keep(new.path());
    // The two change places at once where the system can: there is no moment without a folder of that name.
    let old = match exchange(new.path(), path) {
        Ok(()) => Some(new),
        Err(_) => by_two_renames(new, path)?,
    };
    drop(placing);
    sync_folder(parent(path));
    let Some(old) = old else { return Ok(None) };
    if ours(old.path()) {
        return Ok(None);
    }
    let kept = (1..)
        .map(|n| {
            let mut name = path.as_os_str().to_owned();
            name.push(if n == 1 { ".kept".to_owned() } else { format!(".kept{n}") });
            PathBuf::from(name)
        })
        .find(|p| fs::symlink_metadata(p).is_err())
        .unwrap_or_else(|| path.with_extension("kept"));
    fs::rename(old.path(), &kept).map_err(|e| Error::io(&kept, "write")(e))?;
    drop(old.keep());
    Ok(Some(kept))
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange(a: &Path, b: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

/// Where nothing stands at `path`, or folders cannot change places: the old one, if any, under a temporary name.
fn by_two_renames(new: TempDir, path: &Path) -> Result<Option<TempDir>> {
    let old = if fs::symlink_metadata(path).is_ok() {
        let aside = folder_beside(path)?;
        alive::keep(aside.path());
        // A folder may be renamed onto an empty one, so no name stands between.
        fs::rename(path, aside.path()).map_err(Error::io(path, "replace"))?;
        Some(aside)
    } else {
        None
    };
    if let Err(e) = fs::rename(new.path(), path) {
        if let Some(old) = old
            && fs::rename(old.path(), path).is_err()
        {
            // It could not go back: it stays where it is, the only copy is not deleted.
            let message = format!("cannot write: {e}; what stood there is kept in {}", old.keep().display());
            return Err(Error::format(path, message));
        }
        return Err(Error::io(path, "write")(e));
    }
    // It has moved: nothing is left to delete under its temporary name.
    drop(new.keep());
    Ok(old)
}

/// Folders beside `path` that a killed process left under temporary names and that `whole` accepts: the one being replaced when it ended may be the
/// only copy.
pub fn left_beside(path: &Path, whole: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    temporaries(parent(path)).into_iter().filter(|p| p.is_dir() && whole(p)).collect()
}

/// Removes what killed processes left in `folder` under temporary names. Only for a folder whose lock is held: nobody else writes there then.
pub fn sweep(folder: &Path) {
    for path in temporaries(folder) {
        // What cannot be removed does no harm.
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// No links: those are not of our making.
fn temporaries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ours = |name: &str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
    entries
        .filter(|e| e.file_name().to_str().is_some_and(ours) && e.file_type().is_ok_and(|t| !t.is_symlink()))
        .map(|e| e.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &Path, text: &str) -> TempDir {
        let new = folder_beside(path).unwrap();
        fs::write(new.path().join("f"), text).unwrap();
        new
    }

    #[test]
    fn folders_replace_each_other_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for text in ["one", "two"] {
            place_folder(folder(&path, text), &path).unwrap();
            assert_eq!(fs::read_to_string(path.join("f")).unwrap(), text);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // The way of systems that cannot exchange two names.
        drop(by_two_renames(folder(&path, "three"), &path).unwrap());
        assert_eq!(fs::read_to_string(path.join("f")).unwrap(), "three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_not_ours_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (text, kept) in [("one", None), ("two", Some("x.kept")), ("three", Some("x.kept2"))] {
            let found = replace_folder(folder(&path, text), &path, |_| false).unwrap();
            assert_eq!(found, kept.map(|name| dir.path().join(name)));
        }
        assert_eq!(fs::read_to_string(dir.path().join("x.kept/f")).unwrap(), "one");
        assert_eq!(fs::read_to_string(path.join("f")).unwrap(), "three");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn leftovers_are_found_and_swept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last");
        let left = folder(&path, "one").keep();
        fs::write(dir.path().join(".unisono-abc.tmp"), "half").unwrap();
        fs::write(dir.path().join("notes.tmp"), "a user's").unwrap();
        assert_eq!(left_beside(&path, |p| p.join("f").exists()), [left]);
        assert!(left_beside(&path, |p| p.join("g").exists()).is_empty());
        sweep(dir.path());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_means_that_folder() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().canonicalize().unwrap().join("real");
        fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(real_folder(&link), real);
        assert_eq!(real_folder(&real.join("..")), real.parent().unwrap());
        assert_eq!(real_folder(&dir.path().join("none/")), dir.path().join("none"));
    }
}

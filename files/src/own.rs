//! A job's own state: files and folders that keep their names between runs, in folders that others may write to.

use crate::temporary::{parent, sync_folder};
use crate::{Error, Result};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::Path;

/// Opens a file of our own to read and append, or makes it. A link, a folder, a pipe or a file of another user under that name is refused: a name
/// that can be guessed may have been laid there.
///
/// # Errors
/// [`Error::Io`], [`Error::NotRegular`], [`Error::NotOurs`].
pub fn open_own(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    open(path, options)
}

/// [`open_own`] to write anywhere in the file, which must be there.
///
/// # Errors
/// As [`open_own`].
pub fn rewrite_own(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    open(path, options)
}

fn open(path: &Path, mut options: OpenOptions) -> Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32,
    );
    let file = options.open(path).map_err(|e| match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => Error::not_regular(path, meta.file_type()),
        _ => Error::io(path, "write")(e),
    })?;
    let meta = file.metadata().map_err(Error::io(path, "read"))?;
    if !meta.is_file() {
        return Err(Error::not_regular(path, meta.file_type()));
    }
    ours(path, &meta)?;
    Ok(file)
}

/// A folder of our own, made with those above it where it is missing. A link or a folder of another user under that name is refused.
///
/// # Errors
/// As [`open_own`].
pub fn own_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(parent(path)).map_err(Error::io(parent(path), "create"))?;
    match fs::create_dir(path) {
        Ok(()) => return Ok(()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        Err(e) => return Err(Error::io(path, "create")(e)),
    }
    let meta = fs::symlink_metadata(path).map_err(Error::io(path, "read"))?;
    if !meta.is_dir() {
        return Err(Error::format(path, "expected a folder of this program's own, found something else"));
    }
    ours(path, &meta)
}

/// Whether what has this metadata belongs to whoever we are: to whom a new file beside it belongs, which also holds on file systems that give every
/// file to somebody else.
#[cfg(unix)]
fn ours(path: &Path, meta: &Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let probe = tempfile::tempfile_in(parent(path)).map_err(Error::io(path, "write"))?;
    let us = probe.metadata().map_err(Error::io(path, "read"))?.uid();
    if meta.uid() == us {
        return Ok(());
    }
    Err(Error::NotOurs { path: path.to_owned(), owner: meta.uid() })
}
#[cfg(not(unix))]
fn ours(_: &Path, _: &Metadata) -> Result<()> {
    Ok(())
}

/// Gives a file of our own, which is on the disk, its final name, replacing an older file (a link is replaced, not followed), and makes that durable.
///
/// # Errors
/// [`Error::Io`]: a folder stands there.
pub fn move_own(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(Error::io(to, "write"))?;
    sync_folder(parent(to));
    Ok(())
}

/// Refuses a folder that holds anything but what `known` accepts by name: such a folder is not replaced, and what lies in it not deleted.
///
/// # Errors
/// [`Error::Foreign`] names the first other file; [`Error::Io`].
pub fn only_holds(folder: &Path, known: impl Fn(&str) -> bool) -> Result<()> {
    let mut others = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(folder, "read"))? {
        let name = entry.map_err(Error::io(folder, "read"))?.file_name();
        if !name.to_str().is_some_and(&known) {
            others.push(name);
        }
    }
    // The same one each time, whatever the file system's order.
    match others.into_iter().min() {
        None => Ok(()),
        Some(name) => Err(Error::Foreign {
            path: folder.to_owned(),
            name: name.to_string_lossy().escape_debug().to_string(),
        }),
    }
}

/// Whether a folder is there and empty.
pub fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn state_is_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep/v.npy.partial");
        own_folder(&folder).unwrap();
        own_folder(&folder).unwrap();
        for text in ["a", "b"] {
            open_own(&folder.join("ledger")).unwrap().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(folder.join("ledger")).unwrap(), "ab");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "the probe is gone");
        assert!(open_own(&folder).unwrap_err().to_string().ends_with("found a folder"));
        assert!(own_folder(&folder.join("ledger")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_pipes_are_refused() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("target"), "another's").unwrap();
        symlink(at("target"), at("link")).unwrap();
        assert!(open_own(&at("link")).unwrap_err().to_string().ends_with("found a link"));
        symlink(at("nothing"), at("dangling")).unwrap();
        assert!(open_own(&at("dangling")).is_err());
        assert!(!at("nothing").exists());
        mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(open_own(&at("pipe")).unwrap_err().to_string().ends_with("found a named pipe"));
        fs::create_dir(at("elsewhere")).unwrap();
        symlink(at("elsewhere"), at("folder")).unwrap();
        assert!(own_folder(&at("folder")).is_err());
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "another's");
    }

    #[test]
    fn what_is_foreign_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(is_empty_folder(dir.path()));
        fs::write(dir.path().join("index.json"), "").unwrap();
        let known = |name: &str| name == "index.json";
        only_holds(dir.path(), known).unwrap();
        fs::write(dir.path().join("thesis.odt"), "").unwrap();
        fs::write(dir.path().join("z"), "").unwrap();
        let said = only_holds(dir.path(), known).unwrap_err().to_string();
        assert!(said.contains("holds thesis.odt"), "{said}");
        assert!(!is_empty_folder(dir.path()) && !is_empty_folder(&dir.path().join("none")));
    }
}

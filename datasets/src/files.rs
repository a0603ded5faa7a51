//! Writing files so that a half-written one never stands under its final name.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::limits::Limits;
use crate::{Error, Result};

/// The per-user cache, where downloads and libraries lie: `UNISONO_CACHE`, else `$XDG_CACHE_HOME/unisono`, else `~/.cache/unisono`;
/// absolute where the system can say so. Set-up, which is built before this, decides the same.
pub fn cache_folder() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = set("UNISONO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("unisono")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/unisono")))
        .unwrap_or_else(|| std::env::temp_dir().join("unisono-cache"));
    std::path::absolute(&chosen).unwrap_or(chosen)
}

/// Writes a file through a temporary one beside it, which is flushed to the disk and then renamed.
///
/// # Errors
/// [`Error::Io`] when the folder is missing or cannot be written, or no space is left; the old file, if any, stays and
/// the temporary one is removed.
pub fn write_atomic(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    Ok(unisono_files::write_atomic(path, write)?)
}

/// Opens a media file, which must be a regular one: a pipe would block until somebody writes, a device may have no end.
pub(crate) fn open_media(path: &Path, expected: &str) -> Result<File> {
    crate::address::refuse(path)?;
    unisono_files::open(path).map_err(|e| match e {
        unisono_files::Error::NotRegular { path, found } => Error::media(&path, expected, found),
        other => other.into(),
    })
}

/// Refuses a file that is larger than the limit, without reading it.
pub(crate) fn check_bytes(path: &Path, limits: &Limits) -> Result<()> {
    let bytes = std::fs::metadata(path).map_err(Error::io(path, "read"))?.len();
    if bytes <= limits.max_file_bytes {
        return Ok(());
    }
    Err(Error::Limit {
        path: path.to_path_buf(),
        what: "the file",
        found: format!("{bytes} bytes"),
        limit: format!("{} bytes", limits.max_file_bytes),
        option: "max_file_bytes",
    })
}

/// Reads a whole media file after checking that it is a file, not empty and within the limit.
pub(crate) fn read_media(path: &Path, expected: &str, limits: &Limits) -> Result<Vec<u8>> {
    let file = open_media(path, expected)?;
    let meta = file.metadata().map_err(Error::io(path, "read"))?;
    if meta.len() > limits.max_file_bytes {
        return Err(Error::Limit {
            path: path.to_path_buf(),
            what: "the file",
            found: format!("{} bytes", meta.len()),
            limit: format!("{} bytes", limits.max_file_bytes),
            option: "max_file_bytes",
        });
    }
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // `take`: a file that grows while it is read stays within the limit.
    file.take(limits.max_file_bytes).read_to_end(&mut bytes).map_err(Error::io(path, "read"))?;
    if bytes.is_empty() {
        return Err(Error::media(path, expected, "an empty file"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        write_atomic(&path, |w| w.write_all(b"old")).unwrap();
        let error = write_atomic(&path, |w| {
            w.write_all(b"half")?;
            Err(std::io::Error::other("no space left"))
        })
        .unwrap_err();
        assert!(error.to_string().contains("no space left"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write_atomic(Path::new("/nonexistent/folder/a"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/folder/a: cannot write: "), "{error}");
    }
}

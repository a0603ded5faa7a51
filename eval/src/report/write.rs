//! Writing a page so that no half file ever stands under its name.

use std::path::Path;

use super::{ReportData, render};
use crate::{Error, Result};

/// Renders and writes the report; an older one is replaced only when the new one is whole on disk.
///
/// # Errors
/// The folder cannot be made or written, or space runs out; the older file then stays.
pub fn write(path: impl AsRef<Path>, data: &ReportData) -> Result<()> {
    write_text(path, &render(data))
}

/// Writes any page in the same way.
///
/// # Errors
/// As [`write()`].
pub fn write_text(path: impl AsRef<Path>, text: &str) -> Result<()> {
    let path = path.as_ref();
    let failed = |source| Error::Write { path: path.to_owned(), source };
    // A bare file name has the empty parent: that is the current folder.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let written = unisono_files::write_atomic(path, |w| w.write_all(text.as_bytes()));
    written.map_err(|e| match e {
        unisono_files::Error::Io { source, .. } => failed(source),
        other => failed(std::io::Error::other(other.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/report.html");
        write_text(&path, "first").unwrap();
        write_text(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "second");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_in_the_way_is_one_clear_line() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_text(folder.path(), "x").unwrap_err().to_string();
        assert!(error.contains(&folder.path().display().to_string()) && !error.contains('\n'), "{error}");
        let file = folder.path().join("file");
        write_text(&file, "x").unwrap();
        assert!(write_text(file.join("report.html"), "x").is_err());
    }
}

//! What lies in a folder, in the order of names.

use crate::{Error, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};

/// All files below a folder, by their paths in it (with `/`, whatever the system writes).
///
/// # Errors
/// A folder that cannot be listed, a name that is not UTF-8.
pub(crate) fn list(folder: &Path) -> Result<Vec<Box<str>>> {
    let mut entered = HashSet::new();
    let enter = move |entry: &DirEntry| {
        if entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".") {
            return false;
        }
        // A folder reached by two ways is walked once: links that cross could otherwise multiply without end.
        !entry.file_type().is_dir()
            || std::fs::canonicalize(entry.path()).is_ok_and(|real| entered.insert(real))
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter().filter_entry(enter) {
        let path: PathBuf = match entry {
            Ok(entry) if !entry.file_type().is_file() => continue,
            Ok(entry) => entry.into_path(),
            // A link to a folder above: all that lies there is walked already.
            Err(e) if e.loop_ancestor().is_some() => continue,
            Err(e) => match (e.path().map(Path::to_owned), e.io_error().map(std::io::Error::kind)) {
                // A link to what is gone: whoever opens it says so.
                (Some(path), Some(std::io::ErrorKind::NotFound)) if path != folder => path,
                (path, _) => {
                    let path = path.unwrap_or_else(|| folder.to_owned());
                    return Err(Error::io(&path, "list")(e.into()));
                }
            },
        };
        let within = path.strip_prefix(folder).unwrap_or(&path);
        let text = within.to_str().ok_or_else(|| {
            Error::archive(&path, "expected a name in UTF-8, found other bytes: rename the file")
        })?;
        files.push(text.replace(std::path::MAIN_SEPARATOR, "/").into());
    }
    Ok(files)
}

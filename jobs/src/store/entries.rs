//! What a folder holds.

use crate::{Error, Result};
use std::fs;
use std::path::Path;

/// The names in a folder; none where there is no folder.
pub(super) fn entries(folder: &Path) -> Result<Vec<String>> {
    let read = match fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(Error::io(folder, "read"))?,
    };
    let mut names = Vec::new();
    for entry in read {
        names.extend(entry.map_err(Error::io(folder, "read"))?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

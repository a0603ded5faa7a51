//! Media files: opened where they are regular, read within their limits.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::limits::Limits;
use crate::{Error, Result};

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
    fits(path, std::fs::metadata(path).map_err(Error::io(path, "read"))?.len(), limits)
}

fn fits(path: &Path, bytes: u64, limits: &Limits) -> Result<()> {
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
    fits(path, meta.len(), limits)?;
    let mut bytes = Vec::with_capacity(meta.len() as usize);
    // `take`: a file that grows while it is read stays within the limit.
    file.take(limits.max_file_bytes).read_to_end(&mut bytes).map_err(Error::io(path, "read"))?;
    if bytes.is_empty() {
        return Err(Error::media(path, expected, "an empty file"));
    }
    Ok(bytes)
}

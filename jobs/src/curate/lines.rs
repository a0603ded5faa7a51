//! Annotations as a file that is whole or not there.

use crate::{Error, Result};
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::Path;
use unisono_files::Pending;

/// Writes lines of JSON.
///
/// # Errors
/// Those of `lines`; no space, no permission.
pub(crate) fn write<T: Serialize>(out: &Path, lines: impl Iterator<Item = Result<T>>) -> Result<()> {
    let mut pending = Pending::begin(out)?;
    let mut file = BufWriter::new(pending.file());
    for line in lines {
        let mut bytes = serde_json::to_vec(&line?).map_err(|e| Error::format(out, format!("JSON: {e}")))?;
        bytes.push(b'\n');
        file.write_all(&bytes).map_err(Error::io(out, "write"))?;
    }
    file.flush().map_err(Error::io(out, "write"))?;
    drop(file);
    pending.sync()?;
    Ok(pending.place()?)
}

//! What was measured of records, on the disk until it is written: a hundred million take no memory.

use super::conditions::Measured;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Lines in a file without a name, which goes with this process.
#[derive(Debug)]
pub(super) struct Measures {
    file: BufWriter<File>,
    /// For messages.
    out: PathBuf,
}

impl Measures {
    /// For what is to be written to `out`.
    pub(super) fn begin(out: &Path) -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::io(&std::env::temp_dir(), "write"))?;
        Ok(Self { file: BufWriter::new(file), out: out.to_owned() })
    }

    /// The next.
    pub(super) fn push(&mut self, measured: &Measured) -> Result<()> {
        let mut line =
            serde_json::to_vec(measured).map_err(|e| Error::format(&self.out, format!("JSON: {e}")))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(Error::io(&std::env::temp_dir(), "write"))
    }

    /// All of them again, in their order.
    pub(super) fn read(self) -> Result<impl Iterator<Item = Result<Map<String, Value>>>> {
        let failed = |e: std::io::Error| Error::io(&std::env::temp_dir(), "read")(e);
        let mut file = self.file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let line = line.map_err(failed)?;
            serde_json::from_str(&line).map_err(|e| Error::format(&self.out, format!("JSON: {e}")))
        }))
    }
}

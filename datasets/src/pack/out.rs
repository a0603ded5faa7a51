//! Where a shard is written: a file without a name yet, summed on the way.

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use unisono_files::{Pending, hex};

/// What a shard's writer writes to. It is taken back when the writer is gone.
#[derive(Debug, Clone)]
pub(super) struct Out(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: Pending,
    sum: Sha256,
    bytes: u64,
}

impl Out {
    pub(super) fn begin(path: &Path) -> Result<Self> {
        let file = Pending::begin(path)?;
        Ok(Self(Arc::new(Mutex::new(Inner { file, sum: Sha256::new(), bytes: 0 }))))
    }

    /// Gives the file its name; its bytes and their SHA-256.
    pub(super) fn place(self, path: &Path) -> Result<(u64, String)> {
        let Some(inner) = Arc::into_inner(self.0) else {
            return Err(Error::archive(path, "is still being written"));
        };
        let Inner { file, sum, bytes } = inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        file.sync()?;
        file.place()?;
        Ok((bytes, hex(&sum.finalize())))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let n = inner.file.file().write(bytes)?;
        inner.sum.update(&bytes[..n]);
        inner.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

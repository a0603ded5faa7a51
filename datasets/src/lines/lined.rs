//! A text file as a source.

use super::form::Form;
use super::index::Index;
use super::{LARGE, LONGEST};
use crate::source::{self, Key, Source};
use crate::{Error, Record, Result, position};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Records that lie in a text file, read when they are asked for. The file stays open: one that is replaced meanwhile is still read as it was.
#[derive(Debug)]
pub(crate) struct Lined<F> {
    path: PathBuf,
    file: File,
    /// The file's length and time when it was opened.
    was: (u64, Option<SystemTime>),
    form: F,
    index: Index,
}

impl<F: Form> Lined<F> {
    /// Opens a file, its entries made or found.
    ///
    /// # Errors
    /// It cannot be read, has no record, a broken one where that matters, or two of one id.
    pub fn open(path: &Path, form: F) -> Result<Self> {
        Self::over(path, form, LARGE)
    }

    /// As [`open`](Self::open), with an index file for whatever is larger than `large` bytes.
    pub(crate) fn over(path: &Path, form: F, large: u64) -> Result<Self> {
        let file = unisono_files::open(path)?;
        let was = state(&file.metadata().map_err(Error::io(path, "read"))?);
        let index = Index::open(&file, path, &form, large)?;
        Ok(Self { path: path.into(), file, was, form, index })
    }
}

fn state(meta: &Metadata) -> (u64, Option<SystemTime>) {
    (meta.len(), meta.modified().ok())
}

impl<F: Form> Source for Lined<F> {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.index.len()
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let entry = self.index.entry(index)?.ok_or_else(|| source::missing(&self.path, index))?;
        if state(&self.file.metadata().map_err(Error::io(&self.path, "read"))?) != self.was {
            return Err(Error::archive(&self.path, "the file changed since it was opened: begin anew"));
        }
        let bad =
            |message: String| Error::Manifest { path: self.path.clone(), line: entry.line as usize, message };
        // An index may be a stranger's, too.
        if u64::from(entry.length) > LONGEST {
            return Err(bad(format!("its index gives the line {} bytes: delete the index", entry.length)));
        }
        let mut bytes = vec![0; entry.length as usize];
        position::read(&self.file, &mut bytes, entry.offset).map_err(Error::io(&self.path, "read"))?;
        let record = self.form.record(&bytes, entry.line).map_err(bad)?;
        record.map(Cow::Owned).ok_or_else(|| bad("expected a record, found nothing: delete the index".into()))
    }

    fn key(&self, index: usize) -> Key<'_> {
        self.index.key(index)
    }

    /// SHA-256 over the file's bytes and what is said of its columns: not over where it lies.
    fn sum(&self) -> Result<String> {
        let mut sum = Sha256::new();
        sum.update(self.index.sum());
        sum.update(self.form.identity());
        Ok(sum.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    fn splits(&self) -> BTreeMap<String, usize> {
        self.index.splits()
    }
}

//! What is known beside the data: files of JSON Lines, each line with the id of a record and what is said of it.
//!
//! ```json
//! {"id": "00017/a/000", "split": "val", "lang": "en", "add_text": ["a dog on a beach"], "similarity": 0.31}
//! ```
//!
//! What a line has (`text`, `image`, `audio`, `video`, `start`, `end`, `label`, `group`, `split`, `lang`) replaces the record's own; `add_text` adds captions
//! to those that are there; any other key is kept in [`Record::extra`]. A null or an empty value says nothing. Of several files the later outweighs the
//! earlier. A file of ids keeps the records that it names, in the source's order.
//!
//! Lines are read by position (`lines`). In memory are, for each record that is kept, its number where not all are, six bytes, and four more for each
//! file; while a source is opened, 32 bytes for each line.

mod form;
mod join;

use crate::lines::Lined;
use crate::source::{self, Key, Source};
use crate::{Error, Record, Result};
use form::Said;
use join::{Joined, join};
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Sum;

/// A source with what is known of its records beside it.
#[derive(Debug)]
pub(crate) struct Annotated {
    source: Arc<dyn Source>,
    files: Vec<Lined<Said>>,
    joined: Joined,
}

impl Annotated {
    /// Reads annotations, and of `only` which records are kept.
    ///
    /// # Errors
    /// A file that cannot be read, a line that is broken, an id that stands twice in a file; no record is left.
    pub(crate) fn open(
        source: Arc<dyn Source>,
        annotations: &[PathBuf],
        only: Option<&Path>,
    ) -> Result<Self> {
        let files = annotations
            .iter()
            .map(|path| Lined::open(path, Said::annotations(path)))
            .collect::<Result<Vec<_>>>()?;
        let only = only.map(|path| Lined::open(path, Said::ids(path))).transpose()?;
        let joined = join(&*source, &files, only.as_ref())?;
        Ok(Self { source, files, joined })
    }

    /// The number of a record in the source.
    fn row(&self, index: usize) -> Result<usize> {
        let row = match &self.joined.rows {
            Some(rows) => rows.get(index).map(|row| *row as usize),
            None => Some(index),
        };
        row.ok_or_else(|| source::missing(self.path(), index))
    }
}

/// Some records of a source, by their numbers, as a source of their own.
///
/// # Errors
/// A source of more than 2^32 records.
pub fn subset(source: Arc<dyn Source>, rows: impl IntoIterator<Item = usize>) -> Result<Arc<dyn Source>> {
    join::number(&*source)?;
    let rows = rows.into_iter().map(|row| u32::try_from(row).unwrap_or(u32::MAX)).collect();
    let joined = Joined { rows: Some(rows), ..Joined::default() };
    Ok(Arc::new(Annotated { source, files: Vec::new(), joined }))
}

impl Source for Annotated {
    fn path(&self) -> &Path {
        self.source.path()
    }

    fn len(&self) -> usize {
        self.joined.rows.as_ref().map_or_else(|| self.source.len(), Vec::len)
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let mut record = self.source.record(self.row(index)?)?;
        for (file, lines) in self.files.iter().zip(&self.joined.lines) {
            let Some(line) = lines.get(index).and_then(|line| line.checked_sub(1)) else { continue };
            let said = file.record(line as usize)?.into_owned();
            let id = crate::plain::quoted(&record.id);
            if said.id != record.id {
                let found = crate::plain::quoted(&said.id);
                let message = format!("expected the line of {id}, found that of {found}: begin anew");
                return Err(Error::archive(file.path(), message));
            }
            let wrong = |message| Error::archive(file.path(), format!("the line of {id}: {message}"));
            form::apply(record.to_mut(), said).map_err(wrong)?;
        }
        Ok(record)
    }

    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        self.source.id(self.row(index)?)
    }

    fn key(&self, index: usize) -> Key<'_> {
        let Ok(row) = self.row(index) else { return Key::default() };
        let Joined { changes, splits, langs, .. } = &self.joined;
        let key = self.source.key(row);
        changes.get(index).map_or(key, |change| change.over(key, splits, langs))
    }

    /// Over the source's own sum, the bytes of the annotations, and which records are kept.
    fn sum(&self) -> Result<String> {
        let mut sum = Sum::default();
        sum.part(self.source.sum()?.as_bytes());
        for file in &self.files {
            sum.part(file.sum()?.as_bytes());
        }
        if let Some(rows) = &self.joined.rows {
            rows.iter().for_each(|row| sum.update(&row.to_le_bytes()));
        }
        Ok(sum.letters())
    }

    fn block(&self) -> usize {
        self.source.block()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = self.source.notes();
        notes.extend(self.joined.notes.iter().cloned());
        notes
    }
}

#[cfg(test)]
#[path = "../tests/annotated.rs"]
mod tests;

//! What has records: a manifest in memory today, and whatever holds more of them than memory does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::{Error, Record, Result};

/// What has records, by their numbers from 0. Shared by threads.
pub trait Source: Debug + Send + Sync {
    /// Where they come from, for messages.
    fn path(&self) -> &Path;

    /// How many there are.
    fn len(&self) -> usize;

    /// A record; it may be read from a file for it.
    ///
    /// # Errors
    /// The source cannot be read, or has no such record.
    fn record(&self, index: usize) -> Result<Cow<'_, Record>>;

    /// What decides which parts of the source a record belongs to. Known without reading the record; of a record that is not there nothing
    /// is said.
    fn key(&self, index: usize) -> Key<'_>;

    /// A sum over everything in the records that a training sees: it differs where they do.
    ///
    /// # Errors
    /// The source cannot be read.
    fn sum(&self) -> Result<String>;

    /// None.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of one split, in their order.
    ///
    /// # Errors
    /// The source cannot be read.
    fn records_of(&self, split: &str) -> Result<Vec<Cow<'_, Record>>> {
        (0..self.len()).filter(|i| self.key(*i).split == Some(split)).map(|i| self.record(i)).collect()
    }

    /// How many records each split holds; records without one count under the empty name.
    fn splits(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for index in 0..self.len() {
            *counts.entry(self.key(index).split.unwrap_or_default().to_owned()).or_insert(0) += 1;
        }
        counts
    }
}

/// What decides which parts of a source a record belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Key<'a> {
    /// Its split.
    pub split: Option<&'a str>,
    /// Its language.
    pub lang: Option<&'a str>,
    /// It has a text.
    pub text: bool,
    /// It has an image.
    pub image: bool,
    /// It has an audio file.
    pub audio: bool,
    /// It has a video.
    pub video: bool,
}

impl Record {
    /// What decides which parts of a source it belongs to.
    pub fn part_key(&self) -> Key<'_> {
        Key {
            split: self.split.as_deref(),
            lang: self.lang.as_deref(),
            text: !self.text.is_empty(),
            image: self.image.is_some(),
            audio: !self.audio.is_empty(),
            video: self.video.is_some(),
        }
    }
}

/// Some records of a source, in an order of their own.
#[derive(Debug, Clone)]
pub struct Part {
    source: Arc<dyn Source>,
    rows: Vec<u32>,
}

impl Part {
    /// The records of a source whose keys are `wanted`, in its order.
    ///
    /// # Errors
    /// [`Error::Options`] of a source with more than 2^32 records.
    pub fn of(source: Arc<dyn Source>, wanted: impl Fn(&Key) -> bool) -> Result<Self> {
        let Ok(len) = u32::try_from(source.len()) else {
            let (path, len) = (source.path().display(), source.len());
            return Err(Error::Options(format!("{path}: expected at most 2^32 records, found {len}")));
        };
        let rows = (0..len).filter(|i| wanted(&source.key(*i as usize))).collect();
        Ok(Self { source, rows })
    }

    /// What they are of.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A record by its number in this part.
    ///
    /// # Errors
    /// The source cannot be read, or there is no such record.
    pub fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let row = self.rows.get(index).ok_or_else(|| missing(self.source.path(), index))?;
        self.source.record(*row as usize)
    }

    /// What is known of a record without reading it, by its number in this part.
    pub fn key(&self, index: usize) -> Key<'_> {
        self.rows.get(index).map(|row| self.source.key(*row as usize)).unwrap_or_default()
    }

    /// All of them, in order.
    pub fn records(&self) -> impl Iterator<Item = Result<Cow<'_, Record>>> {
        self.rows.iter().map(|row| self.source.record(*row as usize))
    }
}

/// There is no such record.
pub(crate) fn missing(path: &Path, index: usize) -> Error {
    Error::Options(format!("{}: there is no record of number {index}", path.display()))
}

#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;

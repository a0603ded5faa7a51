//! What has records: a manifest in memory, and whatever holds more of them than memory does ([`crate::open`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::chosen::Chosen;
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

    /// A record's id, without its media and its texts where the source knows it by itself.
    ///
    /// # Errors
    /// The source cannot be read, or has no such record.
    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        Ok(match self.record(index)? {
            Cow::Borrowed(record) => Cow::Borrowed(&record.id),
            Cow::Owned(record) => Cow::Owned(record.id),
        })
    }

    /// What decides which parts of the source a record belongs to. Known without reading the record; of a record that is not there nothing
    /// is said.
    fn key(&self, index: usize) -> Key<'_>;

    /// A sum over everything in the records that a training sees: it differs where they do.
    ///
    /// # Errors
    /// The source cannot be read.
    fn sum(&self) -> Result<String>;

    /// How many records lie together, where reading neighbours costs less than reading as many from all over; 1 where it makes no difference.
    fn block(&self) -> usize {
        1
    }

    /// What should be known of it though it is no error, a line each: what was passed over, what was lost.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

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

/// Some records of a source, in its order.
#[derive(Debug, Clone)]
pub struct Part {
    source: Arc<dyn Source>,
    /// `None`: all of them, which costs nothing however many there are.
    rows: Option<Arc<Chosen>>,
}

impl Part {
    /// All records of a source.
    pub fn all(source: Arc<dyn Source>) -> Self {
        Self { source, rows: None }
    }

    /// The records of a source whose keys are `wanted`, in its order.
    ///
    /// # Errors
    /// [`Error::Options`] of a source with more than 2^32 records, some of which are not wanted.
    pub fn of(source: Arc<dyn Source>, wanted: impl Fn(&Key) -> bool + Sync) -> Result<Self> {
        let len = source.len();
        let Ok(last) = u32::try_from(len) else {
            if (0..len).all(|i| wanted(&source.key(i))) {
                return Ok(Self::all(source));
            }
            let path = source.path().display();
            return Err(Error::Options(format!(
                "{path}: expected at most 2^32 records where only some are used, found {len}"
            )));
        };
        let rows = Chosen::of(last, |i| wanted(&source.key(i as usize)));
        // Where every record is wanted there is nothing to be written down.
        let rows = (rows.len() < len).then(|| Arc::new(rows));
        Ok(Self { source, rows })
    }

    /// What they are of.
    pub fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.source.len(), |rows| rows.len())
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The source's sum, and which of its records these are.
    ///
    /// # Errors
    /// The source cannot be read.
    pub fn sum(&self) -> Result<String> {
        let mut sum = unisono_files::Sum::default();
        sum.part(self.source.sum()?.as_bytes());
        sum.part(&(self.len() as u64).to_le_bytes());
        self.rows.iter().flat_map(|rows| rows.iter()).for_each(|row| sum.update(&row.to_le_bytes()));
        Ok(sum.letters())
    }

    /// The number of a record in its source.
    fn row(&self, index: usize) -> Option<usize> {
        match &self.rows {
            Some(rows) => rows.get(index).map(|row| row as usize),
            None => (index < self.source.len()).then_some(index),
        }
    }

    /// A record by its number in this part.
    ///
    /// # Errors
    /// The source cannot be read, or there is no such record.
    pub fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let row = self.row(index).ok_or_else(|| missing(self.source.path(), index))?;
        self.source.record(row)
    }

    /// A record's id, by its number in this part.
    ///
    /// # Errors
    /// The source cannot be read, or there is no such record.
    pub fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        let row = self.row(index).ok_or_else(|| missing(self.source.path(), index))?;
        self.source.id(row)
    }

    /// What is known of a record without reading it, by its number in this part.
    pub fn key(&self, index: usize) -> Key<'_> {
        self.row(index).map(|row| self.source.key(row)).unwrap_or_default()
    }

    /// All of them, in order.
    pub fn records(&self) -> impl Iterator<Item = Result<Cow<'_, Record>>> {
        (0..self.len()).map(|index| self.record(index))
    }
}

/// There is no such record.
pub(crate) fn missing(path: &Path, index: usize) -> Error {
    Error::Options(format!("{}: there is no record of number {index}", path.display()))
}

#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;

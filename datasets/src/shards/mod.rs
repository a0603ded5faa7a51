//! Tar shards in WebDataset's convention: the members of a record stand one after another and share a name up to its first dot.
//!
//! ```text
//! shard-00000.tar:  000.jpg  000.txt  000.json  |  001.jpg  001.txt  …
//! ```
//!
//! Endings say what a member is (`fields`); JSON holds fields as a manifest's line does. Each shard is gone through once, for an index beside
//! it (`.shard-00000.tar.index`; in the cache where that folder cannot be written), tied to its length and time. From then on records are
//! read by position: opening costs a few small reads a shard, media are parts of the tar file, and no record is in memory.
//!
//! Compressed shards are unpacked once, into the cache.

mod build;
mod class;
pub(crate) mod fields;
mod header;
mod index;
mod listed;
mod names;
mod row;
mod sample;
mod shard;
mod unpack;
mod values;
mod walk;

pub(crate) use listed::is_shard;
pub use names::KeyEnds;
pub(crate) use values::{EXTRA, MEMBERS};

use crate::source::{self, Key, Source};
use crate::{Error, Record, Result, SourceConfig};
use class::Class;
use fields::Fields;
use rayon::prelude::*;
use serde_json::Value;
use shard::{AllClasses, Files, Found, Shard};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use unisono_files::Sum;

/// Shards whose files are kept open.
const OPEN: usize = 32;
/// Notes on shards that are told one by one.
const NOTES: usize = 20;

/// Tar shards, open.
#[derive(Debug)]
pub struct TarShards {
    /// As it was named.
    path: PathBuf,
    shards: Vec<Shard>,
    /// What ids begin with, by the shard.
    stems: Vec<Box<str>>,
    /// The number of each shard's first record, and behind the last.
    starts: Vec<usize>,
    classes: Vec<(Class, u64)>,
    fields: Fields,
    notes: Vec<String>,
    sum: String,
    /// The files of the shards that were read last, the latest at the end.
    open: Mutex<Vec<(usize, Arc<Files>)>>,
}

impl TarShards {
    /// Opens shards; those that have no index get one, several at a time.
    ///
    /// # Errors
    /// A file that is no tar file, a key that stands twice in a shard, no record, no space for what is unpacked.
    pub fn open(paths: &[PathBuf], config: &SourceConfig) -> Result<Self> {
        Self::with_cache(paths, config, &unisono_files::cache_folder().join("shards"))
    }

    /// [`open`](Self::open) with another folder for what does not lie beside the shards.
    fn with_cache(paths: &[PathBuf], config: &SourceConfig, cache: &Path) -> Result<Self> {
        let path = paths.first().cloned().unwrap_or_default();
        if let Some(name) = config.columns.id.0.first() {
            return Err(Error::Options(format!(
                "{}: the ids of tar shards are their keys, found columns.id = {name:?}: leave it out",
                path.display()
            )));
        }
        let names = listed::shards(paths)?;
        let usual = config.columns.is_default() && config.key_ends == KeyEnds::default();
        let own = usual && listed::own(&names);
        let fields = Fields { columns: config.columns.clone(), key_ends: config.key_ends, own };
        let one = |name: &PathBuf| {
            let (tar, word) = unpack::plain(name, config.max_unpacked, cache)?;
            Ok((Shard::open(&tar, &fields, cache)?, word))
        };
        let found: Vec<(Found, Option<String>)> = names.par_iter().map(one).collect::<Result<_>>()?;
        // The packer has seen to it that ids are unique.
        let stems = if own { vec!["".into(); names.len()] } else { listed::stems(&names) };
        let mut all = AllClasses::default();
        let mut sum = Sum::default();
        sum.part(fields.sum().as_bytes());
        let (mut shards, mut starts, mut notes) = (Vec::with_capacity(names.len()), vec![0], Vec::new());
        for ((name, stem), (found, word)) in names.iter().zip(&stems).zip(found) {
            let Found { mut shard, header } = found;
            let notable = word.into_iter().chain(header.notes.iter().cloned());
            notes.extend(notable.map(|note| format!("{}: {note}", name.display())));
            sum.part(stem.as_bytes());
            sum.part(header.sum.as_bytes());
            shard.classes = all.add(&header);
            starts.push(starts[starts.len() - 1] + shard.len());
            shards.push(shard);
        }
        if starts.last() == Some(&0) {
            let why = notes.first().map(|note| format!(" ({note})")).unwrap_or_default();
            let message = format!("expected members such as 000.jpg and 000.txt, found no record{why}");
            return Err(Error::archive(&path, message));
        }
        let more = notes.len().saturating_sub(NOTES);
        notes.truncate(NOTES);
        if more > 0 {
            notes.push(format!("{}: {more} more such notes", path.display()));
        }
        let (classes, sum) = (all.list, sum.letters());
        Ok(Self { path, shards, stems, starts, classes, fields, notes, sum, open: Mutex::default() })
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The shard that a record lies in, and its number there.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let shard = self.starts.partition_point(|start| *start <= index).checked_sub(1)?;
        (shard < self.shards.len()).then(|| (shard, index - self.starts[shard]))
    }

    fn files(&self, shard: usize) -> Result<Arc<Files>> {
        // Nothing in here can stop half-way.
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut open = lock();
            if let Some(at) = open.iter().position(|(n, _)| *n == shard) {
                let held = open.remove(at);
                let files = held.1.clone();
                open.push(held);
                return Ok(files);
            }
        }
        let files = Arc::new(self.shards[shard].files()?);
        let mut open = lock();
        if open.len() >= OPEN {
            open.remove(0);
        }
        open.push((shard, files.clone()));
        Ok(files)
    }
}

impl Source for TarShards {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let (shard, own) = self.place(index).ok_or_else(|| source::missing(&self.path, index))?;
        let (mut record, row) = self.shards[shard].record(&*self.files(shard)?, own, &self.fields)?;
        let stem = &self.stems[shard];
        if !stem.is_empty() {
            record.id = format!("{stem}/{}", row.key);
            record.extra.insert("__key__".into(), Value::from(row.key));
        }
        Ok(Cow::Owned(record))
    }

    /// By the index alone.
    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        let (shard, own) = self.place(index).ok_or_else(|| source::missing(&self.path, index))?;
        let key = self.shards[shard].record_key(&*self.files(shard)?, own)?;
        let stem = &self.stems[shard];
        Ok(Cow::Owned(if stem.is_empty() { key } else { format!("{stem}/{key}") }))
    }

    fn key(&self, index: usize) -> Key<'_> {
        let class = self.place(index).and_then(|(shard, own)| self.shards[shard].class(own));
        class.and_then(|n| self.classes.get(n)).map(|(class, _)| class.key()).unwrap_or_default()
    }

    /// Over the shards' names and their indices' sums: keys, captions, fields, and where members lie; not over media.
    fn sum(&self) -> Result<String> {
        Ok(self.sum.clone())
    }

    fn block(&self) -> usize {
        self.len().div_ceil(self.shards.len().max(1)).max(1)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn splits(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (class, records) in &self.classes {
            *counts.entry(class.split().to_owned()).or_insert(0) += *records as usize;
        }
        counts
    }
}

#[cfg(test)]
#[path = "../tests/tars.rs"]
pub(crate) mod tars;

#[cfg(test)]
#[path = "../tests/shards.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/shards_hostile.rs"]
mod hostile;

//! Files of tables as a source of records.

use super::codes::Codes;
use super::features::{self, Features};
use super::fields::{self, Fields};
use super::folder::{self, Part};
use super::record::Row;
use super::{ids, own, rows};
use crate::arrow::ArrowFile;
use crate::columnar::{Kept, Nulls, Store, Table};
use crate::open::Columns;
use crate::parquet::{Limits, ParquetFile};
use crate::source::{self, Key, Source};
use crate::{Error, Record, Result};
use rayon::prelude::*;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Sum;

/// Bytes of rows that are read together: see [`Source::block`].
const BLOCK: u64 = 8 << 20;

/// Files of tables, one after another.
#[derive(Debug)]
pub(crate) struct Tables {
    path: PathBuf,
    files: Vec<Of>,
    /// The first record of each file, and the end.
    firsts: Vec<u64>,
    notes: Vec<String>,
}

/// A file, and what its columns are.
#[derive(Debug)]
struct Of {
    table: Arc<Table>,
    fields: Arc<Fields>,
    name: String,
    split: Option<String>,
    splits: Option<Codes>,
    langs: Option<Codes>,
    modalities: Option<Codes>,
}

/// Opens Parquet files and folders of them; their footers are read on all cores.
///
/// # Errors
/// A file that cannot be read or is broken, or has not the columns that are told or usual.
pub(crate) fn parquet(paths: &[PathBuf], columns: &Columns, limits: Limits) -> Result<Tables> {
    let parts = folder::parquet_parts(paths)?;
    parts.iter().for_each(|part| rows::allow(&part.path, limits));
    let opened: Vec<Result<ParquetFile>> =
        parts.par_iter().map(|part| ParquetFile::open(&part.path, limits)).collect();
    let mut files: Vec<ParquetFile> = Vec::with_capacity(opened.len());
    for file in opened {
        let mut file = file?;
        if let Some(first) = files.first() {
            file.share(first);
        }
        files.push(file);
    }
    let stores = files.into_iter().map(|file| Box::new(file) as Box<dyn Store>).collect();
    Tables::new(parts, stores, columns)
}

/// Opens what `datasets.save_to_disk` wrote, and single files of it.
///
/// # Errors
/// As [`parquet`].
pub(crate) fn arrow(paths: &[PathBuf], columns: &Columns) -> Result<Tables> {
    let parts = folder::arrow_parts(paths)?;
    let opened: Vec<Result<ArrowFile>> = parts.par_iter().map(|part| ArrowFile::open(&part.path)).collect();
    let stores =
        opened.into_iter().map(|file| Ok(Box::new(file?) as Box<dyn Store>)).collect::<Result<_>>()?;
    Tables::new(parts, stores, columns)
}

impl Tables {
    fn new(parts: Vec<Part>, stores: Vec<Box<dyn Store>>, columns: &Columns) -> Result<Self> {
        let path = parts.first().map(|part| part.path.clone()).unwrap_or_default();
        let (kept, mut notes) = (Arc::<Kept>::default(), Vec::new());
        let (mut files, mut firsts): (Vec<Of>, Vec<u64>) = (Vec::new(), vec![0]);
        let mut before: Option<(Option<String>, Arc<Fields>)> = None;
        for (number, (part, mut store)) in parts.into_iter().zip(stores).enumerate() {
            let json = store.features().map(str::to_owned);
            let alike = files.last().is_some_and(|f| f.table.store().leaves() == store.leaves());
            let fields = match &before {
                Some((same, fields)) if alike && *same == json => fields.clone(),
                _ => {
                    let features = json.as_deref().map(|json| features::parse(store.path(), json));
                    let features: Features = features.unwrap_or_default();
                    let (fields, note) = fields::fields(&*store, &features, columns)?;
                    // Said once, however many files there are.
                    if files.is_empty() {
                        notes.extend(note);
                    }
                    Arc::new(fields)
                }
            };
            before = Some((json, fields.clone()));
            store.keep(&fields.wanted(store.leaves().len()));
            // Records of our own say their splits, or have none, whatever their files are called.
            let split = part.split.filter(|_| fields.own.is_none());
            let table = Arc::new(Table::new(store, number as u32, kept.clone()));
            firsts.push(firsts[number] + table.len());
            let name = part.name;
            files.push(Of { table, fields, name, split, splits: None, langs: None, modalities: None });
        }
        let total = firsts.last().copied().unwrap_or(0);
        if total == 0 {
            return Err(Error::archive(&path, "expected rows, found none"));
        }
        if usize::try_from(total).is_err() {
            return Err(Error::archive(&path, format!("has {total} rows, more than this machine can count")));
        }
        files.par_iter_mut().try_for_each(Of::read_codes)?;
        let source = Self { path, files, firsts, notes };
        ids::unique(source.firsts.last().copied().unwrap_or(0), &|| source.ids())?;
        Ok(source)
    }

    /// The ids that a column tells, each with its file and row.
    fn ids(&self) -> impl Iterator<Item = Result<(&Path, u64, String)>> {
        self.files.iter().filter(|of| of.fields.id.is_some()).flat_map(|of| {
            (0..of.table.len()).map(move |row| Ok((of.table.store().path(), row, of.id(row)?)))
        })
    }

    /// The file of a record, and its row there.
    fn find(&self, index: usize) -> Option<(&Of, u64)> {
        let index = index as u64;
        (index < self.firsts.last().copied()?).then(|| {
            let file = self.firsts.partition_point(|first| *first <= index) - 1;
            (&self.files[file], index - self.firsts[file])
        })
    }
}

impl Of {
    fn read_codes(&mut self) -> Result<()> {
        let read = |leaf: Option<usize>, what| leaf.map(|l| Codes::read(&self.table, l, what)).transpose();
        self.splits = read(self.fields.split, "split")?;
        self.langs = read(self.fields.lang, "lang")?;
        self.modalities = read(self.fields.own.and_then(|own| own.modalities), "modalities")?;
        Ok(())
    }

    fn row(&self, row: u64) -> Row<'_> {
        Row { table: &self.table, fields: &self.fields, row }
    }

    /// What a column says, or where the row is.
    fn id(&self, row: u64) -> Result<String> {
        if self.fields.id.is_none() {
            return Ok(format!("{}/{row}", self.name));
        }
        let missing = || Error::archive(self.table.store().path(), format!("row {row}: has no id"));
        self.row(row).word(self.fields.id)?.ok_or_else(missing)
    }

    fn key(&self, row: u64) -> Key<'_> {
        let Ok((group, at)) = self.table.group(row) else { return Key::default() };
        let there = |leaf: usize| self.table.store().nulls(leaf, group) != Nulls::All;
        let any = |media: &[fields::Media]| {
            media.iter().any(|m| m.bytes.is_some_and(there) || m.path.is_some_and(there))
        };
        let split = self.splits.as_ref().and_then(|s| s.get(group, at)).or(self.split.as_deref());
        let lang = self.langs.as_ref().and_then(|l| l.get(group, at));
        if let Some(word) = self.modalities.as_ref().and_then(|m| m.get(group, at)) {
            return Key { split, lang, ..own::modalities(word) };
        }
        Key {
            split,
            lang,
            text: self.fields.text.iter().any(|leaf| there(*leaf)),
            image: any(&self.fields.image),
            audio: any(&self.fields.audio),
            video: any(&self.fields.video),
        }
    }
}

impl Source for Tables {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> usize {
        self.firsts.last().map_or(0, |n| *n as usize)
    }

    fn record(&self, index: usize) -> Result<Cow<'_, Record>> {
        let (of, row) = self.find(index).ok_or_else(|| source::missing(&self.path, index))?;
        let mut record = of.row(row).record(of.id(row)?)?;
        let key = of.key(row);
        record.split = key.split.map(str::to_owned);
        record.lang = key.lang.map(str::to_owned);
        Ok(Cow::Owned(record))
    }

    /// By the column of ids alone.
    fn id(&self, index: usize) -> Result<Cow<'_, str>> {
        let (of, row) = self.find(index).ok_or_else(|| source::missing(&self.path, index))?;
        of.id(row).map(Cow::Owned)
    }

    /// Where only some rows of a group have a medium or a text, all of them are said to have one: reading them all would be the price of
    /// knowing better. Tables of our own say it of each row.
    fn key(&self, index: usize) -> Key<'_> {
        self.find(index).map(|(of, row)| of.key(row)).unwrap_or_default()
    }

    /// Over the files' names and lengths, where everything lies in them, and which column is what: not over the media themselves.
    fn sum(&self) -> Result<String> {
        let mut sum = Sum::default();
        for of in &self.files {
            let store = of.table.store();
            let fields = format!("{:?}", of.fields);
            let length = store.length().to_le_bytes();
            for part in [of.name.as_bytes(), &length, store.sum().as_bytes(), fields.as_bytes()] {
                sum.part(part);
            }
        }
        Ok(sum.letters())
    }

    /// A group of rows, or of a large one as many rows as make some megabytes: pages are read whole, and those that were read last are kept.
    fn block(&self) -> usize {
        let (mut bytes, mut groups) = (0u64, 0usize);
        for of in &self.files {
            let store = of.table.store();
            bytes = (0..store.leaves().len()).fold(bytes, |sum, leaf| sum.saturating_add(store.weight(leaf)));
            groups += store.groups().len() - 1;
        }
        let each = (bytes / (self.len() as u64).max(1)).max(1);
        let group = self.len().div_ceil(groups.max(1));
        // A small group is often one page, which is read whole.
        let whole = each.saturating_mul(group as u64) <= 4 * BLOCK;
        if whole { group.max(1) } else { ((BLOCK / each) as usize).clamp(1, group.max(1)) }
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

#[cfg(test)]
#[path = "../tests/parquet.rs"]
mod tests;

#[cfg(test)]
#[path = "../tests/parquet_hostile.rs"]
mod hostile_tests;

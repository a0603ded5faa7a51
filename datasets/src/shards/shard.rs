//! One shard: its tar file, and the index that is built where there is none.

use super::build::build;
use super::class::Class;
use super::fields::Fields;
use super::index::{self, Header, Layout};
use super::row::{Part, Row};
use super::sample;
use crate::plain::quoted;
use crate::position;
use crate::{Error, Record, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use unisono_files::{Stamp, short_sum};

/// A shard, not open: a few hundred bytes, however many records it has.
#[derive(Debug)]
pub(super) struct Shard {
    /// The tar file, unpacked.
    path: PathBuf,
    index: PathBuf,
    stamp: Option<Stamp>,
    layout: Layout,
    /// What the shard calls its classes, by numbers in the whole source.
    pub(super) classes: Vec<u32>,
    /// The numbers of its records' classes, where they have several; empty where they cannot be read.
    numbers: OnceLock<Vec<u8>>,
}

/// A shard's files, open.
#[derive(Debug)]
pub(super) struct Files {
    tar: File,
    index: File,
}

/// A shard as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) shard: Shard,
    pub(super) header: Header,
}

/// The stamp of a file that an index belongs to.
fn same(header: &Header, stamp: Option<Stamp>, fields: &str) -> bool {
    header.fields == fields && stamp.is_some_and(|s| s.to_string() == header.stamp)
}

/// Where a shard's index may lie: beside it, or in the cache where its folder cannot be written.
fn places(path: &Path, fields: &str, cache: &Path) -> [PathBuf; 2] {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // What is read otherwise has an index of its own.
    let other = if fields.is_empty() { String::new() } else { format!(".{}", short_sum(fields.as_bytes())) };
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let sum = short_sum(&[whole.as_os_str().as_encoded_bytes(), b"\0", fields.as_bytes()].concat());
    let cached = cache.join(format!("{sum}.index"));
    [path.with_file_name(format!(".{name}{other}.index")), cached]
}

impl Shard {
    /// Opens a tar file's index, or builds it: beside the file, or in the cache where that folder cannot be written.
    ///
    /// # Errors
    /// As [`build`]; neither folder can be written.
    pub(super) fn open(path: &Path, fields: &Fields, cache: &Path) -> Result<Found> {
        let sum = fields.sum();
        let stamp = Stamp::of(path);
        let places = places(path, &sum, cache);
        for place in &places {
            if let Ok(file) = unisono_files::open(place)
                && let Ok(Some((header, layout))) = index::open(&file)
                && same(&header, stamp, &sum)
            {
                return Ok(Self::found(path, place, stamp, header, layout));
            }
        }
        let built = build(path, fields)?;
        let [beside, cached] = &places;
        let place = match built.rows.place(beside, &built.header, &built.numbers) {
            Ok(()) => beside,
            Err(_) => {
                std::fs::create_dir_all(cache).map_err(Error::io(cache, "create"))?;
                built.rows.place(cached, &built.header, &built.numbers)?;
                cached
            }
        };
        let file = unisono_files::open(place)?;
        match index::open(&file).map_err(Error::io(place, "read"))? {
            Some((header, layout)) => Ok(Self::found(path, place, stamp, header, layout)),
            None => Err(Error::archive(
                place,
                "the index that was just written cannot be read: is the disk full?",
            )),
        }
    }

    fn found(path: &Path, index: &Path, stamp: Option<Stamp>, header: Header, layout: Layout) -> Found {
        let shard = Self {
            path: path.to_owned(),
            index: index.to_owned(),
            stamp,
            layout,
            classes: Vec::new(),
            numbers: OnceLock::new(),
        };
        Found { shard, header }
    }

    /// How many records it has.
    pub(super) fn len(&self) -> usize {
        self.layout.records as usize
    }

    /// The number of a record's class in the whole source.
    pub(super) fn class(&self, record: usize) -> Option<usize> {
        let numbers = match self.layout.has_numbers() {
            false => &[][..],
            true => self.numbers.get_or_init(|| {
                let read = File::open(&self.index).and_then(|file| self.layout.class_numbers(&file));
                read.unwrap_or_default()
            }),
        };
        let own = self.layout.class(numbers, record)?;
        self.classes.get(own).map(|n| *n as usize)
    }

    /// Opens its files.
    ///
    /// # Errors
    /// One is gone, or the shard has changed.
    pub(super) fn files(&self) -> Result<Files> {
        let (tar, index) = (unisono_files::open(&self.path)?, unisono_files::open(&self.index)?);
        if Stamp::of(&self.path) != self.stamp {
            return Err(Error::archive(&self.path, "has changed since it was opened: start again"));
        }
        Ok(Files { tar, index })
    }

    /// The key of a record.
    ///
    /// # Errors
    /// The index cannot be read.
    pub(super) fn record_key(&self, files: &Files, record: usize) -> Result<String> {
        Ok(self.layout.row(&files.index, &self.index, record as u64)?.key)
    }

    /// A record, its id the sample's key.
    ///
    /// # Errors
    /// The shard cannot be read; the sample is no record.
    pub(super) fn record(&self, files: &Files, record: usize, fields: &Fields) -> Result<(Record, Row)> {
        let row = self.layout.row(&files.index, &self.index, record as u64)?;
        let mut read = |part: &Part| position::bytes(&files.tar, part.offset, part.length as usize);
        let found = sample::record(&row, &self.path, fields, &mut read);
        match found {
            Ok(record) => Ok((record, row)),
            Err(e) => Err(Error::archive(&self.path, format!("record {}: {e}", quoted(&row.key)))),
        }
    }
}

/// Numbers for classes over all shards.
#[derive(Debug, Default)]
pub(super) struct AllClasses {
    pub(super) list: Vec<(Class, u64)>,
    known: std::collections::HashMap<Class, u32>,
}

impl AllClasses {
    /// Takes over a shard's.
    pub(super) fn add(&mut self, header: &Header) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(header.classes.len());
        for counted in &header.classes {
            let next = self.list.len() as u32;
            let number = *self.known.entry(counted.class.clone()).or_insert(next);
            if number == next {
                self.list.push((counted.class.clone(), 0));
            }
            self.list[number as usize].1 += counted.records;
            numbers.push(number);
        }
        numbers
    }
}

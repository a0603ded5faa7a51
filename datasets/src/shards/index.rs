//! The index of a shard: a file that says where its records lie, so that they are read by position.
//!
//! ```text
//! "unisono tar 1\n"  rows  where each row begins (u64, one more than rows)  classes (0, 1 or 2 bytes a record)  header (JSON)  where it begins (u64)  "unisono\n"
//! ```

use super::class::{self, Counted};
use super::row::Row;
use crate::{Error, Result, position};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use unisono_files::{Budget, Pending};

const HEAD: &[u8] = b"unisono tar 1\n";
const TAIL: &[u8] = b"unisono\n";
/// Longest row that is read: far above 4,096 members with long names.
const LONGEST: u64 = 64 << 20;

/// What an index says of itself and its shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// The shard's length and time when it was read.
    pub(super) stamp: String,
    /// A sum over what decided how it was read.
    pub(super) fields: String,
    /// How many records there are.
    pub(super) records: u64,
    /// What decides which parts they belong to.
    pub(super) classes: Vec<Counted>,
    /// A sum over the records.
    pub(super) sum: String,
    /// What was not read, in lines.
    pub(super) notes: Vec<String>,
}

/// Where the parts of an index lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) records: u64,
    rows_end: u64,
    width: usize,
}

impl Layout {
    fn classes(&self) -> u64 {
        self.rows_end + 8 * (self.records + 1)
    }

    /// The row of a record.
    ///
    /// # Errors
    /// The index is damaged.
    pub(super) fn row(&self, file: &File, path: &Path, record: u64) -> Result<Row> {
        let damaged =
            || Error::archive(path, format!("the row of record {record} is damaged: delete this file"));
        let at = position::bytes(file, self.rows_end + 8 * record, 16).map_err(Error::io(path, "read"))?;
        let number = |from: usize| at[from..from + 8].try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
        let (from, to) = (number(0), number(8));
        let length = to
            .checked_sub(from)
            .filter(|n| *n <= LONGEST && from >= HEAD.len() as u64 && to <= self.rows_end);
        let bytes = position::bytes(file, from, length.ok_or_else(damaged)? as usize);
        Row::read(&bytes.map_err(Error::io(path, "read"))?).ok_or_else(damaged)
    }

    /// The numbers of all records' classes.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn class_numbers(&self, file: &File) -> std::io::Result<Vec<u8>> {
        position::bytes(file, self.classes(), self.width * self.records as usize)
    }

    /// The number of a record's class, in what [`class_numbers`](Self::class_numbers) gave.
    pub(super) fn class(&self, numbers: &[u8], record: usize) -> Option<usize> {
        class::number(numbers, self.width, record)
    }

    /// Whether there are numbers of classes.
    pub(super) fn has_numbers(&self) -> bool {
        self.width > 0
    }
}

/// Reads the header of an index; `None` of what is no whole index of this version.
///
/// # Errors
/// The system's.
pub(super) fn open(file: &File) -> std::io::Result<Option<(Header, Layout)>> {
    let length = file.metadata()?.len();
    let (head, tail) = (HEAD.len() as u64, TAIL.len() as u64 + 8);
    if length < head + tail || position::bytes(file, 0, HEAD.len())? != HEAD {
        return Ok(None);
    }
    let end = position::bytes(file, length - tail, tail as usize)?;
    let (at, mark) = end.split_at(8);
    let header_at = at.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    if mark != TAIL || header_at > length - tail || length - tail - header_at > Budget::CONFIG.bytes {
        return Ok(None);
    }
    let text = position::bytes(file, header_at, (length - tail - header_at) as usize)?;
    let Ok(header) = serde_json::from_slice::<Header>(&text) else { return Ok(None) };
    let counted = header.classes.iter().try_fold(0u64, |sum, c| sum.checked_add(c.records));
    if counted != Some(header.records) || header.classes.len() > class::MOST {
        return Ok(None);
    }
    let width = class::width(header.classes.len());
    let tables = header.records.checked_mul(8 + width as u64).and_then(|n| n.checked_add(8));
    let rows_end = tables.and_then(|n| header_at.checked_sub(n)).filter(|end| *end >= head);
    Ok(rows_end.map(|rows_end| {
        let layout = Layout { records: header.records, rows_end, width };
        (header, layout)
    }))
}

/// An index that is being written, row by row.
#[derive(Debug)]
pub(super) struct Writer {
    rows: Vec<u8>,
    ends: Vec<u64>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { rows: HEAD.to_vec(), ends: vec![HEAD.len() as u64] }
    }

    pub(super) fn push(&mut self, row: &Row) {
        row.write(&mut self.rows);
        self.ends.push(self.rows.len() as u64);
    }

    pub(super) fn records(&self) -> u64 {
        self.ends.len() as u64 - 1
    }

    /// Writes it to `path`, whole or not at all.
    ///
    /// # Errors
    /// No space, a folder that cannot be written.
    pub(super) fn place(&self, path: &Path, header: &Header, numbers: &[u8]) -> Result<()> {
        let mut pending = Pending::begin(path)?;
        let mut out = BufWriter::new(pending.file());
        let write = |out: &mut BufWriter<&mut File>| {
            out.write_all(&self.rows)?;
            self.ends.iter().try_for_each(|end| out.write_all(&end.to_le_bytes()))?;
            out.write_all(numbers)?;
            let header_at = self.rows.len() + 8 * self.ends.len() + numbers.len();
            serde_json::to_writer(&mut *out, header)?;
            out.write_all(&(header_at as u64).to_le_bytes())?;
            out.write_all(TAIL)?;
            out.flush()
        };
        write(&mut out).map_err(Error::io(path, "write"))?;
        drop(out);
        pending.sync()?;
        Ok(pending.place()?)
    }
}

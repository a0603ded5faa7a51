//! The columns of a segment: of every row where its line ends, what it is known by, and its modality. Mapped, so that opening reads none of them.
//!
//! `columns.bin`: eight letters, the number of rows N, then the columns one after another, little-endian: N ends of lines (8 bytes), N keys (16), N
//! contents (16), N sums over what is said (8), N lengths of files (8), N times (8), N modalities (1).

use crate::facts::{Facts, Key};
use crate::{Error, Result};
use memmap2::Mmap;
use std::path::Path;
use unisono_processors::Modality;

/// What the file begins with.
const MAGIC: &[u8; 8] = b"unisono2";
const HEAD: usize = 16;
/// Bytes of each column's values.
const WIDTHS: [usize; 7] = [8, 16, 16, 8, 8, 8, 1];

#[derive(Debug)]
enum Bytes {
    Mapped(Mmap),
    Held(Vec<u8>),
}

/// The columns of N rows.
#[derive(Debug)]
pub(crate) struct Columns {
    bytes: Bytes,
    rows: usize,
}

impl Columns {
    /// Maps the file at `path`, of so many rows.
    ///
    /// # Errors
    /// A file of another length or another kind.
    pub(crate) fn open(path: &Path, rows: usize) -> Result<Self> {
        let file = unisono_files::open(path)?;
        // SAFETY: segments are never written in place; a process that cuts the file all the same would make any reader fault.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
        let expected = rows.checked_mul(WIDTHS.iter().sum()).and_then(|n| n.checked_add(HEAD));
        let head = [&MAGIC[..], &(rows as u64).to_le_bytes()].concat();
        if Some(map.len()) != expected || !map.starts_with(&head) {
            let message = format!(
                "not the columns of {rows} rows: cut or of another segment; `unisono index check` says what to do"
            );
            return Err(Error::format(path, message));
        }
        Ok(Self { bytes: Bytes::Mapped(map), rows })
    }

    /// How many rows.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    fn value<const N: usize>(&self, column: usize, row: usize) -> [u8; N] {
        let bytes: &[u8] = match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Held(bytes) => bytes,
        };
        let before: usize = WIDTHS.iter().take(column).sum();
        let at = HEAD + before * self.rows + N * row;
        bytes.get(at..at + N).and_then(|value| value.try_into().ok()).unwrap_or([0; N])
    }

    /// Where the line of this row ends, behind its line feed.
    pub(crate) fn end(&self, row: usize) -> u64 {
        u64::from_le_bytes(self.value(0, row))
    }

    /// When the file of this row was written.
    pub(crate) fn written(&self, row: usize) -> i64 {
        i64::from_le_bytes(self.value(5, row))
    }

    /// What is remembered of this row.
    pub(crate) fn facts(&self, row: usize) -> Facts {
        Facts {
            key: self.value::<16>(1, row) as Key,
            content: self.value(2, row),
            said: u64::from_le_bytes(self.value(3, row)),
            size: u64::from_le_bytes(self.value(4, row)),
            written: self.written(row),
        }
    }

    /// What this row is; of a number that means none, a text.
    pub(crate) fn modality(&self, row: usize) -> Modality {
        let [number] = self.value::<1>(6, row);
        Modality::ALL.get(usize::from(number)).copied().unwrap_or(Modality::Text)
    }
}

/// Columns that are being made.
#[derive(Debug, Default)]
pub(crate) struct Making {
    columns: [Vec<u8>; 7],
    rows: usize,
}

impl Making {
    pub(crate) fn push(&mut self, end: u64, facts: &Facts, modality: Modality) {
        let number = Modality::ALL.iter().position(|m| *m == modality).unwrap_or_default() as u8;
        let values: [&[u8]; 7] = [
            &end.to_le_bytes(),
            &facts.key,
            &facts.content,
            &facts.said.to_le_bytes(),
            &facts.size.to_le_bytes(),
            &facts.written.to_le_bytes(),
            &[number],
        ];
        self.columns.iter_mut().zip(values).for_each(|(column, value)| column.extend_from_slice(value));
        self.rows += 1;
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// What each row is.
    pub(crate) fn modalities(&self) -> Vec<Modality> {
        let of = |number: &u8| Modality::ALL.get(usize::from(*number)).copied().unwrap_or(Modality::Text);
        self.columns.iter().next_back().into_iter().flatten().map(of).collect()
    }

    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = [&MAGIC[..], &(self.rows as u64).to_le_bytes()].concat();
        self.columns.iter().for_each(|column| bytes.extend_from_slice(column));
        bytes
    }

    /// In memory, for an index of the first format, which has none on the disk.
    pub(crate) fn held(&self) -> Columns {
        Columns { bytes: Bytes::Held(self.bytes()), rows: self.rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("columns.bin");
        let facts = |n: u8| Facts {
            key: [n; 16],
            content: [n + 1; 16],
            said: u64::from(n) << 40,
            size: 7,
            written: -5,
        };
        let mut making = Making::default();
        for (n, modality) in Modality::ALL.into_iter().enumerate() {
            making.push(n as u64 * 10, &facts(n as u8), modality);
        }
        std::fs::write(&path, making.bytes()).unwrap();
        for columns in [Columns::open(&path, 4).unwrap(), making.held()] {
            for (n, modality) in Modality::ALL.into_iter().enumerate() {
                assert_eq!((columns.end(n), columns.modality(n)), (n as u64 * 10, modality));
                assert_eq!(columns.facts(n), facts(n as u8));
            }
            assert_eq!(columns.len(), 4);
        }
        for rows in [0, 3, 5, usize::MAX] {
            let said = Columns::open(&path, rows).unwrap_err().to_string();
            assert!(said.contains("columns.bin") && said.contains("not the columns"), "{said}");
        }
    }
}

//! A file as a table that threads share: pieces of its columns are read when they are asked for, and the last ones kept.

use super::cache::Cache;
use super::{Cut, Leaf, Piece, Slot, Store, Value};
use crate::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use unisono_media::Rows;

/// Memory for pieces, of all tables that share it.
const PIECES: usize = 96 << 20;
/// Memory for how columns are cut.
const CUTS: usize = 16 << 20;

/// Which table, column and group; of a piece also its number.
type Key = (u32, u32, u32, u32);

/// What the tables of a source keep of what they read last.
#[derive(Debug)]
pub(crate) struct Kept {
    cuts: Cache<Key, Cut>,
    pieces: Cache<Key, Piece>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { cuts: Cache::new(CUTS), pieces: Cache::new(PIECES) }
    }
}

/// A file as a table.
#[derive(Debug)]
pub(crate) struct Table {
    store: Box<dyn Store>,
    /// Among those that share what is kept.
    number: u32,
    kept: Arc<Kept>,
}

/// A piece and where in it a row lies.
pub(crate) struct Found {
    piece: Arc<Piece>,
    row: usize,
    full: u8,
}

impl Found {
    /// What the column has in the row: see [`Leaf`].
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot<'_>> {
        self.piece.slots(self.row, self.full)
    }
}

impl Table {
    pub(crate) fn new(store: Box<dyn Store>, number: u32, kept: Arc<Kept>) -> Self {
        Self { store, number, kept }
    }

    /// A table by itself.
    pub(crate) fn alone(store: Box<dyn Store>) -> Self {
        Self::new(store, 0, Arc::default())
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// How many rows it has.
    pub(crate) fn len(&self) -> u64 {
        self.store.groups().last().copied().unwrap_or(0)
    }

    /// The group of a row, and its number there.
    pub(crate) fn group(&self, row: u64) -> Result<(usize, u32)> {
        let groups = self.store.groups();
        if row >= self.len() {
            let message = format!("there is no row {row}, it has {}", self.len());
            return Err(Error::archive(self.store.path(), message));
        }
        let group = groups.partition_point(|first| *first <= row) - 1;
        Ok((group, u32::try_from(row - groups[group]).unwrap_or(u32::MAX)))
    }

    /// What a column has in a row.
    ///
    /// # Errors
    /// The file cannot be read, is not what its head says, or asks for too much.
    pub(crate) fn find(&self, leaf: usize, row: u64) -> Result<Found> {
        let (group, row) = self.group(row)?;
        let store = &*self.store;
        let (of_leaf, of_group) = (leaf as u32, group as u32);
        let key = (self.number, of_leaf, of_group, 0);
        let cut = self.kept.cuts.get(&key, Cut::bytes, || store.cut(leaf, group))?;
        let number =
            cut.of(row).ok_or_else(|| Error::archive(store.path(), "has fewer rows than it says"))?;
        let key = (self.number, of_leaf, of_group, number as u32);
        let piece = self.kept.pieces.get(&key, Piece::bytes, || store.piece(leaf, group, &cut, number))?;
        let row = (row - cut.first[number]) as usize;
        Ok(Found { piece, row, full: store.leaves()[leaf].full })
    }

    /// The bytes that a column has in a row, of a list those of its element `nth`.
    fn value(&self, row: u64, column: &str) -> Result<Vec<u8>> {
        let (name, nth) = element(column);
        let leaf = self.store.leaves().iter().position(|leaf| leaf.name == name);
        let leaf = leaf.ok_or_else(|| {
            Error::archive(self.store.path(), format!("has no column {}", crate::plain::quoted(name)))
        })?;
        let of: &Leaf = &self.store.leaves()[leaf];
        let found = self.find(leaf, row)?;
        let slot = found.slots().filter(|slot| slot.level >= of.exists).nth(nth);
        match slot.and_then(|slot| slot.value) {
            Some(Value::Bytes(bytes)) => Ok(bytes.to_vec()),
            _ => {
                let message = format!("row {row} has nothing in the column {}", crate::plain::quoted(column));
                Err(Error::archive(self.store.path(), message))
            }
        }
    }
}

/// A column's name and, of a list, which element is meant: `images.bytes[2]`.
fn element(column: &str) -> (&str, usize) {
    let numbered = column.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    numbered.and_then(|(name, nth)| Some((name, nth.parse().ok()?))).unwrap_or((column, 0))
}

impl Rows for Table {
    fn file(&self) -> &Path {
        self.store.path()
    }

    fn read(&self, row: u64, column: &str) -> unisono_media::Result<Vec<u8>> {
        self.value(row, column).map_err(|e| match e {
            Error::Media(e) => e,
            Error::Files(e) => e.into(),
            Error::Archive { path, message } => unisono_files::Error::Format { path, message }.into(),
            other => unisono_files::Error::format(self.store.path(), other.to_string()).into(),
        })
    }
}

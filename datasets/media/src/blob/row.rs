//! What a table holds: values that no file has as they are, since tables compress them.

use crate::{Error, Result};
use std::cmp::Ordering;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A table whose rows hold media. Shared by threads.
pub trait Rows: Debug + Send + Sync {
    /// The file that it is.
    fn file(&self) -> &Path;

    /// The bytes in a column of a row.
    ///
    /// # Errors
    /// The table cannot be read, has no such row or column, or holds more there than a value may have.
    fn read(&self, row: u64, column: &str) -> Result<Vec<u8>>;
}

/// Where in a table a medium lies. Two are equal that lie at one place of one file, whoever has it open.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) rows: Arc<dyn Rows>,
    pub(super) row: u64,
    pub(super) column: Box<str>,
}

impl Row {
    fn place(&self) -> (&Path, u64, &str) {
        (self.rows.file(), self.row, &self.column)
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Row {}

impl PartialOrd for Row {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Row {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

impl Hash for Row {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.place().hash(state);
    }
}

/// A table that a line names and nobody has opened yet.
#[derive(Debug)]
pub(super) struct Closed(pub(super) PathBuf);

impl Rows for Closed {
    fn file(&self) -> &Path {
        &self.0
    }

    fn read(&self, row: u64, column: &str) -> Result<Vec<u8>> {
        let expected = format!("the column {column:?} of row {row}");
        Err(Error::media(&self.0, expected, "a table that was not opened".to_owned()))
    }
}

//! How records lie in a text file, one after another.

use crate::Record;
use std::fmt::Debug;

/// What a text file's records are read by.
pub(crate) trait Form: Debug + Send + Sync {
    /// What tells this reading of a file from any other: an index is of one. No path is in it, so that a folder may be moved.
    fn identity(&self) -> String;

    /// Bytes before the first record, and the lines that they are.
    fn head(&self) -> (usize, u64) {
        (0, 0)
    }

    /// The length of the record that `bytes` begin with, with the end of its line; `None` where it does not end in them. The `last` bytes of
    /// a file need no end.
    ///
    /// # Errors
    /// It has none, and where the next begins nobody knows.
    fn end(&self, bytes: &[u8], last: bool) -> Result<Option<usize>, String>;

    /// The record that begins on a line, if there is one in these bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    fn record(&self, bytes: &[u8], line: u64) -> Result<Option<Record>, String>;

    /// A broken record makes the whole file unreadable, and not only itself.
    fn strict(&self) -> bool {
        false
    }

    /// Ids stand in the file: whether two are the same has to be seen.
    fn ids(&self) -> bool {
        true
    }

    /// Neighbours of one id are one record.
    fn joins(&self) -> bool {
        false
    }

    /// What to say where the file has no record.
    fn none(&self) -> String {
        "expected a record, found none".into()
    }

    /// What to do about two records of one id.
    fn advice(&self) -> &'static str {
        "ids must be unique"
    }
}

//! Rows and what they are, on their way into a file.

use std::io::Read;
use unisono_index::Item;

/// Rows of little-endian numbers and what they are, as they come from a disk.
pub(crate) struct Table<'a> {
    /// Rows N.
    pub(crate) count: usize,
    /// Width D.
    pub(crate) dim: usize,
    pub(crate) items: &'a mut dyn Iterator<Item = Item>,
    pub(crate) rows: &'a mut (dyn Read + Send),
}

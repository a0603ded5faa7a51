//! A file that holds a table by columns.

use super::{Leaf, Piece};
use crate::{Error, Result};
use std::fmt::Debug;
use std::fs::File;
use std::path::Path;

/// Opens a table's file again, which had so many bytes. It is opened anew for each piece: thousands of files are not held open.
///
/// # Errors
/// It is gone, or has another length now.
pub(crate) fn again(path: &Path, had: u64) -> Result<File> {
    let file = unisono_files::open(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    match length == had {
        true => Ok(file),
        false => Err(Error::archive(path, format!("had {had} bytes when it was opened, has {length} now"))),
    }
}

/// A file that holds a table by columns, in groups of rows; its numbers were looked at when it was opened.
pub(crate) trait Store: Debug + Send + Sync {
    /// The file.
    fn path(&self) -> &Path;

    /// Its length in bytes.
    fn length(&self) -> u64;

    /// Its columns.
    fn leaves(&self) -> &[Leaf];

    /// What Hugging Face's `datasets` says of the columns, as JSON.
    fn features(&self) -> Option<&str>;

    /// Whether `data pack` has written it, and its columns are what they are called.
    fn is_packed(&self) -> bool {
        false
    }

    /// The first row of each group, and the end.
    fn groups(&self) -> &[u64];

    /// Unpacked bytes of a column in all groups, as far as they are known.
    fn weight(&self, leaf: usize) -> u64;

    /// Whether a column has empty places in a group.
    fn nulls(&self, leaf: usize, group: usize) -> Nulls;

    /// A sum over where everything lies.
    fn sum(&self) -> &str;

    /// Forgets where columns lie of which nothing will be read.
    fn keep(&mut self, wanted: &[bool]);

    /// How a column of a group is cut into pieces.
    ///
    /// # Errors
    /// The file cannot be read, is not what its head says, or asks for too much.
    fn cut(&self, leaf: usize, group: usize) -> Result<Cut>;

    /// A piece.
    ///
    /// # Errors
    /// As [`cut`](Self::cut).
    fn piece(&self, leaf: usize, group: usize, cut: &Cut, number: usize) -> Result<Piece>;

    /// Where the bytes of a value lie, by the number of the row in its group.
    ///
    /// # Errors
    /// As [`cut`](Self::cut).
    fn part(&self, leaf: usize, group: usize, row: u32) -> Result<Where>;
}

/// Where the bytes of a value lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    /// In the file as they are: offset and length.
    At(u64, u64),
    /// There is no value.
    Nowhere,
    /// Only reading tells.
    Unknown,
}

/// Whether a column has empty places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// There is a value everywhere.
    None,
    /// There is no value anywhere.
    All,
    /// Some places may be empty.
    Some,
}

/// How a column of a group is cut into pieces.
#[derive(Debug, Default)]
pub(crate) struct Cut {
    /// The first row of each piece, and the end.
    pub(crate) first: Vec<u32>,
    /// Where the pages lie, those of one piece or all of the only one.
    pub(crate) pages: Vec<Place>,
    /// The page of repeated values.
    pub(crate) dictionary: Option<Place>,
}

/// Where a page lies, with its head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

impl Cut {
    /// Which piece a row of the group lies in.
    pub(crate) fn of(&self, row: u32) -> Option<usize> {
        (self.first.last().is_some_and(|end| row < *end))
            .then(|| self.first.partition_point(|f| *f <= row) - 1)
    }

    /// Bytes of memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.first.as_slice()) + size_of_val(self.pages.as_slice())
    }
}

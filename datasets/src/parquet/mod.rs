//! Parquet files: footers are looked at when they are opened, pages read when somebody asks for a row in them; and their [writer](TableWriter).
//!
//! What a file may cost, whoever wrote it, unless its source allows more (`max_page`, `max_footer`): a footer of 256 MiB; a page of 512 MiB unpacked, of 4 million values; a column of
//! lists of 512 MiB and 8 million elements (33 million numbers) a row group, since such a column is decoded whole. A page is unpacked into as many bytes as it says
//! and not one more.

mod decode;
mod footer;
mod limits;
mod page;
mod schema;
mod thrift;
mod unpack;
mod writer;

pub use writer::{ByteArray, Column, GroupWriter, TableWriter};

use crate::columnar::{Cut, Leaf, Nulls, Piece, Store, Where, again};
use crate::{Error, Result, position};
use footer::{Chunk, Footer, Shape};
pub(crate) use footer::{MARK, PACKED};
pub(crate) use limits::{Limits, PAGE};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether a path is a Parquet file, by its name or, where that says nothing, its first and last bytes.
pub(crate) fn is_parquet(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if ["parquet", "parq", "pq"].contains(&ending.as_str()) {
        return true;
    }
    let magic = |file: &File| {
        let length = file.metadata().ok()?.len();
        let (mut first, mut last) = ([0; 4], [0; 4]);
        position::read(file, &mut first, 0).ok()?;
        position::read(file, &mut last, length.checked_sub(4)?).ok()?;
        Some(first == *b"PAR1" && last == *b"PAR1")
    };
    ending.is_empty() && unisono_files::open(path).is_ok_and(|file| magic(&file) == Some(true))
}

/// A Parquet file.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    path: PathBuf,
    length: u64,
    shape: Arc<Shape>,
    groups: Vec<u64>,
    /// Those that are kept, group by group.
    chunks: Vec<Chunk>,
    /// The number of each column among those that are kept.
    kept: Vec<Option<u32>>,
    width: usize,
    sum: String,
    limits: Limits,
}

impl ParquetFile {
    /// Opens a file.
    ///
    /// # Errors
    /// See [`footer::read`].
    pub(crate) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let file = unisono_files::open(path)?;
        let length = file.metadata().map_err(Error::io(path, "read"))?.len();
        let Footer { shape, groups, chunks, sum } = footer::read(path, &file, length, &limits)?;
        let width = shape.leaves.len();
        let kept = (0..width as u32).map(Some).collect();
        let (path, shape) = (path.to_owned(), Arc::new(shape));
        Ok(Self { path, length, shape, groups, chunks, kept, width, sum, limits })
    }

    /// Shares the description of the columns with another file of the data set, where it is the same: there may be thousands.
    pub(crate) fn share(&mut self, other: &Self) {
        let same = self.shape.leaves == other.shape.leaves
            && self.shape.features == other.shape.features
            && self.shape.packed == other.shape.packed
            && self.shape.schema.root_schema() == other.shape.schema.root_schema();
        if same {
            self.shape = other.shape.clone();
        }
    }

    fn chunk(&self, leaf: usize, group: usize) -> Result<Chunk> {
        let column = self.kept.get(leaf).copied().flatten();
        let chunk = column.and_then(|c| self.chunks.get(group * self.width + c as usize));
        chunk.copied().ok_or_else(|| Error::archive(&self.path, "has no such column"))
    }
}

impl Store for ParquetFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn leaves(&self) -> &[Leaf] {
        &self.shape.leaves
    }

    fn features(&self) -> Option<&str> {
        self.shape.features.as_deref()
    }

    fn is_packed(&self) -> bool {
        self.shape.packed
    }

    fn groups(&self) -> &[u64] {
        &self.groups
    }

    fn weight(&self, leaf: usize) -> u64 {
        let groups = 0..self.groups.len() - 1;
        groups.filter_map(|g| self.chunk(leaf, g).ok()).fold(0, |sum, c| sum.saturating_add(c.unpacked))
    }

    fn nulls(&self, leaf: usize, group: usize) -> Nulls {
        self.chunk(leaf, group).map_or(Nulls::Some, |chunk| chunk.nulls)
    }

    fn sum(&self) -> &str {
        &self.sum
    }

    fn keep(&mut self, wanted: &[bool]) {
        let is = |leaf: usize| wanted.get(leaf).copied().unwrap_or(false);
        let columns: Vec<usize> = (0..self.kept.len())
            .filter(|leaf| is(*leaf))
            .filter_map(|leaf| self.kept[leaf])
            .map(|c| c as usize)
            .collect();
        let groups = self.groups.len() - 1;
        let width = self.width;
        self.chunks = (0..groups)
            .flat_map(|g| columns.iter().map(move |c| (g, *c)))
            .map(|(g, c)| self.chunks[g * width + c])
            .collect();
        self.width = columns.len();
        let mut next = 0..;
        for leaf in 0..self.kept.len() {
            let kept = self.kept[leaf].filter(|_| is(leaf));
            self.kept[leaf] = kept.and_then(|_| next.next());
        }
    }

    fn cut(&self, leaf: usize, group: usize) -> Result<Cut> {
        let chunk = self.chunk(leaf, group)?;
        let rows = u32::try_from(self.groups[group + 1] - self.groups[group]).unwrap_or(u32::MAX);
        let (file, listed) = (again(&self.path, self.length)?, self.shape.leaves[leaf].listed);
        page::cut(&page::Pages { path: &self.path, file: &file, limits: &self.limits }, &chunk, rows, listed)
    }

    fn piece(&self, leaf: usize, group: usize, cut: &Cut, number: usize) -> Result<Piece> {
        let source = decode::Source {
            path: &self.path,
            file: again(&self.path, self.length)?,
            chunk: self.chunk(leaf, group)?,
            column: self.shape.schema.column(leaf),
            leaf: &self.shape.leaves[leaf],
            limits: self.limits,
        };
        decode::piece(source, cut, number)
    }

    fn part(&self, _leaf: usize, _group: usize, _row: u32) -> Result<Where> {
        // A page may be packed, and where it is not, only reading it tells where its values lie.
        Ok(Where::Unknown)
    }
}

//! Rows that were written together.

use crate::bits::Bits;
use crate::codes::{Codes, Rows};
use crate::columns::Columns;
use crate::graph::Graph;
use crate::header::SegmentRef;
use crate::words::Words;
use crate::write::TENSOR;
use crate::{
    CODES, COLUMNS, Error, Facts, GRAPH, Header, ITEMS, Item, Method, Result, SUM, Store, VECTORS, WORDS,
    lines,
};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::ops::Range;
use std::path::Path;
use unisono_processors::Modality;

/// Vectors and their items. Both stay on the disk, mapped: pages that are searched are cached by the system.
///
/// Its rows are numbered; those with a vector come first, those that hold what another row holds behind them. A row that was removed keeps its number.
#[derive(Debug)]
pub struct Segment {
    lines: Mmap,
    columns: Columns,
    map: Mmap,
    /// Where the `[rows, D]` floats lie in `map`.
    values: Range<usize>,
    /// Rows with a vector.
    rows: usize,
    removed: Option<Bits>,
    codes: Option<Codes>,
    graph: Option<Graph>,
    words: Option<Words>,
}

impl Segment {
    /// Opens the one segment of an index of the first format, in its own folder, and checks that its files are whole and those that `header` was
    /// written for.
    ///
    /// # Errors
    /// A file that is cut or of another index.
    pub(crate) fn open_first<B>(folder: &Path, header: &Header<B>) -> Result<Self> {
        let (map, values) = vectors(&folder.join(VECTORS), [header.count, header.dim], &header.sum)?;
        // After the vectors, which have as many rows: what is held in memory is bounded by that.
        let (lines, columns) = lines::open(&folder.join(ITEMS), header)?;
        Ok(Self {
            lines,
            columns,
            map,
            values,
            rows: header.count,
            removed: None,
            words: None,
            codes: None,
            graph: None,
        })
    }

    /// Opens the segment in `folder`, of rows of width `dim`. Lengths are checked, sums are not: `check` is for that.
    ///
    /// # Errors
    /// A file that is cut or of another segment.
    pub(crate) fn open(folder: &Path, part: &SegmentRef, dim: usize) -> Result<Self> {
        let (map, values) = vectors(&folder.join(VECTORS), [part.rows, dim], &part.sum)?;
        let path = folder.join(ITEMS);
        let file = unisono_files::open(&path)?;
        // SAFETY: as above.
        let lines = unsafe { Mmap::map(&file) }.map_err(Error::io(&path, "map"))?;
        if lines.len() as u64 != part.bytes {
            let (found, expected) = (lines.len(), part.bytes);
            return Err(damaged(
                &path,
                &format!("{found} bytes, expected {expected}: cut or of another segment"),
            ));
        }
        let all = part.rows.saturating_add(part.copies);
        let columns = Columns::open(&folder.join(COLUMNS), all)?;
        let removed = part.removed.as_ref().map(|name| Bits::read(&folder.join(name), all)).transpose()?;
        let codes = part.codes.as_ref();
        let codes =
            codes.map(|codes| Codes::open(&folder.join(CODES), codes.store, part.rows, dim)).transpose()?;
        let graph = part.graph.as_ref().map(|_| Graph::open(&folder.join(GRAPH), part.rows)).transpose()?;
        let words = part.words.as_ref().map(|_| Words::open(&folder.join(WORDS), part.rows)).transpose()?;
        Ok(Self { lines, columns, map, values, rows: part.rows, removed, codes, graph, words })
    }

    /// How many rows it has, with those that were removed and those without a vector of their own.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many of them have a vector: these come first.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether this row is there and has a vector.
    pub fn is_found(&self, row: usize) -> bool {
        row < self.rows && !self.is_removed(row)
    }

    /// Whether this row was removed, or never was.
    pub fn is_removed(&self, row: usize) -> bool {
        row >= self.len() || self.removed.as_ref().is_some_and(|removed| removed.has(row))
    }

    /// The item of a row, read from the disk: that of the same row of [`vectors`](Self::vectors).
    pub fn item(&self, row: usize) -> Option<Item> {
        serde_json::from_slice(self.line(row)?).ok()
    }

    /// Its line, as it is written.
    pub(crate) fn line(&self, row: usize) -> Option<&[u8]> {
        if row >= self.len() {
            return None;
        }
        let start = row.checked_sub(1).map_or(0, |before| self.columns.end(before));
        self.lines.get(usize::try_from(start).ok()?..usize::try_from(self.columns.end(row)).ok()?)
    }

    /// What is remembered of a row.
    pub fn facts(&self, row: usize) -> Facts {
        self.columns.facts(row)
    }

    /// What a row is.
    pub fn modality(&self, row: usize) -> Modality {
        self.columns.modality(row)
    }

    /// When a row's file was written, in nanoseconds from 1970 on; zero: not known.
    pub(crate) fn written(&self, row: usize) -> i64 {
        self.columns.written(row)
    }

    /// The items that are found, in the order of their rows, each read when it comes.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        (0..self.rows).filter(|row| self.is_found(*row)).filter_map(|row| self.item(row))
    }

    /// The vectors, `[rows, D]` row-major.
    pub fn vectors(&self) -> &[f32] {
        // Size and alignment were checked; an empty slice finds nothing.
        bytemuck::try_cast_slice(&self.map[self.values.clone()]).unwrap_or_default()
    }

    /// The vector `[D]` of a row.
    pub fn vector(&self, row: usize) -> Option<&[f32]> {
        let values = self.vectors();
        let dim = values.len().checked_div(self.rows)?;
        (row < self.rows).then(|| values.get(row * dim..(row + 1) * dim)).flatten()
    }

    /// What a search reads: codes where there are any, or vectors.
    pub(crate) fn coded(&self) -> Rows<'_> {
        let values = self.vectors();
        match &self.codes {
            Some(codes) => Rows::Codes(codes),
            None => Rows::Floats { values, dim: values.len().checked_div(self.rows).unwrap_or(0) },
        }
    }

    pub(crate) fn words(&self) -> Option<&Words> {
        self.words.as_ref()
    }

    pub(crate) fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// Whether it has what a segment of this method has.
    pub(crate) fn is_made_by(&self, method: &Method) -> bool {
        let many = |m: &Modality| (0..self.rows).filter(|row| self.modality(*row) == *m).count();
        let linked =
            self.rows >= method.graph.from() && Modality::ALL.iter().any(|m| many(m) >= method.graph.from());
        let store = self.codes.as_ref().map_or(Store::F32, Codes::store);
        (store == method.store || self.rows == 0) && self.graph.is_some() == linked && self.words.is_some()
    }

    /// Whether a search of it compares every vector as it is.
    pub fn is_exact(&self) -> bool {
        self.codes.is_none() && self.graph.is_none()
    }

    /// All lines.
    pub(crate) fn lines(&self) -> &[u8] {
        &self.lines
    }

    pub(crate) fn removed(&self) -> Option<&Bits> {
        self.removed.as_ref()
    }

    pub(crate) fn set_removed(&mut self, removed: Bits) {
        self.removed = Some(removed);
    }
}

pub(crate) fn damaged(path: &Path, what: &str) -> Error {
    Error::format(path, format!("{what}; `unisono index check` says what to do"))
}

/// Maps a file of vectors; where its floats lie, after every length has been checked.
pub(crate) fn vectors(path: &Path, shape: [usize; 2], sum: &str) -> Result<(Mmap, Range<usize>)> {
    let file = unisono_files::open(path)?;
    // SAFETY: an index is replaced by renaming, never written in place, so the mapped file does not change; a process that
    // cuts it all the same would make any reader fault.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
    let values = locate(path, &map, shape, sum)?;
    Ok((map, values))
}

fn locate(path: &Path, bytes: &[u8], expected: [usize; 2], sum: &str) -> Result<Range<usize>> {
    let cut = |e: safetensors::SafeTensorError| {
        let n = bytes.len();
        Error::format(
            path,
            format!("{n} bytes that are no whole safetensors file ({e}); build the index again"),
        )
    };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(cut)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(cut)?;
    let view = tensors.tensor(TENSOR).map_err(cut)?;
    if view.dtype() != Dtype::F32 || view.shape() != expected {
        let (dtype, shape) = (view.dtype(), view.shape());
        let message = format!(
            "expected F32 {expected:?}, found {dtype:?} {shape:?}: of another index; build the index again"
        );
        return Err(Error::format(path, message));
    }
    if metadata.metadata().as_ref().and_then(|m| m.get(SUM)).map(String::as_str) != Some(sum) {
        return Err(Error::format(
            path,
            "not the vectors that index.json was written for; build the index again",
        ));
    }
    let data = view.data();
    let start = data.as_ptr() as usize - bytes.as_ptr() as usize;
    if bytemuck::try_cast_slice::<u8, f32>(data).is_err() {
        return Err(Error::format(path, "its vectors are not aligned to 4 bytes; build the index again"));
    }
    Ok(start..start + data.len())
}

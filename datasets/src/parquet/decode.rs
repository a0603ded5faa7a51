//! Pages as a piece of a column.

use super::footer::Chunk;
use super::limits::Limits;
use super::page;
use crate::columnar::{Cut, Kind, Leaf, Piece, Place, Values};
use crate::{Error, Result};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::DataType;
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::schema::types::ColumnDescPtr;
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use unisono_files::caught;

/// Pages one after another, each unpacked when it comes.
struct Pages {
    path: PathBuf,
    file: File,
    chunk: Chunk,
    /// Most bytes and slots of a piece: a page and its dictionary, or a column of lists in one group, all of which is in memory at once.
    limits: Limits,
    slots: usize,
    left: VecDeque<Place>,
    dictionary: Option<Place>,
    /// Unpacked already.
    ready: VecDeque<Page>,
    read: Arc<Mutex<Amount>>,
}

#[derive(Debug, Default)]
struct Amount {
    bytes: usize,
    slots: usize,
    /// What was wrong, in our words.
    error: Option<Error>,
}

impl Pages {
    /// Counts what is read, within the bounds of a piece.
    fn add(&self, bytes: usize, slots: usize) -> Result<()> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.bytes += bytes;
        read.slots += slots;
        if read.bytes as u64 <= self.limits.page && read.slots <= self.slots {
            return Ok(());
        }
        let message = format!(
            "a column has more than {} MB or {} elements that are read at once: write it with smaller row groups, or give the source a larger `max_page` (`--max-page`)",
            self.limits.page >> 20,
            self.slots
        );
        Err(Error::archive(&self.path, message))
    }

    fn page(&self, place: Place) -> Result<(page::Head, Page)> {
        let pages = page::Pages { path: &self.path, file: &self.file, limits: &self.limits };
        page::page(&pages, place, &self.chunk)
    }

    /// The next page; the dictionary before the first that needs it.
    fn advance(&mut self) -> Result<Option<Page>> {
        if let Some(page) = self.ready.pop_front() {
            return Ok(Some(page));
        }
        let Some(place) = self.left.pop_front() else { return Ok(None) };
        let (head, page) = self.page(place)?;
        if !head.is_data() {
            return Err(Error::archive(&self.path, "has a page of another kind than before: it is damaged"));
        }
        self.add(page.buffer().len(), head.values as usize)?;
        match self.dictionary.take() {
            Some(place) if head.by_dictionary() => {
                let (_, dictionary) = self.page(place)?;
                // Values share its memory.
                self.add(dictionary.buffer().len(), 0)?;
                self.ready.push_back(page);
                Ok(Some(dictionary))
            }
            kept => {
                self.dictionary = kept;
                Ok(Some(page))
            }
        }
    }
}

impl Iterator for Pages {
    type Item = Parquet<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Parquet<Option<Page>> {
        self.advance().map_err(|e| {
            let message = e.to_string();
            self.read.lock().unwrap_or_else(PoisonError::into_inner).error = Some(e);
            ParquetError::General(message)
        })
    }

    fn peek_next_page(&mut self) -> Parquet<Option<PageMetadata>> {
        if self.ready.is_empty()
            && let Some(page) = self.get_next_page()?
        {
            self.ready.push_front(page);
        }
        let of = |page: &Page| PageMetadata {
            num_rows: match page {
                Page::DataPageV2 { num_rows, .. } => Some(*num_rows as usize),
                _ => None,
            },
            num_levels: page.is_data_page().then(|| page.num_values() as usize),
            is_dict: page.is_dictionary_page(),
        };
        Ok(self.ready.front().map(of))
    }

    fn skip_next_page(&mut self) -> Parquet<()> {
        self.get_next_page().map(drop)
    }
}

/// What is decoded, and from where.
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) file: File,
    pub(super) chunk: Chunk,
    pub(super) column: ColumnDescPtr,
    pub(super) leaf: &'a Leaf,
    pub(super) limits: Limits,
}

/// A piece of a column: its pages decoded by the `parquet` crate. A bug of its on a stranger's file costs that file, not the process.
///
/// # Errors
/// Pages that cannot be unpacked, hold other rows than they say, or more than a piece may have.
pub(super) fn piece(source: Source, cut: &Cut, number: usize) -> Result<Piece> {
    let Source { path, file, chunk, column, leaf, limits } = source;
    let rows = (cut.first[number + 1] - cut.first[number]) as usize;
    let left = match leaf.listed {
        true => cut.pages.iter().copied().collect(),
        false => cut.pages.get(number).copied().into_iter().collect(),
    };
    let read = Arc::new(Mutex::new(Amount::default()));
    let pages = Pages {
        path: path.to_owned(),
        file,
        chunk,
        limits,
        slots: limits.slots(!matches!(leaf.kind, Kind::Text | Kind::Bytes)),
        left,
        dictionary: cut.dictionary,
        ready: VecDeque::new(),
        read: read.clone(),
    };
    let decoded = caught(|| decode(column, pages, rows));
    let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = read.error.take() {
        return Err(error);
    }
    let broken = |message: String| {
        let (name, at) = (crate::plain::quoted(&leaf.name), chunk.start);
        Error::archive(path, format!("the column {name} at byte {at}: {message}: it is damaged"))
    };
    let decoded = decoded.ok_or_else(|| broken("no reader should meet this".into()))?;
    let (values, levels, repeats, found) = decoded.map_err(|e| broken(e.to_string()))?;
    if found != rows {
        return Err(broken(format!("holds {found} rows of {rows}")));
    }
    let levels = (leaf.full > 0).then(|| levels.into_iter().map(|l| l as u8).collect());
    let starts = leaf.listed.then(|| {
        let begin = repeats.iter().enumerate().filter(|(_, r)| **r == 0).map(|(i, _)| i as u32);
        begin.chain([repeats.len() as u32]).collect()
    });
    let piece = Piece::new(levels, leaf.full, starts, values, read.bytes);
    piece.filter(|p| p.rows() == rows).ok_or_else(|| broken("levels and values do not fit each other".into()))
}

/// Values, levels, repetitions and the number of rows.
type Decoded = (Values, Vec<i16>, Vec<i16>, usize);

fn decode(column: ColumnDescPtr, pages: Pages, rows: usize) -> Parquet<Decoded> {
    Ok(match get_column_reader(column, Box::new(pages)) {
        ColumnReader::BoolColumnReader(r) => all(r, rows, Values::Bool)?,
        ColumnReader::Int32ColumnReader(r) => {
            all(r, rows, |v| Values::Int(v.into_iter().map(i64::from).collect()))?
        }
        ColumnReader::Int64ColumnReader(r) => all(r, rows, Values::Int)?,
        ColumnReader::FloatColumnReader(r) => {
            all(r, rows, |v| Values::Float(v.into_iter().map(f64::from).collect()))?
        }
        ColumnReader::DoubleColumnReader(r) => all(r, rows, Values::Float)?,
        ColumnReader::ByteArrayColumnReader(r) => all(r, rows, Values::Bytes)?,
        ColumnReader::FixedLenByteArrayColumnReader(r) => {
            all(r, rows, |v| Values::Bytes(v.into_iter().map(Into::into).collect()))?
        }
        ColumnReader::Int96ColumnReader(_) => {
            return Err(ParquetError::General("values of 96 bits are not read".into()));
        }
    })
}

fn all<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    of: impl FnOnce(Vec<T::T>) -> Values,
) -> Parquet<Decoded> {
    let (mut values, mut levels, mut repeats, mut found) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while found < rows {
        let (more, ..) =
            reader.read_records(rows - found, Some(&mut levels), Some(&mut repeats), &mut values)?;
        if more == 0 {
            break;
        }
        found += more;
    }
    Ok((of(values), levels, repeats, found))
}

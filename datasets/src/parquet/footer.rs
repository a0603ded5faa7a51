//! What stands at a Parquet file's end: its columns and where they lie. Looked at before it is believed.

use super::limits::Limits;
use super::schema;
use super::thrift::{Compact, Fault, I32, LIST, STRUCT};
use super::unpack::Codec;
use crate::columnar::{Leaf, Nulls};
use crate::{Error, Result, position};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::schema::types::SchemaDescPtr;
use std::fs::File;
use std::path::Path;
use unisono_files::{Sum, caught};

/// Most columns, and how deep they may lie.
const COLUMNS: usize = 1 << 14;
const DEPTH: usize = 32;
/// Most rows of a group.
pub(super) const ROWS: i64 = 1 << 28;

/// What tells that a file is of `data pack`'s making, and its columns are what they are called.
pub(crate) const MARK: &str = "unisono";
pub(crate) const PACKED: &str = r#"{"pack":1}"#;

/// The columns of a file, alike in all files of a data set.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) schema: SchemaDescPtr,
    pub(super) leaves: Vec<Leaf>,
    pub(super) features: Option<String>,
    /// `data pack` has written it.
    pub(super) packed: bool,
}

/// Where a column of a group lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    pub(super) start: u64,
    pub(super) length: u64,
    /// As the file says: it is only a hint.
    pub(super) unpacked: u64,
    pub(super) codec: Codec,
    pub(super) nulls: Nulls,
}

/// What stands at a file's end.
#[derive(Debug)]
pub(super) struct Footer {
    pub(super) shape: Shape,
    /// The first row of each group, and the end.
    pub(super) groups: Vec<u64>,
    /// Those of the first group, of all columns, then of the second.
    pub(super) chunks: Vec<Chunk>,
    pub(super) sum: String,
}

fn bad(path: &Path, message: impl Into<String>) -> Error {
    Error::archive(path, message)
}

/// Reads it.
///
/// # Errors
/// A file that cannot be read, that is none of Parquet, encrypted, cut, or whose numbers do not fit each other or ask for too much.
pub(super) fn read(path: &Path, file: &File, length: u64, limits: &Limits) -> Result<Footer> {
    let mut tail = [0; 8];
    if length < 12 {
        return Err(bad(path, format!("expected a Parquet file, found {length} bytes: is it whole?")));
    }
    position::read(file, &mut tail, length - 8).map_err(Error::io(path, "read"))?;
    let [a, b, c, d, magic @ ..] = tail;
    match &magic {
        b"PAR1" => {}
        b"PARE" => return Err(bad(path, "is encrypted, which is not read: decrypt it first")),
        _ => return Err(bad(path, "expected a Parquet file, which ends in PAR1: is it whole?")),
    }
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if size > length - 12 {
        let message = format!("says that its footer has {size} bytes, it has {length} in all: is it whole?");
        return Err(bad(path, message));
    }
    if size > limits.footer {
        let message = format!(
            "has a footer of {size} bytes, expected at most {}; if that is meant, give the source a larger `max_footer` (`--max-footer`)",
            limits.footer
        );
        return Err(bad(path, message));
    }
    let end = length - 8 - size;
    let mut bytes = vec![0; size as usize];
    position::read(file, &mut bytes, end).map_err(Error::io(path, "read"))?;
    look(path, &bytes, limits)?;
    let decode = || ParquetMetaDataReader::decode_metadata(&bytes);
    let said = caught(decode).ok_or_else(|| bad(path, "has a footer that no reader should meet"))?;
    let said = said.map_err(|e| bad(path, format!("has a broken footer: {e}")))?;
    let sum = Sum::of(&bytes);
    drop(bytes);
    checked(path, &said, end, sum)
}

/// Refuses what would cost much to decode.
fn look(path: &Path, bytes: &[u8], limits: &Limits) -> Result<()> {
    let budget = limits.footers();
    let mut reader = Compact::new(bytes, budget.of(path));
    let mut schema: Tree = Ok(());
    let read = reader.fields(&mut |reader, number, of| {
        if (number, of) != (2, LIST) {
            return Ok(false);
        }
        let (of, n) = reader.list()?;
        schema = tree(reader, of, n)?;
        Ok(true)
    });
    schema.map_err(|message| bad(path, message))?;
    match read {
        Ok(()) => Ok(()),
        Err(Fault::Short) => Err(bad(path, "has a footer that goes on behind its end")),
        Err(Fault::Bad(message) | Fault::Much(message)) => {
            Err(bad(path, format!("has a broken footer: {message}")))
        }
    }
}

/// Whether a schema is one that may be decoded, or why not.
type Tree = std::result::Result<(), String>;

/// A schema is a tree in the order of depth, each field with the number of those below it.
fn tree(reader: &mut Compact, of: u8, n: usize) -> std::result::Result<Tree, Fault> {
    if of != STRUCT || n > COLUMNS {
        return Ok(Err(format!("says that it has {n} columns, the most are {COLUMNS}")));
    }
    // How many are still to come below each open field.
    let mut open: Vec<usize> = Vec::new();
    for _ in 0..n {
        let mut below = 0;
        reader.fields(&mut |reader, number, of| {
            if (number, of) == (5, I32) {
                below = reader.int()?;
                return Ok(true);
            }
            Ok(false)
        })?;
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        match usize::try_from(below) {
            Ok(0) => {}
            Ok(below) if below <= n => open.push(below),
            _ => return Ok(Err(format!("says that a column has {below} below it, of {n} in all"))),
        }
        if open.len() > DEPTH {
            return Ok(Err(format!("nests columns more than {DEPTH} levels deep")));
        }
    }
    Ok(Ok(()))
}

/// Its numbers, where they fit each other.
fn checked(path: &Path, said: &ParquetMetaData, end: u64, sum: String) -> Result<Footer> {
    let of_file = said.file_metadata();
    let schema = of_file.schema_descr_ptr();
    let leaves = schema::leaves(&schema);
    if leaves.len() != schema.num_columns() {
        return Err(bad(path, "has a schema whose columns cannot be counted"));
    }
    let said_of = |key: &str| of_file.key_value_metadata().into_iter().flatten().find(|kv| kv.key == key);
    let features = said_of("huggingface").and_then(|kv| kv.value.clone());
    let packed = said_of(MARK).and_then(|kv| kv.value.as_deref()) == Some(PACKED);
    let (mut groups, mut chunks) = (vec![0], Vec::new());
    for (number, group) in said.row_groups().iter().enumerate() {
        let lying = |message: String| bad(path, format!("row group {number} {message}: it is damaged"));
        let rows = group.num_rows();
        if !(0..=ROWS).contains(&rows) {
            return Err(lying(format!("says that it has {rows} rows, the most are {ROWS}")));
        }
        if group.num_columns() != leaves.len() {
            let (found, expected) = (group.num_columns(), leaves.len());
            return Err(lying(format!("has {found} columns, the schema {expected}")));
        }
        for (leaf, column) in leaves.iter().zip(group.columns()) {
            let named = || crate::plain::quoted(&leaf.name);
            let values = column.num_values();
            if (leaf.listed && values < rows) || (!leaf.listed && values != rows) {
                let message = format!("says that it has {rows} rows, its column {} has {values}", named());
                return Err(lying(message));
            }
            if column.file_path().is_some() {
                return Err(lying(format!("has its column {} in another file, which is not read", named())));
            }
            let data = column.data_page_offset();
            let start = column.dictionary_page_offset().filter(|o| *o > 0).map_or(data, |o| o.min(data));
            let length = column.compressed_size();
            let fits = u64::try_from(start).ok().zip(u64::try_from(length).ok());
            let fits = fits.filter(|(start, length)| start.checked_add(*length).is_some_and(|e| e <= end));
            let Some((start, length)) = fits else {
                let message = format!(
                    "says that its column {} has {length} bytes from byte {start} on, of {end}",
                    named()
                );
                return Err(lying(message));
            };
            let nulls = match column.statistics().and_then(|s| s.null_count_opt()) {
                _ if leaf.full == 0 => Nulls::None,
                Some(0) => Nulls::None,
                Some(n) if n == values as u64 => Nulls::All,
                _ => Nulls::Some,
            };
            let unpacked = u64::try_from(column.uncompressed_size()).unwrap_or(0);
            let codec = Codec::of(column.compression());
            chunks.push(Chunk { start, length, unpacked, codec, nulls });
        }
        groups.push(groups[number] + rows as u64);
    }
    let total = groups.last().copied().unwrap_or(0);
    if i64::try_from(total) != Ok(of_file.num_rows()) {
        let message = format!(
            "says that it has {} rows, its row groups have {total}: it is damaged",
            of_file.num_rows()
        );
        return Err(bad(path, message));
    }
    Ok(Footer { shape: Shape { schema, leaves, features, packed }, groups, chunks, sum })
}

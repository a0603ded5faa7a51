//! Rows of numbers in the forms that `unisono embed` writes.

use crate::columnar::{Kind, Store, Table, Value};
use crate::parquet::{Limits, ParquetFile};
use crate::{Error, Result};
use memmap2::Mmap;
use std::borrow::Cow;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use unisono_files::Budget;

/// Longest head of a mapped file.
const HEAD: usize = 16 << 20;

/// Rows as a file holds them.
#[derive(Debug)]
pub(super) enum Stored {
    Mapped {
        map: Mmap,
        values: Range<usize>,
        count: usize,
        dim: usize,
    },
    /// A column of lists.
    Table {
        table: Arc<Table>,
        leaf: usize,
        dim: usize,
    },
}

impl Stored {
    pub(super) fn open(path: &Path) -> Result<Self> {
        match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors") => mapped(path, safetensors),
            Some("npy") => mapped(path, npy),
            Some("parquet") => table(path),
            _ => Err(Error::archive(path, "expected a name that ends in .safetensors, .npy or .parquet")),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Mapped { count, .. } => *count,
            Self::Table { table, .. } => table.len() as usize,
        }
    }

    pub(super) fn dim(&self) -> usize {
        match self {
            Self::Mapped { dim, .. } | Self::Table { dim, .. } => *dim,
        }
    }

    pub(super) fn row(&self, path: &Path, index: usize) -> Result<Cow<'_, [f32]>> {
        if index >= self.len() {
            return Err(Error::archive(path, format!("there is no vector {index}, it has {}", self.len())));
        }
        match self {
            Self::Mapped { map, values, dim, .. } => {
                let size = dim * size_of::<f32>();
                let from = values.start + index * size;
                let bytes = map.get(from..from + size).unwrap_or_default();
                Ok(match bytemuck::try_cast_slice(bytes) {
                    Ok(row) if cfg!(target_endian = "little") => Cow::Borrowed(row),
                    // A head of another length: the numbers are copied, and the same.
                    _ => bytes
                        .as_chunks::<4>()
                        .0
                        .iter()
                        .map(|b| f32::from_le_bytes(*b))
                        .collect::<Vec<_>>()
                        .into(),
                })
            }
            Self::Table { table, leaf, dim } => {
                let found = table.find(*leaf, index as u64)?;
                let number = |value| match value {
                    Value::Float(v) => Some(v as f32),
                    _ => None,
                };
                let row: Vec<f32> = found.slots().filter_map(|s| s.value).filter_map(number).collect();
                match row.len() == *dim {
                    true => Ok(row.into()),
                    false => {
                        let message = format!("row {index} has {} numbers, expected {dim}", row.len());
                        Err(Error::archive(path, message))
                    }
                }
            }
        }
    }
}

/// Where the numbers lie, and the shape.
type Found = (usize, usize, usize);

fn mapped(path: &Path, locate: fn(&Path, &[u8]) -> Result<Found>) -> Result<Stored> {
    let file = unisono_files::open(path)?;
    // SAFETY: the map is read only as numbers, of which every pattern of bits is one.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
    let (start, count, dim) = locate(path, &map)?;
    let size = count.checked_mul(dim).and_then(|n| n.checked_mul(size_of::<f32>()));
    let end = size.and_then(|size| start.checked_add(size)).filter(|end| *end <= map.len());
    let Some(end) = end else {
        let message = format!(
            "says that it holds {count} vectors of width {dim}, it has {} bytes: is it whole?",
            map.len()
        );
        return Err(Error::archive(path, message));
    };
    Ok(Stored::Mapped { map, values: start..end, count, dim })
}

/// The tensor `vectors`, or the only one.
fn safetensors(path: &Path, bytes: &[u8]) -> Result<Found> {
    let bad = |message: &str| Error::archive(path, message);
    let broken = || bad("expected a safetensors file with one tensor F32 [N, D], called `vectors`");
    let (size, rest) = bytes.split_first_chunk::<8>().ok_or_else(broken)?;
    let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
    let head = rest.get(..size.min(HEAD)).filter(|head| head.len() == size).ok_or_else(broken)?;
    Budget::CONFIG.json(path, head)?;
    let said: serde_json::Value = serde_json::from_slice(head).map_err(|_| broken())?;
    let tensors = said.as_object().ok_or_else(broken)?;
    let mut tensors = tensors.iter().filter(|(name, _)| *name != "__metadata__");
    let tensor = match (said.get("vectors"), tensors.next(), tensors.next()) {
        (Some(tensor), ..) => tensor,
        (None, Some((_, tensor)), None) => tensor,
        _ => return Err(broken()),
    };
    let numbers = |key: &str| -> Option<[usize; 2]> {
        let numbers = tensor[key].as_array()?.iter().map(|n| usize::try_from(n.as_u64()?).ok());
        numbers.collect::<Option<Vec<_>>>()?.try_into().ok()
    };
    let [count, dim] = numbers("shape").filter(|_| tensor["dtype"] == "F32").ok_or_else(broken)?;
    let [from, to] = numbers("data_offsets").ok_or_else(broken)?;
    if Some(to) != count.checked_mul(dim).and_then(|n| n.checked_mul(4)).and_then(|n| n.checked_add(from)) {
        return Err(bad("has a tensor whose shape and length do not fit"));
    }
    Ok(((8 + size).checked_add(from).ok_or_else(broken)?, count, dim))
}

/// NumPy's array format: `{'descr': '<f4', 'fortran_order': False, 'shape': (N, D), }`.
fn npy(path: &Path, bytes: &[u8]) -> Result<Found> {
    let broken = || Error::archive(path, "expected a .npy file of little-endian fp32 [N, D] in C order");
    let long = match bytes.get(..8).ok_or_else(broken)? {
        b"\x93NUMPY\x01\x00" => false,
        b"\x93NUMPY\x02\x00" | b"\x93NUMPY\x03\x00" => true,
        _ => return Err(broken()),
    };
    let (start, size) = match (long, bytes.get(8..12)) {
        (false, Some([a, b, ..])) => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        (true, Some([a, b, c, d])) => (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize),
        _ => return Err(broken()),
    };
    let head = bytes.get(start..start + size.min(HEAD)).filter(|head| head.len() == size);
    let head = head.and_then(|head| std::str::from_utf8(head).ok()).ok_or_else(broken)?;
    let value = |key: &str| head.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let plain = value("descr").is_some_and(|v| v.starts_with("'<f4'"))
        && value("fortran_order").is_some_and(|v| v.starts_with("False"));
    let shape = value("shape").filter(|_| plain).and_then(|v| v.strip_prefix('('));
    let (shape, _) = shape.and_then(|v| v.split_once(')')).ok_or_else(broken)?;
    let axes: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|a| !a.is_empty()).map(|a| a.parse().ok()).collect();
    match axes.as_deref() {
        Some([count, dim]) => Ok((start + size, *count, *dim)),
        _ => Err(broken()),
    }
}

/// The column `embedding`, or the only one of lists of fractions. All rows are as wide as the first.
fn table(path: &Path) -> Result<Stored> {
    let mut file = ParquetFile::open(path, Limits::default())?;
    let is = |leaf: &crate::columnar::Leaf| leaf.listed && leaf.kind == Kind::Float;
    let vectors: Vec<usize> = (0..file.leaves().len()).filter(|i| is(&file.leaves()[*i])).collect();
    let named = vectors.iter().copied().find(|i| file.leaves()[*i].name == "embedding");
    let only = (vectors.len() == 1).then(|| vectors[0]);
    let Some(leaf) = named.or(only) else {
        let message = "expected a column of lists of fractions called `embedding`, or only one such column";
        return Err(Error::archive(path, message));
    };
    let wanted: Vec<bool> = (0..file.leaves().len()).map(|i| i == leaf).collect();
    file.keep(&wanted);
    let table = Arc::new(Table::alone(Box::new(file)));
    if usize::try_from(table.len()).is_err() {
        return Err(Error::archive(path, "has more rows than this machine can count"));
    }
    let dim = match table.len() {
        0 => 0,
        _ => table.find(leaf, 0)?.slots().filter(|s| s.value.is_some()).count(),
    };
    Ok(Stored::Table { table, leaf, dim })
}

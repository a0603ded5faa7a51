//! Vectors as files that other tools read: `.npy`, `.safetensors` and `.parquet`, with a `.jsonl` of the items beside.

mod parquet;
mod table;

pub(crate) use table::Table;

use crate::{Embedded, Error, Result, Vectors};
use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use unisono_files::{Lock, Pending};
pub use unisono_index::TENSOR;
pub(crate) use unisono_index::{tensor_head, write_item};

/// Bytes before the first number of a `.npy` file: its head fills whole blocks of 64 and is never shorter than 66 or longer than 128.
pub(crate) const NPY_HEAD: u64 = 128;

/// A format of vectors, told by its file's ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// NumPy's array format 1.0 (NEP 1): `numpy.load`.
    Npy,
    /// One tensor called `vectors`: `safetensors.numpy.load_file`.
    Safetensors,
    /// A table of id, modality, path, text and embedding: `pandas.read_parquet`.
    Parquet,
}

impl Format {
    /// The format of `out`: ask before a long job, not after it.
    ///
    /// # Errors
    /// Any other ending.
    pub fn of(out: &Path) -> Result<Self> {
        match out.extension().and_then(|e| e.to_str()) {
            Some("npy") => Ok(Self::Npy),
            Some("safetensors") => Ok(Self::Safetensors),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(Error::Input(format!(
                "{}: expected a name that ends in .npy, .safetensors or .parquet",
                out.display()
            ))),
        }
    }

    /// What its files' names end in, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Safetensors => "safetensors",
            Self::Parquet => "parquet",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let all = [Self::Npy, Self::Safetensors, Self::Parquet];
        let found = all.into_iter().find(|format| format.ending() == text);
        found.ok_or_else(|| "expected npy, safetensors or parquet".into())
    }
}

/// Where the items of `out` are listed: its name with `.jsonl` added.
pub fn items_path(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".jsonl");
    name.into()
}

/// Takes an output file for a long job, before anything is loaded: folders that are missing are made, nobody else may write it until the
/// lock is dropped, and a file that could not be written after the job is refused now. Folders that stay empty vanish again.
///
/// # Errors
/// A folder in its place, a parent that is not writable, another run that writes it.
pub fn claim(out: &Path) -> Result<Lock> {
    if out.is_dir() {
        return Err(Error::format(out, "expected a file's name, found a folder"));
    }
    let lock = Lock::make(out)?;
    drop(Pending::begin(out)?);
    Ok(lock)
}

/// Writes the vectors, fp32 `[N, D]`, to `out` and their items to [`items_path`], one JSON object a line, line `i` for row
/// `i`. Both are whole on the disk before either has its name. [`embed_to`](crate::embed_to) writes the same without holding them.
///
/// # Errors
/// Another ending, a folder that is missing or not writable, no space.
pub fn write(out: &Path, embedded: &Embedded) -> Result<()> {
    let format = Format::of(out)?;
    let bytes = le_bytes(&embedded.vectors.data);
    let table = Table {
        count: embedded.vectors.len(),
        dim: embedded.vectors.dim,
        items: &mut embedded.items.iter().cloned(),
        rows: &mut Cursor::new(bytes),
    };
    let vectors = Pending::write(out, |w| table.write(format, w))?;
    let items =
        Pending::write(&items_path(out), |w| embedded.items.iter().try_for_each(|item| write_item(w, item)))?;
    items.place()?;
    Ok(vectors.place()?)
}

/// Numbers as files hold them.
fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

impl Table<'_> {
    pub(crate) fn write(self, format: Format, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
        match format {
            Format::Npy => {
                out.write_all(&npy_head(self.count, self.dim))?;
                std::io::copy(self.rows, out).map(drop)
            }
            Format::Safetensors => {
                out.write_all(&tensor_head(self.count, self.dim, &HashMap::new())?)?;
                std::io::copy(self.rows, out).map(drop)
            }
            Format::Parquet => parquet::write(out, self),
        }
    }
}

/// What a `.npy` file begins with, [`NPY_HEAD`] bytes.
pub(crate) fn npy_head(count: usize, dim: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {dim}), }}");
    // Magic, version, length and header together fill whole blocks of 64 bytes, the last of them a newline.
    let rest = NPY_HEAD as usize - 10;
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((rest as u16).to_le_bytes());
    head.extend(format!("{header:width$}\n", width = rest - 1).bytes());
    head
}

/// A safetensors file of one tensor, with free metadata, ready to be put in place.
pub(crate) fn safetensors(
    path: &Path,
    vectors: &Vectors,
    metadata: HashMap<String, String>,
) -> Result<Pending> {
    Ok(Pending::write(path, |w| {
        w.write_all(&tensor_head(vectors.len(), vectors.dim, &metadata)?)?;
        vectors.data.chunks(1 << 16).try_for_each(|part| w.write_all(&le_bytes(part)))
    })?)
}

#[cfg(test)]
#[path = "../tests/output.rs"]
mod tests;

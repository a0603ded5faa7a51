//! Writing an index's rows, one after another: memory does not grow with them.

use crate::{Error, ITEMS, Item, Result, SUM, VECTORS, write_item};
use memmap2::Mmap;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use unisono_files::{Pending, hex};

/// The name of the tensor in a `.safetensors` file of vectors.
pub const TENSOR: &str = "vectors";

/// The rows of an index that is being made, in its folder.
#[derive(Debug)]
pub struct Writer {
    folder: PathBuf,
    dim: usize,
    count: usize,
    rows: BufWriter<File>,
    /// Gone with this: the numbers alone, whose file begins with how many they are.
    _rows: Pending,
    lines: BufWriter<File>,
    items: Pending,
    sum: Sha256,
    bytes: u64,
}

/// A file beside `path` and a way to write it bit by bit.
fn begin(path: &Path) -> Result<(Pending, BufWriter<File>)> {
    let mut pending = Pending::begin(path)?;
    let file = pending.file().try_clone().map_err(Error::io(path, "write"))?;
    Ok((pending, BufWriter::new(file)))
}

impl Writer {
    /// Begins in `folder`; `model` is the [contract](crate::ModelRef::contract) of the model that makes the rows, `[D]` each.
    ///
    /// # Errors
    /// The folder is not writable.
    pub fn begin(folder: &Path, model: &str, dim: usize) -> Result<Self> {
        let (rows_file, rows) = begin(&folder.join(VECTORS))?;
        let (items, lines) = begin(&folder.join(ITEMS))?;
        let sum = sum_of(model);
        Ok(Self {
            folder: folder.to_owned(),
            dim,
            count: 0,
            rows,
            _rows: rows_file,
            lines,
            items,
            sum,
            bytes: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// No space.
    pub fn push(&mut self, item: &Item, row: &[f32]) -> Result<()> {
        self.line(item)?;
        let bytes: Vec<u8> = row.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.rows.write_all(&bytes).map_err(Error::io(&self.folder.join(VECTORS), "write"))?;
        self.count += 1;
        Ok(())
    }

    /// Adds the line of an item that has no row; the bytes of all lines then.
    pub(crate) fn line(&mut self, item: &Item) -> Result<u64> {
        let mut line = Vec::new();
        let written = write_item(&mut line, item).and_then(|()| self.lines.write_all(&line));
        written.map_err(Error::io(&self.folder.join(ITEMS), "write"))?;
        self.sum.update(&line);
        self.bytes += line.len() as u64;
        Ok(self.bytes)
    }

    /// Bytes of lines so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The rows so far, `[N, D]` row-major.
    ///
    /// # Errors
    /// No space; nothing that could be mapped.
    pub fn rows(&mut self) -> Result<Mapped> {
        let path = self.folder.join(VECTORS);
        self.rows.flush().map_err(Error::io(&path, "write"))?;
        // SAFETY: a file of this process alone, made under a random name, and not written while the borrow lasts.
        let map = unsafe { Mmap::map(self.rows.get_ref()) }.map_err(Error::io(&path, "map"))?;
        Ok(Mapped(map))
    }

    /// Ends the files of vectors and items; their [`Header::sum`](crate::Header::sum).
    ///
    /// # Errors
    /// No space.
    pub fn finish(mut self) -> Result<String> {
        let (vectors, items) = (self.folder.join(VECTORS), self.folder.join(ITEMS));
        let sum = hex(&self.sum.finalize());
        self.lines.flush().map_err(Error::io(&items, "write"))?;
        self.items.sync()?;
        self.items.place()?;
        self.rows.flush().map_err(Error::io(&vectors, "write"))?;
        let file = self.rows.get_mut();
        file.seek(SeekFrom::Start(0)).map_err(Error::io(&vectors, "read"))?;
        let metadata = HashMap::from([(SUM.to_owned(), sum.clone())]);
        let written = Pending::write(&vectors, |w| {
            w.write_all(&tensor_head(self.count, self.dim, &metadata)?)?;
            std::io::copy(&mut BufReader::new(file), w).map(drop)
        })?;
        written.place()?;
        Ok(sum)
    }
}

/// Rows on the disk, mapped.
#[derive(Debug)]
pub struct Mapped(Mmap);

impl Mapped {
    /// `[N, D]` row-major.
    pub fn values(&self) -> &[f32] {
        // A map begins where a page does.
        bytemuck::try_cast_slice(&self.0).unwrap_or_default()
    }
}

fn sum_of(model: &str) -> Sha256 {
    Sha256::new_with_prefix(model.as_bytes())
}

/// [`Header::sum`](crate::Header::sum) of these lines and this model.
pub fn sum(lines: &[u8], model: &str) -> String {
    let mut hash = sum_of(model);
    hash.update(lines);
    hex(&hash.finalize())
}

/// What a `.safetensors` file of one tensor begins with.
///
/// # Errors
/// Metadata that JSON cannot say.
pub fn tensor_head(count: usize, dim: usize, metadata: &HashMap<String, String>) -> std::io::Result<Vec<u8>> {
    let metadata = match metadata.is_empty() {
        true => String::new(),
        false => format!("\"__metadata__\":{},", serde_json::to_string(metadata)?),
    };
    let bytes = count * dim * size_of::<f32>();
    let header = format!(
        "{{{metadata}\"{TENSOR}\":{{\"dtype\":\"F32\",\"shape\":[{count},{dim}],\"data_offsets\":[0,{bytes}]}}}}"
    );
    // Numbers begin where they are aligned: blanks are counted in bytes, letters are not.
    let length = header.len().next_multiple_of(8);
    let mut head = (length as u64).to_le_bytes().to_vec();
    head.extend(header.bytes());
    head.resize(8 + length, b' ');
    Ok(head)
}

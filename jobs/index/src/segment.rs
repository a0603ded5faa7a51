//! Rows that were written together.

use crate::lines::Lines;
use crate::write::TENSOR;
use crate::{Error, Header, Hit, ITEMS, Item, Result, SUM, VECTORS, top};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::ops::Range;
use std::path::Path;
use unisono_processors::Modality;

/// Vectors and their items. Both stay on the disk, mapped: pages that are searched are cached by the system.
#[derive(Debug)]
pub struct Segment {
    lines: Lines,
    map: Mmap,
    /// Where the `[N, D]` floats lie in `map`.
    values: Range<usize>,
}

impl Segment {
    /// Opens the files in `folder` and checks that they are whole, and those that `header` was written for.
    ///
    /// # Errors
    /// A file that is cut or of another index.
    pub fn open<B>(folder: &Path, header: &Header<B>) -> Result<Self> {
        let path = folder.join(VECTORS);
        let file = unisono_files::open(&path)?;
        // SAFETY: an index is replaced by renaming, never written in place, so the mapped file does not change; a process that
        // cuts it all the same would make any reader fault.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path, "map"))?;
        let values = locate(&path, &map, header)?;
        // After the vectors, which have as many rows: what is held in memory is bounded by that.
        let lines = Lines::open(&folder.join(ITEMS), header)?;
        Ok(Self { lines, map, values })
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item of a row, read from the disk: that of the same row of [`vectors`](Self::vectors).
    pub fn item(&self, row: usize) -> Option<Item> {
        self.lines.item(row)
    }

    /// The items, in the order of their rows, each read when it comes.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        (0..self.len()).filter_map(|row| self.item(row))
    }

    /// The vectors, `[N, D]` row-major.
    pub fn vectors(&self) -> &[f32] {
        // Size and alignment were checked by `locate`; an empty slice finds nothing.
        bytemuck::try_cast_slice(&self.map[self.values.clone()]).unwrap_or_default()
    }

    /// The `k` items most similar to `query` `[D]`, best first, among those of `modalities` (empty: all), by their rows here.
    pub fn search(&self, query: &[f32], k: usize, modalities: &[Modality]) -> Vec<Hit> {
        let keep = |row: usize| modalities.is_empty() || modalities.contains(&self.lines.modality(row));
        top(self.vectors(), query, k, keep)
    }
}

/// Where the floats lie, after every length has been checked.
fn locate(path: &Path, map: &Mmap, header: &Header<impl Sized>) -> Result<Range<usize>> {
    let bytes: &[u8] = map;
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
    let expected = [header.count, header.dim];
    if view.dtype() != Dtype::F32 || view.shape() != expected {
        let (dtype, shape) = (view.dtype(), view.shape());
        let message = format!(
            "expected F32 {expected:?}, found {dtype:?} {shape:?}: of another index; build the index again"
        );
        return Err(Error::format(path, message));
    }
    if metadata.metadata().as_ref().and_then(|m| m.get(SUM)) != Some(&header.sum) {
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

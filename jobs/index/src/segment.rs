//! Rows that were written together.

use crate::write::TENSOR;
use crate::{Error, Header, Hit, ITEMS, Item, Result, SUM, VECTORS, sum, top};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use unisono_files::Budget;
use unisono_processors::Modality;

/// Vectors and their items. The vectors stay on the disk, mapped: pages that are searched are cached by the system.
#[derive(Debug)]
pub struct Segment {
    items: Vec<Item>,
    map: Mmap,
    /// Where the `[N, D]` floats lie in `map`.
    values: Range<usize>,
}

/// Bytes that an item may have in the mean of all: a path and a label, or a text, have some hundreds.
const MOST_ITEM: u64 = 1 << 20;

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
        // After the vectors, which have as many rows: what is read into memory is bounded by that.
        let items = read_items(&folder.join(ITEMS), header)?;
        Ok(Self { items, map, values })
    }

    /// The items; row `i` of [`vectors`](Self::vectors) is item `i`'s.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The vectors, `[N, D]` row-major.
    pub fn vectors(&self) -> &[f32] {
        // Size and alignment were checked by `locate`; an empty slice finds nothing.
        bytemuck::try_cast_slice(&self.map[self.values.clone()]).unwrap_or_default()
    }

    /// The `k` items most similar to `query` `[D]`, best first, among those of `modalities` (empty: all), by their rows here.
    pub fn search(&self, query: &[f32], k: usize, modalities: &[Modality]) -> Vec<Hit> {
        let keep = |row: usize| modalities.is_empty() || modalities.contains(&self.items[row].modality);
        top(self.vectors(), query, k, keep)
    }
}

fn read_items(path: &Path, header: &Header<impl Sized>) -> Result<Vec<Item>> {
    let bytes = (header.count as u64).saturating_mul(MOST_ITEM);
    let text = unisono_files::read_text(path, &Budget { bytes, ..Budget::LINE })?;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != header.count {
        let (expected, found) = (header.count, lines.len());
        let message =
            format!("expected {expected} lines, found {found}: cut or of another index; build it again");
        return Err(Error::format(path, message));
    }
    if sum(text.as_bytes(), &header.model.sha256) != header.sum {
        return Err(Error::format(
            path,
            "not the items that index.json was written for; build the index again",
        ));
    }
    let parse = |(i, line): (usize, &&str)| {
        serde_json::from_str(line).map_err(|e| Error::format(path, format!("line {}: {e}", i + 1)))
    };
    let items: Vec<Item> = lines.par_iter().enumerate().map(parse).collect::<Result<_>>()?;
    let mut counts = BTreeMap::new();
    items.iter().for_each(|item| *counts.entry(item.modality).or_insert(0) += 1);
    if counts != header.modalities {
        return Err(Error::format(
            path,
            "its items' modalities are not those of index.json; build the index again",
        ));
    }
    Ok(items)
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

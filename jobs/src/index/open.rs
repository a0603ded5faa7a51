//! Opening an index and searching it.

use super::{FORMAT_VERSION, Files, HEADER, Header, ITEMS, ModelState, SUM, VECTORS, sum};
use crate::output::TENSOR;
use crate::search::{self, Hit};
use crate::{Embedder, Error, Item, Result, identity};
use memmap2::Mmap;
use rayon::prelude::*;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::Modality;
use unisono_files::Budget;

/// An open index. Its vectors stay on the disk, mapped: pages that are searched are cached by the system.
#[derive(Debug)]
pub struct Index {
    folder: PathBuf,
    header: Header,
    items: Vec<Item>,
    map: Mmap,
    /// Where the `[N, D]` floats lie in `map`.
    values: Range<usize>,
}

/// Bytes that an item may have in the mean of all: a path and a label, or a text, have some hundreds.
const MOST_ITEM: u64 = 1 << 20;

/// Opens the index in `folder` and checks that its three files are whole and belong together.
///
/// # Errors
/// Not an index, another format version, a file that is cut or of another index.
pub fn open(folder: &Path) -> Result<Index> {
    let header = read_header(&folder.join(HEADER))?;
    let path = folder.join(VECTORS);
    let file = unisono_files::open(&path)?;
    // SAFETY: an index is replaced by renaming, never written in place, so the mapped file does not change; a process that
    // cuts it all the same would make any reader fault.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path, "map"))?;
    let values = locate(&path, &map, &header)?;
    // After the vectors, which have as many rows: what is read into memory is bounded by that.
    let items = read_items(&folder.join(ITEMS), &header)?;
    Ok(Index { folder: folder.to_owned(), header, items, map, values })
}

impl Index {
    /// [`open`].
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        open(folder.as_ref())
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Model, counts, how it was built.
    pub fn header(&self) -> &Header {
        &self.header
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

    /// Loads the model that made this index: from where it was, or from `moved`.
    ///
    /// # Errors
    /// It is not there, or its weights or contract are not those of the index: vectors of two models do not compare.
    pub fn embedder(&self, moved: Option<&Path>, device: Device) -> Result<Embedder> {
        let path = moved.unwrap_or(&self.header.model.path);
        if moved.is_none() && !path.is_dir() {
            let message = "the index's model is not there any more; give its new place with `--model`";
            return Err(Error::format(path, message));
        }
        let found = identity(path)?;
        if found != self.header.model.sha256 {
            let message = format!(
                "not the model that made the index {} (SHA-256 {:.12}…, expected {:.12}…); build the index again with it",
                self.folder.display(),
                found,
                self.header.model.sha256
            );
            return Err(Error::format(path, message));
        }
        Embedder::load(path, device)
    }

    /// Whether the model that made this index is still where it was.
    pub fn model_state(&self) -> ModelState {
        match identity(&self.header.model.path) {
            Ok(found) if found == self.header.model.sha256 => ModelState::Unchanged,
            Ok(_) => ModelState::Changed,
            Err(_) => ModelState::Missing,
        }
    }

    /// The items' files, and how many are gone.
    pub fn files(&self) -> Files {
        let paths: HashSet<&Path> = self.items.iter().filter_map(|item| item.path.as_deref()).collect();
        let paths: Vec<&Path> = paths.into_iter().collect();
        let missing = paths.par_iter().filter(|path| !path.exists()).count();
        Files { count: paths.len(), missing }
    }

    /// What a query of this modality looks through when nobody says otherwise: everything, but texts do not search texts where
    /// there is anything else, since words are always nearest to words.
    pub fn searched(&self, query: Modality) -> Vec<Modality> {
        let has: Vec<Modality> = self.header.modalities.keys().copied().collect();
        let others: Vec<Modality> = has.iter().copied().filter(|m| *m != Modality::Text).collect();
        if query == Modality::Text && !others.is_empty() { others } else { has }
    }

    /// The `k` items most similar to `query` `[D]`, best first, among those of `modalities` (empty: all).
    ///
    /// # Errors
    /// A query of another width, or one that is not finite.
    pub fn search(&self, query: &[f32], k: usize, modalities: &[Modality]) -> Result<Vec<Hit>> {
        if query.len() != self.header.dim {
            let (found, expected) = (query.len(), self.header.dim);
            return Err(Error::Input(format!(
                "the query has {found} numbers, the index's vectors {expected}"
            )));
        }
        if query.iter().any(|v| !v.is_finite()) {
            return Err(Error::Input("the query's vector is not finite".into()));
        }
        let keep = |row: usize| modalities.is_empty() || modalities.contains(&self.items[row].modality);
        Ok(search::top(self.vectors(), query, k, keep))
    }
}

fn read_header(path: &Path) -> Result<Header> {
    let broken = |e: String| Error::format(path, format!("{e}; build the index again"));
    let value: serde_json::Value = match unisono_files::read_json(path, &Budget::VOCABULARY) {
        Err(unisono_files::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::format(path, "not there: this is no index; `unisono index build` makes one"));
        }
        Err(unisono_files::Error::Format { message, .. }) => return Err(broken(message)),
        found => found?,
    };
    let version = value.get("format_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(FORMAT_VERSION) {
        let message =
            format!("format version {version}, this build reads {FORMAT_VERSION}; build the index again");
        return Err(Error::format(path, message));
    }
    let header: Header = serde_json::from_value(value).map_err(|e| broken(e.to_string()))?;
    let total: usize = header.modalities.values().fold(0, |a, b| a.saturating_add(*b));
    if header.dim == 0 || header.count == 0 || total != header.count {
        let (n, d) = (header.count, header.dim);
        let message = format!("{n} items of width {d}, {total} by modality: damaged; build the index again");
        return Err(Error::format(path, message));
    }
    Ok(header)
}

fn read_items(path: &Path, header: &Header) -> Result<Vec<Item>> {
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
fn locate(path: &Path, map: &Mmap, header: &Header) -> Result<Range<usize>> {
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

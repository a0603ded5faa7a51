//! Weights of a checkpoint, wherever it keeps them: one safetensors file, shards with an index, or a PyTorch archive that is read
//! without running any of it. Files are memory-mapped; a tensor is copied when it is asked for.

use crate::files::read_json;
use crate::{Error, Result, pickle, tensors};
use memmap2::Mmap;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Where a checkpoint may keep its weights, the safest first.
const FILES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// The same for OpenCLIP's own format.
const OPEN_CLIP_FILES: [&str; 4] = [
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "model.safetensors",
];

/// One tensor's place.
#[derive(Debug)]
pub(crate) struct Entry {
    pub file: usize,
    pub kind: Kind,
    pub shape: Vec<i64>,
    /// In elements, where the tensor is a view of its storage.
    pub strides: Option<Vec<i64>>,
    /// Of the first byte in the file.
    pub start: usize,
    /// Bytes from there to the end of the storage.
    pub len: usize,
}

/// The tensors of a checkpoint, by name.
#[derive(Debug)]
pub struct Weights {
    files: Vec<(PathBuf, Mmap)>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Weights {
    /// Opens the weights of the checkpoint in `dir`.
    ///
    /// # Errors
    /// None there, a shard missing, a file cut short or with anything but tensors.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::first(dir, &FILES)
    }

    /// Opens the weights of the OpenCLIP checkpoint in `dir`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_open_clip(dir: &Path) -> Result<Self> {
        Self::first(dir, &OPEN_CLIP_FILES)
    }

    /// Whether `dir` has weights in OpenCLIP's own files.
    pub fn has_open_clip(dir: &Path) -> bool {
        OPEN_CLIP_FILES[..3].iter().any(|name| dir.join(name).is_file())
    }

    fn first(dir: &Path, names: &[&str]) -> Result<Self> {
        let Some(path) = names.iter().map(|name| dir.join(name)).find(|p| p.is_file()) else {
            return Err(Error::format(dir, format!("no weights here; expected one of {}", names.join(", "))));
        };
        let mut weights = Self { files: Vec::new(), entries: BTreeMap::new() };
        if path.extension().is_some_and(|e| e == "json") {
            weights.add_shards(&path)?;
        } else {
            weights.add(&path)?;
        }
        Ok(weights)
    }

    fn add_shards(&mut self, index: &Path) -> Result<()> {
        let map: Index = read_json(index)?;
        let mut shards: Vec<&String> = map.weight_map.values().collect();
        shards.sort();
        shards.dedup();
        let dir = index.parent().unwrap_or(Path::new("."));
        for (i, shard) in shards.iter().enumerate() {
            let path = dir.join(shard);
            // A name from a stranger's file must not lead out of the folder.
            if Path::new(shard.as_str()).components().count() != 1 {
                return Err(Error::format(index, format!("shard {shard:?} is no file name")));
            }
            if !path.is_file() {
                let n = shards.len();
                return Err(Error::format(
                    &path,
                    format!(
                        "shard {} of {n} that {} lists is not there; download it again",
                        i + 1,
                        name(index)
                    ),
                ));
            }
            self.add(&path)?;
        }
        for (tensor, shard) in &map.weight_map {
            if !self.entries.contains_key(tensor) {
                return Err(Error::format(
                    &dir.join(shard),
                    format!("tensor {tensor} is not in it, though {} says so", name(index)),
                ));
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        // SAFETY: the file is read while mapped; another process that truncates it meanwhile would fault, as it would any reader.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
        let at = self.files.len();
        let found = if path.extension().is_some_and(|e| e == "safetensors") {
            tensors::entries(path, &map, at)?
        } else {
            pickle::entries(path, &map, at)?
        };
        self.entries.extend(found);
        self.files.push((path.to_owned(), map));
        Ok(())
    }

    /// Every name, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.entries.get(name).map(|e| e.shape.as_slice())
    }

    /// The kind in which a tensor is stored.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.entries.get(name).map(|e| e.kind)
    }

    /// The first file, which errors about the whole name.
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), |(p, _)| p)
    }

    /// A tensor in single precision on the CPU; `None` when there is none of this name.
    ///
    /// # Errors
    /// libtorch's.
    pub fn get(&self, name: &str) -> Result<Option<Tensor>> {
        let Some(e) = self.entries.get(name) else { return Ok(None) };
        let (path, map) = &self.files[e.file];
        let Some(bytes) = map.get(e.start..e.start + e.len) else {
            return Err(Error::format(path, format!("tensor {name} lies beyond the file's end")));
        };
        let size = e.kind.elt_size_in_bytes();
        let tensor = match &e.strides {
            None => Tensor::f_from_data_size(bytes, &e.shape, e.kind)?,
            Some(strides) => {
                let flat = Tensor::f_from_data_size(bytes, &[(e.len / size) as i64], e.kind)?;
                flat.f_as_strided(&e.shape, strides, None)?.f_contiguous()?
            }
        };
        Ok(Some(tensor.f_to_kind(Kind::Float)?))
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

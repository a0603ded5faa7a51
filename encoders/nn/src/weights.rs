//! Weights of a checkpoint, wherever it keeps them: one safetensors file, shards with an index, or a PyTorch archive that is read
//! without running any of it. Files are memory-mapped; a tensor is copied when it is asked for.

use crate::entry::Entry;
use crate::{Error, LoadReport, Params, Result, ctranslate2, pickle, tensors};
use memmap2::Mmap;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};
use unisono_files::Budget;

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

/// CTranslate2's only one.
const CTRANSLATE2: &str = "model.bin";

/// Tensors that share their bytes (tied embeddings) are read once a name; together they may have so many times the file's bytes.
const SHARED: u64 = 4;

/// The tensors of a checkpoint, by name.
#[derive(Debug, Default)]
pub struct Weights {
    files: Vec<(PathBuf, Mmap)>,
    entries: BTreeMap<String, Entry>,
    /// Of tensors kept as integers: what they were multiplied by.
    scales: BTreeMap<String, Entry>,
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

    /// Opens the weights of a model of CTranslate2 in `dir`, and says what kind of model it calls itself.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_ctranslate2(dir: &Path) -> Result<(Self, String)> {
        let path = dir.join(CTRANSLATE2);
        let map = tensors::map(&path)?;
        let found = ctranslate2::entries(&path, &map, 0)?;
        let mut weights = Self { scales: found.scales, ..Self::default() };
        weights.take(&path, map, found.entries)?;
        Ok((weights, found.spec))
    }

    /// Whether `dir` has weights in CTranslate2's file.
    pub fn has_ctranslate2(dir: &Path) -> bool {
        dir.join(CTRANSLATE2).exists()
    }

    /// Whether `dir` has weights in OpenCLIP's own files.
    pub fn has_open_clip(dir: &Path) -> bool {
        OPEN_CLIP_FILES[..3].iter().any(|name| dir.join(name).exists())
    }

    fn first(dir: &Path, names: &[&str]) -> Result<Self> {
        let Some(path) = names.iter().map(|name| dir.join(name)).find(|p| p.exists()) else {
            return Err(Error::format(dir, format!("no weights here; expected one of {}", names.join(", "))));
        };
        let mut weights = Self::default();
        if path.extension().is_some_and(|e| e == "json") {
            weights.add_shards(&path)?;
        } else {
            weights.add(&path)?;
        }
        Ok(weights)
    }

    fn add_shards(&mut self, index: &Path) -> Result<()> {
        let map: Index = unisono_files::read_json(index, &Budget::VOCABULARY)?;
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
            if !path.exists() {
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

    /// Opens one safetensors file.
    ///
    /// # Errors
    /// Not there, cut short, or of something else than tensors.
    pub fn open_file(path: &Path) -> Result<Self> {
        let mut weights = Self::default();
        weights.add(path)?;
        Ok(weights)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let map = tensors::map(path)?;
        let at = self.files.len();
        let found = if path.extension().is_some_and(|e| e == "safetensors") {
            tensors::entries(path, &map, at)?
        } else {
            pickle::entries(path, &map, at)?
        };
        self.take(path, map, found)
    }

    fn take(&mut self, path: &Path, map: Mmap, found: Vec<(String, Entry)>) -> Result<()> {
        let bytes = |e: &Entry| e.elements().saturating_mul(e.kind.elt_size_in_bytes() as u64);
        let (all, has) = (found.iter().map(|(_, e)| bytes(e)).fold(0, u64::saturating_add), map.len() as u64);
        if all > has.saturating_mul(SHARED) {
            return Err(Error::format(
                path,
                format!(
                    "its tensors are {all} bytes and the file {has}: expected at most {SHARED} times as many"
                ),
            ));
        }
        self.entries.extend(found);
        self.files.push((path.to_owned(), map));
        Ok(())
    }

    /// Adds another checkpoint's tensors, each name behind `prefix`.
    pub fn join(&mut self, prefix: &str, other: Self) {
        let before = self.files.len();
        let moved = |(name, entry): (String, Entry)| {
            (format!("{prefix}{name}"), Entry { file: entry.file + before, ..entry })
        };
        self.entries.extend(other.entries.into_iter().map(moved));
        self.scales.extend(other.scales.into_iter().map(moved));
        self.files.extend(other.files);
    }

    /// Numbers in all tensors together.
    pub fn elements(&self) -> u64 {
        self.entries.values().map(Entry::elements).fold(0, u64::saturating_add)
    }

    /// How many numbers a model may have that is filled from these: what a configuration asks for is held against what the file has,
    /// before any of it is allocated. Some tensors of ours are made of one of theirs (position tables for larger images) or of none
    /// (biases that a family lacks), so it is twice as many and 16 million.
    pub fn room(&self) -> u64 {
        self.elements().saturating_mul(2).saturating_add(1 << 24)
    }

    /// Copies every tensor into the parameter of its name; none of either may be left over. The report says what was, and nothing is
    /// copied then.
    ///
    /// # Errors
    /// Anything missing, unexpected, or of another shape.
    pub fn fill(&self, params: &Params) -> Result<LoadReport> {
        let mut report = LoadReport::default();
        for (name, p) in params.iter() {
            match self.shape(name) {
                None => report.missing.push(name.to_owned()),
                Some(shape) if shape != p.tensor.size() => {
                    report.mismatched.push((name.to_owned(), p.tensor.size(), shape.to_vec()));
                }
                Some(_) => report.loaded += 1,
            }
        }
        report.unexpected = self.names().filter(|n| params.get(n).is_none()).map(str::to_owned).collect();
        if !report.is_exact() {
            return Err(Error::Weights { path: self.path().to_owned(), report: Box::new(report) });
        }
        for (name, p) in params.iter() {
            if let Some(value) = self.get(name)? {
                tch::no_grad(|| p.tensor.shallow_clone().f_copy_(&value))?;
            }
        }
        Ok(report)
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
        let tensor = self.read(name, e)?;
        let Some(scale) = self.scales.get(name) else { return Ok(Some(tensor)) };
        let scale = self.read(name, scale)?;
        // One for the tensor, or one a row.
        let mut shape = vec![1; e.shape.len()];
        if let Some(first) = shape.first_mut() {
            *first = scale.numel() as i64;
        }
        Ok(Some(tensor.f_div(&scale.f_view(shape.as_slice())?)?))
    }

    fn read(&self, name: &str, e: &Entry) -> Result<Tensor> {
        let (path, map) = &self.files[e.file];
        let Some(bytes) = map.get(e.start..e.start + e.len) else {
            return Err(Error::format(path, format!("tensor {name} lies beyond the file's end")));
        };
        let tensor = match &e.strides {
            None => Tensor::f_from_data_size(bytes, &e.shape, e.kind)?,
            Some(strides) => Tensor::f_from_data_size(&gathered(bytes, e, strides), &e.shape, e.kind)?,
        };
        Ok(tensor.f_to_kind(Kind::Float)?)
    }
}

/// The elements of a view, row after row: as many bytes as it has, however far apart they lie.
fn gathered(bytes: &[u8], e: &Entry, strides: &[i64]) -> Vec<u8> {
    let size = e.kind.elt_size_in_bytes();
    let mut out = Vec::with_capacity(e.elements() as usize * size);
    let mut index = vec![0i64; e.shape.len()];
    for _ in 0..e.elements() {
        // Within the bytes: the file's reader has held the last element against them.
        let at = index.iter().zip(strides).map(|(i, s)| i * s).sum::<i64>() as usize * size;
        out.extend_from_slice(&bytes[at..at + size]);
        for (i, n) in index.iter_mut().zip(&e.shape).rev() {
            *i += 1;
            if *i < *n {
                break;
            }
            *i = 0;
        }
    }
    out
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

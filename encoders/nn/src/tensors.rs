//! Safetensors files: memory-mapped reading, atomic writing.

use crate::entry::Entry;
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tch::{Kind, Tensor};
use unisono_files::Budget;

/// The table before the numbers: some ten values and a hundred bytes a tensor.
const HEADER: Budget = Budget { bytes: 64 << 20, values: 1 << 22, depth: 8 };
/// More axes than any tensor of a model has.
const AXES: usize = 8;

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    Some(match kind {
        Kind::Float => Dtype::F32,
        Kind::Double => Dtype::F64,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Int64 => Dtype::I64,
        Kind::Int => Dtype::I32,
        Kind::Int16 => Dtype::I16,
        Kind::Int8 => Dtype::I8,
        Kind::Uint8 => Dtype::U8,
        Kind::Bool => Dtype::BOOL,
        _ => return None,
    })
}

/// Tensors by name and the file's free metadata.
pub type Tensors = (BTreeMap<String, Tensor>, HashMap<String, String>);

/// Reads a whole file. Each tensor is copied once, out of the mapping.
///
/// # Errors
/// Not there, cut short, not safetensors, or a dtype that libtorch lacks.
pub fn read(path: &Path) -> Result<Tensors> {
    let map = map(path)?;
    let parsed = parse(path, &map)?;
    let cut = |e| broken(path, map.len(), e);
    let (_, header) = SafeTensors::read_metadata(&map).map_err(cut)?;
    let mut tensors = BTreeMap::new();
    for (name, view) in parsed.iter() {
        let (kind, shape) = form(path, name, &view)?;
        tensors.insert(name.to_owned(), Tensor::f_from_data_size(view.data(), &shape, kind)?);
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

/// A regular file in memory, read where it is looked at.
pub(crate) fn map(path: &Path) -> Result<memmap2::Mmap> {
    let file = unisono_files::open(path)?;
    // SAFETY: the file is read while mapped; another process that truncates it meanwhile would fault, as it would any reader.
    unsafe { memmap2::Mmap::map(&file) }.map_err(|e| Error::io(path, e))
}

fn broken(path: &Path, length: usize, e: safetensors::SafeTensorError) -> Error {
    Error::format(
        path,
        format!("{length} bytes that are no whole safetensors file ({e}); download or copy it again"),
    )
}

/// The file's table, whose offsets the library holds against each other and against the file's length.
fn parse<'a>(path: &Path, map: &'a [u8]) -> Result<SafeTensors<'a>> {
    if let Some((length, rest)) = map.split_first_chunk::<8>() {
        let length = u64::from_le_bytes(*length);
        HEADER.of(path).bytes(length)?;
        HEADER.json(path, rest.get(..length as usize).unwrap_or_default())?;
    }
    SafeTensors::deserialize(map).map_err(|e| broken(path, map.len(), e))
}

/// A tensor's kind and shape in libtorch's terms.
fn form(path: &Path, name: &str, view: &safetensors::tensor::TensorView) -> Result<(Kind, Vec<i64>)> {
    let (dtype, shape) = (view.dtype(), view.shape());
    let Some(kind) = kind_of(dtype) else {
        return Err(Error::format(
            path,
            format!("tensor {name} has dtype {dtype:?}, which libtorch cannot hold"),
        ));
    };
    let sizes: Option<Vec<i64>> = shape.iter().map(|d| i64::try_from(*d).ok()).collect();
    // Axes of no length leave the others unbounded; libtorch multiplies those all the same.
    let bounded = |s: &[i64]| s.iter().filter(|d| **d > 0).try_fold(8i64, |n, d| n.checked_mul(*d)).is_some();
    match sizes {
        Some(sizes) if sizes.len() <= AXES && bounded(&sizes) => Ok((kind, sizes)),
        _ => Err(Error::format(
            path,
            format!(
                "tensor {name} has shape {shape:?}: expected at most {AXES} axes, of lengths that can be"
            ),
        )),
    }
}

/// Where the tensors of a mapped file lie, without copying any; `file` is noted in each.
pub(crate) fn entries(path: &Path, map: &[u8], file: usize) -> Result<Vec<(String, Entry)>> {
    let parsed = parse(path, map)?;
    let mut found = Vec::with_capacity(parsed.len());
    for (name, view) in parsed.iter() {
        let (kind, shape) = form(path, name, &view)?;
        // The view is a part of the map.
        let start = view.data().as_ptr() as usize - map.as_ptr() as usize;
        found.push((
            name.to_owned(),
            Entry { file, kind, shape, strides: None, start, len: view.data().len() },
        ));
    }
    Ok(found)
}

/// A tensor's bytes, copied out of libtorch when they are written.
struct Bytes<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl View for Bytes<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0u8; self.data_len()];
        // Made contiguous on the CPU by `write`, so this copy cannot fail.
        if self.tensor.f_copy_data_u8(&mut bytes, self.tensor.numel()).is_err() {
            bytes.clear();
        }
        Cow::Owned(bytes)
    }
    fn data_len(&self) -> usize {
        self.tensor.numel() * self.tensor.kind().elt_size_in_bytes()
    }
}

/// Writes `tensors` to `path`: to a file beside it first, synced, then renamed, so `path` is never half a file.
///
/// # Errors
/// A dtype without a safetensors name, no space, no permission.
pub fn write(path: &Path, tensors: &[(String, Tensor)], metadata: HashMap<String, String>) -> Result<()> {
    let mut on_cpu = Vec::with_capacity(tensors.len());
    for (name, t) in tensors {
        on_cpu.push((name, t.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?));
    }
    let mut views = Vec::with_capacity(tensors.len());
    for (name, t) in &on_cpu {
        let Some(dtype) = dtype_of(t.kind()) else {
            return Err(Error::format(
                path,
                format!("tensor {name} has kind {:?}, which safetensors cannot hold", t.kind()),
            ));
        };
        let shape = t.size().iter().map(|d| *d as usize).collect();
        views.push((name.as_str(), Bytes { tensor: t, dtype, shape }));
    }
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| Error::format(path, format!("could not be put together: {e}")))?;
    Ok(unisono_files::write(path, &bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let a = Tensor::from_slice(&[1f32, -2.5, 3.0]).view([3, 1]);
        let b = Tensor::from_slice(&[1i64 << 40, -1]);
        let c = Tensor::arange(6, (Kind::Float, tch::Device::Cpu)).view([2, 3]).transpose(0, 1);
        let meta = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let all = [
            ("a".into(), a.shallow_clone()),
            ("b".into(), b.shallow_clone()),
            ("c".into(), c.shallow_clone()),
        ];
        write(&path, &all, meta.clone()).unwrap();
        let (tensors, found) = read(&path).unwrap();
        assert_eq!((&tensors["a"], &tensors["b"], &tensors["c"]), (&a, &b, &c));
        assert_eq!(found, meta);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, &[("a".into(), Tensor::zeros([100], (Kind::Float, tch::Device::Cpu)))], HashMap::new())
            .unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 4, 20, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let e = read(&path).unwrap_err().to_string();
            assert!(e.contains("x.safetensors"), "{cut}: {e}");
        }
        assert!(read(&dir.path().join("none")).is_err());
    }
}

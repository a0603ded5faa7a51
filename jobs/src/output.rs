//! Vectors as files that other tools read: `.npy`, `.safetensors` and `.parquet`, with a `.jsonl` of the items beside.

use crate::{Embedded, Error, Item, Result, Vectors};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use unisono_files::{Lock, Pending};

/// The name of the tensor in a `.safetensors` file.
pub const TENSOR: &str = "vectors";

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
    drop(Pending::write(out, |_| Ok(()))?);
    Ok(lock)
}

/// Writes the vectors, fp32 `[N, D]`, to `out` and their items to [`items_path`], one JSON object a line, line `i` for row
/// `i`. Both are whole on the disk before either has its name.
///
/// # Errors
/// Another ending, a folder that is missing or not writable, no space.
pub fn write(out: &Path, embedded: &Embedded) -> Result<()> {
    let vectors = match Format::of(out)? {
        Format::Npy => Pending::write(out, |w| write_npy(w, &embedded.vectors))?,
        Format::Safetensors => safetensors(out, &embedded.vectors, HashMap::new())?,
        Format::Parquet => Pending::write(out, |w| crate::parquet::write(w, embedded))?,
    };
    let items = Pending::write(&items_path(out), |w| write_items(w, &embedded.items))?;
    items.place()?;
    Ok(vectors.place()?)
}

/// One JSON object a line.
pub(crate) fn write_items(out: &mut dyn Write, items: &[Item]) -> std::io::Result<()> {
    for item in items {
        serde_json::to_writer(&mut *out, item)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// A safetensors file of one tensor, with free metadata, ready to be put in place.
pub(crate) fn safetensors(
    path: &Path,
    vectors: &Vectors,
    metadata: HashMap<String, String>,
) -> Result<Pending> {
    let shape = vec![vectors.len(), vectors.dim];
    let data = bytemuck::cast_slice(&vectors.data);
    let whole = TensorView::new(Dtype::F32, shape, data)
        .and_then(|view| safetensors::serialize([(TENSOR, view)], Some(metadata)))
        .map_err(|e| Error::format(path, format!("cannot be put together: {e}")))?;
    Ok(Pending::write(path, |w| w.write_all(&whole))?)
}

fn write_npy(out: &mut dyn Write, vectors: &Vectors) -> std::io::Result<()> {
    let (n, d) = (vectors.len(), vectors.dim);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({n}, {d}), }}");
    // Magic, version, length and header together fill whole blocks of 64 bytes, the last of them a newline.
    let unpadded = 10 + header.len() + 1;
    header.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    header.push('\n');
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    vectors.data.chunks(1 << 16).try_for_each(|part| {
        let bytes: Vec<u8> = part.iter().flat_map(|v| v.to_le_bytes()).collect();
        out.write_all(&bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn embedded() -> Embedded {
        let vectors = Vectors { dim: 2, data: vec![1.0, -2.5, 0.0, 4.0, 5.0, 6.5] };
        let items = ["a", "b\n", "ж"].iter().map(|t| Item::text(*t, *t)).collect();
        Embedded { vectors, items, skipped: vec![] }
    }

    #[test]
    fn npy_is_what_numpy_says() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("v.npy");
        write(&out, &embedded()).unwrap();
        let bytes = fs::read(&out).unwrap();
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + header) % 64, 0);
        let text = std::str::from_utf8(&bytes[10..10 + header]).unwrap();
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }"), "{text}");
        assert!(text.ends_with('\n'));
        let floats: Vec<f32> =
            bytes[10 + header..].chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        assert_eq!(floats, embedded().vectors.data);
        let ids = fs::read_to_string(dir.path().join("v.npy.jsonl")).unwrap();
        assert_eq!(ids.lines().count(), 3);
        assert_eq!(ids.lines().next().unwrap(), r#"{"id":"a","modality":"text","text":"a"}"#);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn safetensors_round_trips() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("v.safetensors");
        write(&out, &embedded()).unwrap();
        let (tensors, _) = unisono_nn::tensors::read(&out).unwrap();
        assert_eq!(tensors[TENSOR].size(), [3, 2]);
        assert_eq!(unisono_encoders::to_vec(&tensors[TENSOR]).unwrap(), embedded().vectors.data);
    }

    #[test]
    fn other_endings_are_refused_with_what_is_supported() {
        for name in ["v.csv", "v", "v.NPY", "npy"] {
            let e = Format::of(Path::new(name)).unwrap_err().to_string();
            assert!(e.contains(".npy, .safetensors or .parquet"), "{e}");
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("d.npy")).unwrap();
        assert!(claim(&dir.path().join("d.npy")).unwrap_err().to_string().contains("found a folder"));
    }

    #[test]
    fn one_job_an_output() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("no/such/v.npy");
        let held = claim(&out).unwrap();
        assert!(claim(&out).unwrap_err().to_string().contains("is being written by another run"));
        drop(held);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "what was made for nothing is gone");
        let held = claim(&out).unwrap();
        write(&out, &embedded()).unwrap();
        drop(held);
        assert_eq!(fs::read_dir(dir.path().join("no/such")).unwrap().count(), 2);
    }
}

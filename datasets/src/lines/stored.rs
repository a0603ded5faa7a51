//! Entries in a file beside the text file, or in the cache where that folder cannot be written.

use super::entry::{BYTES, Entry};
use crate::{Error, Result, position};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use unisono_files::{Budget, cache_folder, short_sum};

/// After the entries come this as JSON, the length of that in 8 bytes, and [`MAGIC`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Foot {
    /// What the text file was like, and how it was read: an index of anything else is stale.
    pub of: Of,
    pub len: u64,
    pub sum: String,
    pub splits: Vec<String>,
    pub langs: Vec<String>,
    /// Records of each split, those without one first.
    pub counts: Vec<u64>,
}

/// What an index is of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Of {
    pub version: u32,
    pub stamp: String,
    pub form: String,
}

pub(super) const VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"unilines";

/// The two places of an index.
pub(super) fn places(path: &Path) -> [PathBuf; 2] {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = full.file_name().unwrap_or_default().to_string_lossy();
    let beside = full.with_file_name(format!(".{name}.index"));
    let sum = short_sum(full.as_os_str().as_encoded_bytes());
    [beside, cache_folder().join("indices").join(format!("{sum}.index"))]
}

/// What stands behind the entries.
pub(super) fn tail(foot: &Foot) -> std::io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(foot)?;
    bytes.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(bytes)
}

/// An index that is of what is wanted; `None`: there is none there, or a stale or broken one.
pub(super) fn open(place: &Path, of: &Of) -> Option<(File, Foot)> {
    let mut file = unisono_files::open(place).ok()?;
    let length = file.metadata().ok()?.len();
    let mut end = [0; 16];
    file.seek(SeekFrom::Start(length.checked_sub(16)?)).ok()?;
    file.read_exact(&mut end).ok()?;
    let (size, magic) = end.split_first_chunk::<8>()?;
    let size = u64::from_le_bytes(*size);
    if magic != MAGIC || size > Budget::CONFIG.bytes {
        return None;
    }
    let entries = length.checked_sub(16)?.checked_sub(size)?;
    let mut json = vec![0; size as usize];
    file.seek(SeekFrom::Start(entries)).ok()?;
    file.read_exact(&mut json).ok()?;
    Budget::CONFIG.json(place, &json).ok()?;
    let foot: Foot = serde_json::from_slice(&json).ok()?;
    let whole = foot.len.checked_mul(BYTES as u64) == Some(entries);
    (whole && foot.of == *of && foot.counts.len() == foot.splits.len() + 1).then_some((file, foot))
}

/// So many entries from a number on.
///
/// # Errors
/// The index was cut since it was opened.
pub(super) fn entries(file: &File, place: &Path, from: u64, count: usize) -> Result<Vec<Entry>> {
    let mut bytes = vec![0; count * BYTES];
    position::read(file, &mut bytes, from * BYTES as u64).map_err(Error::io(place, "read"))?;
    Ok(bytes.as_chunks::<BYTES>().0.iter().map(Entry::from_bytes).collect())
}

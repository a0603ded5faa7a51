//! The hub's cache, as a store of models that others made: `OWNER/NAME` and `OWNER/NAME@REVISION`.

use super::entries::entries;
use crate::Result;
use hf_hub::Cache;
use serde::Serialize;
use std::path::{Path, PathBuf};
use unisono_encoders::families;
use walkdir::WalkDir;

/// Letters of a revision that are enough to name it.
const LETTERS: usize = 7;

/// A revision of a model in the hub's cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cached {
    /// `OWNER/NAME`.
    pub id: String,
    /// The revision.
    pub revision: String,
    /// What wrote it, where that can be told without its weights.
    pub family: Option<String>,
    /// Bytes of its files.
    pub bytes: u64,
    /// Its folder.
    pub place: PathBuf,
}

/// The hub's cache.
pub(super) fn folder() -> PathBuf {
    Cache::from_env().path().clone()
}

/// The models in the hub's cache, by id.
///
/// # Errors
/// A folder that cannot be read.
pub fn cached() -> Result<Vec<Cached>> {
    let (folder, mut all) = (folder(), Vec::new());
    for entry in entries(&folder)? {
        let Some(id) = entry.strip_prefix("models--").map(|name| name.replacen("--", "/", 1)) else {
            continue;
        };
        let snapshots = folder.join(&entry).join("snapshots");
        for revision in entries(&snapshots)? {
            let place = snapshots.join(&revision);
            if let Some(bytes) = weights(&place) {
                let family = families::family(&place).ok();
                all.push(Cached { id: id.clone(), revision, family, bytes, place });
            }
        }
    }
    Ok(all)
}

/// The bytes of a model's files; none where no weights are among them: tokenizers and data sets lie there, too.
fn weights(place: &Path) -> Option<u64> {
    let (mut bytes, mut any) = (0, false);
    for entry in WalkDir::new(place).follow_links(true).max_depth(3).into_iter().flatten() {
        if entry.file_type().is_file() {
            bytes += entry.metadata().map_or(0, |meta| meta.len());
            let end = entry.path().extension().and_then(|end| end.to_str());
            any |= matches!(end, Some("safetensors" | "bin"));
        }
    }
    any.then_some(bytes)
}

/// The snapshot of `OWNER/NAME@REVISION`, which may be cut to its first letters.
pub(crate) fn revision(id: &str, revision: &str) -> Option<PathBuf> {
    let snapshots = folder().join(format!("models--{}", id.replace('/', "--"))).join("snapshots");
    let wanted = |name: &String| name == revision || revision.len() >= LETTERS && name.starts_with(revision);
    let mut found = entries(&snapshots).ok()?.into_iter().filter(wanted);
    let one = found.next()?;
    found.next().is_none().then(|| snapshots.join(one))
}

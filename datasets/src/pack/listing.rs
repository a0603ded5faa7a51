//! The list of what was packed: `index.json` beside the shards.

use super::format::Format;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::Path;
use unisono_files::{Budget, hex, read_json};

/// Its file's name.
pub const LISTING: &str = "index.json";
/// The version of its form.
pub(super) const VERSION: u32 = 1;

/// What a folder of shards holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// `pack`.
    pub unisono: String,
    /// The version of this form.
    pub format_version: u32,
    /// What the shards are.
    pub format: Format,
    /// A sum over the source and what decides how it is cut.
    pub work: String,
    /// Records in all shards.
    pub records: u64,
    /// Records of the source that could not be packed.
    pub skipped: u64,
    /// In their order.
    pub shards: Vec<ListedShard>,
}

/// A shard that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedShard {
    /// Its file's name.
    pub name: String,
    /// Its records.
    pub records: u64,
    /// Its file's bytes.
    pub bytes: u64,
    /// Its file's SHA-256.
    pub sha256: String,
}

impl Listing {
    /// The list in a folder; `None` where there is none of ours.
    ///
    /// # Errors
    /// It cannot be read, is of another version, or names what is no file beside it.
    pub fn of(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(LISTING);
        if !path.is_file() {
            return Ok(None);
        }
        let value: Value = read_json(&path, &Budget::VOCABULARY)?;
        if value.get("unisono").and_then(Value::as_str) != Some("pack") {
            return Ok(None);
        }
        if let Some(found) = value.get("format_version").filter(|v| v.as_u64() != Some(VERSION.into())) {
            let message = format!(
                "expected format_version {VERSION}, found {found}: another version of unisono wrote it"
            );
            return Err(Error::archive(&path, message));
        }
        let listing: Self =
            serde_json::from_value(value).map_err(|e| Error::archive(&path, e.to_string()))?;
        let leads = |shard: &&ListedShard| {
            shard.name.is_empty() || shard.name.contains(['/', '\\', '\0']) || shard.name.starts_with('.')
        };
        match listing.shards.iter().find(leads) {
            None => Ok(Some(listing)),
            Some(shard) => Err(Error::archive(
                &path,
                format!("expected names of files beside it, found {}", crate::plain::quoted(&shard.name)),
            )),
        }
    }
}

impl ListedShard {
    /// Whether the file in this folder is still what was written.
    pub(super) fn is_whole(&self, folder: &Path) -> bool {
        let path = folder.join(&self.name);
        let Ok(file) = unisono_files::open(&path) else { return false };
        if file.metadata().map_or(0, |meta| meta.len()) != self.bytes {
            return false;
        }
        let (mut file, mut sum, mut buffer) = (file, Sha256::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return hex(&sum.finalize()) == self.sha256,
                Ok(n) => sum.update(&buffer[..n]),
                Err(_) => return false,
            }
        }
    }
}

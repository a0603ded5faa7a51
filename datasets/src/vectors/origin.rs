//! Which model made vectors.

use crate::Result;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use unisono_files::{Budget, read_json};

/// What stands beside vectors of what made them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The model's identity: a sum over its weights and contract.
    pub model: String,
    /// What else changes a vector: precision, prompt, windows of audio files.
    #[serde(default)]
    pub settings: String,
    /// SHA-256 over the rows as fp32, little-endian.
    pub sum: String,
    /// Rows N.
    pub count: usize,
    /// Width D.
    pub dim: usize,
}

/// Where that stands: the name of the vectors' file with `.model.json` added.
pub fn origin_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".model.json");
    name.into()
}

impl Origin {
    /// What stands beside a file of vectors; `None`: nothing.
    ///
    /// # Errors
    /// Something that is no such thing.
    pub fn beside(path: &Path) -> Result<Option<Self>> {
        let path = origin_path(path);
        match path.exists() {
            false => Ok(None),
            true => Ok(Some(read_json(&path, &Budget::CONFIG)?)),
        }
    }
}

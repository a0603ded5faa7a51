//! What an index says of itself.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use unisono_processors::{AudioWindow, Modality, Prompt};

/// The version of the folder's layout. A reader refuses another.
pub const FORMAT_VERSION: u32 = 1;

/// `index.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header<B> {
    /// [`FORMAT_VERSION`] of the build that wrote it.
    pub format_version: u32,
    /// The model that made the vectors.
    pub model: ModelRef,
    /// Width D.
    pub dim: usize,
    /// Number of items N.
    pub count: usize,
    /// Items by modality.
    pub modalities: BTreeMap<Modality, usize>,
    /// SHA-256 over `items.jsonl` and the model's [contract](ModelRef::contract). The vectors carry it too, so files of two indexes cannot be
    /// mixed unseen.
    pub sum: String,
    /// When and how.
    pub built: B,
}

/// The model that made an index's vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRef {
    /// Its directory, absolute.
    pub path: PathBuf,
    /// A sum over its weights and contract: vectors of models with different sums do not compare.
    pub sha256: String,
    /// What was put before the texts of the index; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// How much was heard of windows that a sound does not fill; absent: all of them.
    #[serde(default, skip_serializing_if = "AudioWindow::is_whole")]
    pub window: AudioWindow,
}

impl ModelRef {
    /// What made the vectors, as the index's sum holds it: the model, what was put before texts, and how much was heard of windows.
    pub fn contract(&self) -> String {
        let prompt = self.prompt.as_ref().map(|prompt| format!("\n{}", prompt.text)).unwrap_or_default();
        let window = if self.window.is_whole() { "" } else { "\ncut windows" };
        format!("{}{prompt}{window}", self.sha256)
    }
}

/// The files that an index's items name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Files {
    /// How many, one that several items name counted once.
    pub count: usize,
    /// How many of them are not there any more.
    pub missing: usize,
}

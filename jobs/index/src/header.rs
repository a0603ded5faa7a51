//! What an index says of itself.

use crate::chance::Chance;
use crate::{Method, Recalled, Store};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_processors::{AudioWindow, Modality, Prompt};

/// The version of the folder's layout that is written. The first, one segment in the index's own folder, is read besides.
pub const FORMAT_VERSION: u32 = 2;

/// `index.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header<B> {
    /// [`FORMAT_VERSION`] of the build that wrote it, or 1.
    pub format_version: u32,
    /// The model that made the vectors.
    pub model: ModelRef,
    /// Width D.
    pub dim: usize,
    /// Number of items N that are found.
    pub count: usize,
    /// Items by modality.
    pub modalities: BTreeMap<Modality, usize>,
    /// Of the first format, SHA-256 over `items.jsonl` and the model's [contract](ModelRef::contract). The vectors carry it too, so files of two
    /// indexes cannot be mixed unseen. Of the second, over the same of its segments.
    pub sum: String,
    /// What it is made of; nothing in the first format.
    #[serde(default, skip_serializing_if = "Parts::is_none")]
    pub parts: Parts,
    /// When and how.
    pub built: B,
}

/// What an index is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// The folder that its items' paths lie below, as they are written; it may have moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// Where that folder is now, when it has moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<PathBuf>,
    /// Items that hold what another item holds: known, and not found by themselves.
    #[serde(default)]
    pub copies: usize,
    /// The next segment's number; no number is used twice.
    #[serde(default)]
    pub next: u64,
    /// How it looks for what is near: what new segments have beside their vectors.
    #[serde(default, skip_serializing_if = "Method::is_usual")]
    pub method: Method,
    /// Its segments, in the order of their rows.
    pub segments: Vec<SegmentRef>,
    /// How random pairs score, by modality of query and item.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chances: Vec<Chance>,
    /// What its method finds of what comparing all finds, by modality of query and item; empty where it compares all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recalled: Vec<Recalled>,
}

impl Parts {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The root where it is now.
    pub fn root_now(&self) -> Option<&Path> {
        self.moved.as_deref().or(self.root.as_deref())
    }
}

/// One segment, as its index knows it: nothing of it changes but which of its rows are removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentRef {
    /// Its number: `segments/000007`.
    pub number: u64,
    /// Rows with a vector.
    pub rows: usize,
    /// Rows behind them that hold what another row holds.
    #[serde(default)]
    pub copies: usize,
    /// Bytes of its items.
    pub bytes: u64,
    /// SHA-256 over its items and the model's contract, which its vectors carry, too.
    pub sum: String,
    /// SHA-256 over its file of vectors.
    pub vectors: String,
    /// SHA-256 over its columns.
    pub columns: String,
    /// Its vectors in fewer bytes, where it has them so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codes: Option<CodesRef>,
    /// SHA-256 over its graph, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<String>,
    /// SHA-256 over its words; absent in segments of before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<String>,
    /// The file of the rows that are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

/// A segment's vectors in fewer bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodesRef {
    /// In which form.
    pub store: Store,
    /// SHA-256 over their file.
    pub sum: String,
}

impl SegmentRef {
    /// Its folder within the index's.
    pub fn folder(&self) -> String {
        format!("{SEGMENTS}/{:06}", self.number)
    }
}

/// The folder of the segments.
pub const SEGMENTS: &str = "segments";

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
    /// Over the names, lengths and times of its directory's files when they were summed up: as long as these are the same, so is the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
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

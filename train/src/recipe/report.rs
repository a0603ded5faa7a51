//! What a recipe says of its run's report.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use unisono_eval::captioning::Captioning;
use unisono_eval::retrieval::Retrieval;

/// The report of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Its title.
    pub title: String,
    /// Held-out protocols of the recall table; the first four give the headlines.
    pub protocol: Vec<Retrieval>,
    /// Where the data come from.
    pub data_set: Vec<DataSetNote>,
    /// Captions of held-out items as queries for images.
    pub search: Vec<ShowConfig>,
    /// Held-out recordings as queries for images and captions.
    pub spoken: Vec<ShowConfig>,
    /// Held-out items whose captions are shown and scored beside baselines.
    pub captions: Vec<Captioning>,
}

/// A data set's origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSetNote {
    /// Name of its sources' manifests' folder, also for `--without`.
    pub name: String,
    /// Its manifest.
    pub manifest: PathBuf,
    /// Its licence.
    pub licence: String,
    /// Where it is from.
    pub source: String,
}

/// Examples to show: drawn by a hash of their ids, so that nobody chose them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowConfig {
    /// Name, for `--without`.
    pub name: String,
    /// The manifest.
    pub manifest: PathBuf,
    /// The split whose images are found.
    pub split: String,
    /// Languages of the queries, one query each; a language may come twice.
    pub langs: Vec<String>,
}

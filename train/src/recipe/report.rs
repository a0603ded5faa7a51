//! What a recipe says of its run's report.

use serde::{Deserialize, Serialize};
use unisono_datasets::SourceConfig;
use unisono_eval::captioning::Captioning;
use unisono_eval::protocol::Protocol;
use unisono_eval::retrieval::Retrieval;

/// The report of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Its title.
    pub title: String,
    /// What is measured on held-out data, as the recipe's own `[[evaluate]]`. Of kind `retrieval`: the recall table, whose first four give the
    /// headlines. Of kind `captioning`: captions that are shown and scored beside baselines.
    pub evaluate: Vec<Protocol>,
    /// Where the data come from.
    pub data_set: Vec<DataSetNote>,
    /// Captions of held-out items as queries for images.
    pub search: Vec<ShowConfig>,
    /// Held-out recordings as queries for images and captions.
    pub spoken: Vec<ShowConfig>,
}

impl ReportConfig {
    /// Its protocols of kind `retrieval`.
    pub fn retrieval(&self) -> impl Iterator<Item = &Retrieval> {
        self.evaluate.iter().filter_map(|p| if let Protocol::Retrieval(p) = p { Some(p) } else { None })
    }

    /// Its protocols of kind `captioning`.
    pub fn captioning(&self) -> impl Iterator<Item = &Captioning> {
        self.evaluate.iter().filter_map(|p| if let Protocol::Captioning(p) = p { Some(p) } else { None })
    }
}

/// A data set's origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSetNote {
    /// Name of its sources' folder, also for `--without`.
    pub name: String,
    /// Where its records are.
    pub source: SourceConfig,
    /// Its licence.
    pub licence: String,
    /// Where it is from.
    pub origin: String,
}

/// Examples to show: drawn by a hash of their ids, so that nobody chose them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowConfig {
    /// Name, for `--without`.
    pub name: String,
    /// Where its records are.
    pub source: SourceConfig,
    /// The split whose images are found.
    pub split: String,
    /// Languages of the queries, one query each; a language may come twice.
    pub langs: Vec<String>,
}

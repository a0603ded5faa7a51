//! An index: vectors, what they belong to, and the model that made them, in one folder.
//!
//! | file | holds |
//! |---|---|
//! | `index.json` | [`Header`]: version, model, counts, how it was built; written last |
//! | `vectors.safetensors` | `vectors`, fp32 `[N, D]`, memory-mapped for searching; its metadata ties it to the other two |
//! | `items.jsonl` | one [`Item`](crate::Item) a line, line `i` for row `i` |

mod build;
mod check;
mod open;
mod write;

pub(crate) use build::write_whole;
pub use build::{BuildReport, build, build_with};
pub use open::{Index, open};
pub(crate) use write::{Writer, sum};

use crate::crossmodal::Recall;
use crate::identity::hex;
use crate::{EmbedOptions, Inputs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use unisono_encoders::{Modality, Precision};
use unisono_media::MediaLimits;

/// The version of the folder's layout. A reader refuses another.
pub const FORMAT_VERSION: u32 = 1;

pub(crate) const HEADER: &str = "index.json";
pub(crate) const VECTORS: &str = "vectors.safetensors";
pub(crate) const ITEMS: &str = "items.jsonl";
/// The key in the vectors' metadata that holds [`Header::sum`].
pub(crate) const SUM: &str = "unisono.index";

/// `index.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
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
    /// SHA-256 over `items.jsonl` and the model's identity. The vectors carry it too, so files of two indexes cannot be
    /// mixed unseen.
    pub sum: String,
    /// When and how.
    pub built: Built,
}

/// The model that made an index's vectors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRef {
    /// Its directory, absolute.
    pub path: PathBuf,
    /// [`identity`](crate::identity()) of its weights and contract.
    pub sha256: String,
}

/// When and how an index was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Built {
    /// The moment, RFC 3339, UTC.
    pub at: String,
    /// The version of Unisono.
    pub unisono: String,
    /// What was embedded, with absolute paths, without the texts, which stand in the items. (Earlier builds repeated them here.)
    pub inputs: Inputs,
    /// Texts given by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<Texts>,
    /// Items that the model took at once.
    pub batch: usize,
    /// The model's arithmetic; indexes of single precision do not name it.
    #[serde(default, skip_serializing_if = "single")]
    pub precision: Precision,
    /// Inputs that could not be used.
    pub skipped: usize,
    /// Recall between modalities at build time; empty where items have no pairs.
    pub recalls: Vec<Recall>,
}

impl Built {
    /// How many texts were given by themselves.
    pub fn texts(&self) -> usize {
        self.texts.as_ref().map_or(self.inputs.texts.len(), |texts| texts.count)
    }
}

/// Which texts were given by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Texts {
    /// How many.
    pub count: usize,
    /// SHA-256 over them, each with its length in front.
    pub sha256: String,
}

impl Texts {
    fn of(texts: &[String]) -> Option<Self> {
        let mut hash = Sha256::new();
        for text in texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        (!texts.is_empty()).then(|| Self { count: texts.len(), sha256: hex(&hash.finalize()) })
    }
}

/// Whether the model that made an index is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// There, with the same identity.
    Unchanged,
    /// There, with another identity: vectors of the two do not compare.
    Changed,
    /// Not there.
    Missing,
}

/// The files that an index's items name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Files {
    /// How many, one that several items name counted once.
    pub count: usize,
    /// How many of them are not there any more.
    pub missing: usize,
}

fn single(precision: &Precision) -> bool {
    *precision == Precision::Fp32
}

/// What [`build()`] needs besides a model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildOptions {
    /// What to embed.
    pub inputs: Inputs,
    /// How.
    pub embed: EmbedOptions,
    /// The program that decodes videos; absent: looked for.
    pub ffmpeg: Option<PathBuf>,
    /// What files may cost.
    pub limits: MediaLimits,
}

//! Building an index of embedded inputs, and the model of one that is there. The index itself is [`unisono_index`].

mod build;
mod check;

pub(crate) use build::write_whole;
pub use build::{BuildReport, build, build_with};
pub use unisono_index::{FORMAT_VERSION, Files, ModelRef};

use crate::crossmodal::Recall;
use crate::{EmbedOptions, Embedder, Error, Inputs, Result, identity};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::{Precision, Role};
use unisono_files::hex;
use unisono_media::MediaLimits;

/// An index that this crate built.
pub type Index = unisono_index::Index<Built>;
/// What it says of itself.
pub type Header = unisono_index::Header<Built>;

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

/// Whether the model that made an index is still where it was.
pub fn model_state(index: &Index) -> ModelState {
    let model = &index.header().model;
    match identity(&model.path) {
        Ok(found) if found == model.sha256 => ModelState::Unchanged,
        Ok(_) => ModelState::Changed,
        Err(_) => ModelState::Missing,
    }
}

impl Embedder {
    /// Loads the model that made an index, for queries: from where it was, or from `moved`. Its embeddings are cut as those of the index
    /// are, and so are the windows in which it hears.
    ///
    /// # Errors
    /// It is not there, or its weights or contract are not those of the index: vectors of two models do not compare.
    pub fn of_index(index: &Index, moved: Option<&Path>, device: Device) -> Result<Self> {
        let model = &index.header().model;
        let path = moved.unwrap_or(&model.path);
        if moved.is_none() && !path.is_dir() {
            let message = "the index's model is not there any more; give its new place with `--model`";
            return Err(Error::format(path, message));
        }
        let found = identity(path)?;
        if found != model.sha256 {
            let message = format!(
                "not the model that made the index {} (SHA-256 {:.12}…, expected {:.12}…); build the index again with it",
                index.folder().display(),
                found,
                model.sha256
            );
            return Err(Error::format(path, message));
        }
        let mut embedder = Self::load_as(path, Some(Role::Query), device)?;
        let dim = index.header().dim;
        if dim != embedder.dim() {
            embedder.model_mut().set_dims(i64::try_from(dim).unwrap_or(i64::MAX))?;
        }
        embedder.model_mut().set_audio_window(model.window)?;
        Ok(embedder)
    }
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

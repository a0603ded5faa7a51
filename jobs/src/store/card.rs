//! What is known of a version.

use crate::understand::sees;
use crate::{Modality, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_encoders::families;
use unisono_files::Budget;

/// What a version is, and what it can do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The model's name.
    pub name: String,
    /// Which version.
    pub version: String,
    /// SHA-256 over its weights and its contract.
    pub sha256: String,
    /// When it was added, RFC 3339, UTC.
    pub added: String,
    /// Where it came from.
    pub from: PathBuf,
    /// What it can do.
    pub able: Able,
    /// What its training's last evaluation found, as it stands beside the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Value>,
    /// Its files.
    pub files: Vec<FileSum>,
}

/// A file of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSum {
    /// Its path in the version's folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// What a model can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Able {
    /// What wrote it: `unisono`, `clip`, `whisper`, …
    pub family: String,
    /// Numbers of its weights.
    pub parameters: usize,
    /// Numbers of an embedding.
    pub dimensions: i64,
    /// What it embeds.
    pub embeds: Vec<Modality>,
    /// What it says something of.
    pub sees: Vec<Modality>,
    /// `embed`, `caption`, `ask`, `match`, `transcribe`.
    pub can: Vec<String>,
}

impl Able {
    /// Of the model in a folder, which is loaded.
    ///
    /// # Errors
    /// A model that cannot be loaded.
    pub fn of(dir: &Path) -> Result<Self> {
        let family = families::family(dir)?;
        let (mut able, compares) = if unisono_fusion::import::is(dir)? {
            let model = unisono_fusion::import::load(dir, Device::Cpu)?.model;
            let towers = model.towers();
            let able = Self {
                family,
                parameters: towers.params().count() + model.params().count(),
                dimensions: towers.dims(),
                embeds: towers.embeds(),
                sees: sees(&model),
                can: model.abilities().iter().map(|ability| ability.name().to_owned()).collect(),
            };
            (able, towers.compares_texts())
        } else {
            let model = families::load_as(dir, None, Device::Cpu)?.model;
            let (parameters, dimensions, embeds) = (model.params().count(), model.dims(), model.embeds());
            let able = Self { family, parameters, dimensions, embeds, sees: Vec::new(), can: Vec::new() };
            (able, model.compares_texts())
        };
        if compares {
            able.embeds.clear();
        }
        if !able.embeds.is_empty() {
            able.can.insert(0, "embed".into());
        }
        Ok(able)
    }
}

impl Card {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// `NAME@VERSION`.
    pub fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// What a training's evaluation wrote beside the weights.
pub(super) fn evaluation(dir: &Path) -> Result<Option<Value>> {
    let path = dir.join("evaluation.json");
    if !path.is_file() {
        return Ok(None);
    }
    Ok(Some(unisono_files::read_json(&path, &Budget::VOCABULARY)?))
}

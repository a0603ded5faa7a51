//! Recipes: a complete training in one TOML file. An unknown key is an error that names the nearest known one.

mod adapter;
mod batch;
mod best;
mod canary;
mod change;
mod check;
mod checkpoint;
mod data;
mod ema;
mod energy;
mod group;
mod message;
mod model;
mod old;
mod optimizer;
mod precision;
mod report;
mod resize;
mod terms;
mod tower;
mod tuned;
mod world;

pub use adapter::AdapterRecipe;
pub use batch::{BatchConfig, BatchMethod, Micro};
pub use best::Best;
pub use canary::CanaryConfig;
pub use checkpoint::CheckpointConfig;
pub use data::{
    Arithmetic, AugmentConfig, CaptionConfig, CaptionRule, DataConfig, LoaderConfig, MixtureConfig,
};
pub use ema::Ema;
pub use energy::EnergyConfig;
pub use group::{GroupOptimizer, GroupRule};
pub use model::{FusionRecipe, ProcessorConfig, TokenizerConfig};
pub use optimizer::{AdjustLr, DecayShape, MuonConfig, NonFinite, OptimizerConfig, OptimizerKind, Schedule};
pub use report::{DataSetNote, ReportConfig, ShowConfig};
pub use resize::ResizeConfig;
pub use tower::{SpeechTask, TowerConfig};
pub use world::WorldConfig;

use crate::{Error, Result};
use message::{from_toml, nearest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_encoders::{Modality, Model, ModelConfig, VideoConfig};
use unisono_eval::protocol::Protocol;
use unisono_fusion::Objective;
use unisono_media::MediaLimits;

/// A training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Every random number of the run is a function of it.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Steps between evaluations, which there is one of at the end too; 0: at the end only.
    #[serde(default)]
    pub evaluate_every: u64,
    /// What chooses the best checkpoint: `PROTOCOL.METRIC` of an `[[evaluate]]`, or the mean over all whose names fit, as `*.r5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<String>,
    /// `auto`, `cpu`, `cuda`, `cuda:1`.
    #[serde(default = "auto")]
    pub device: String,
    /// Threads of libtorch; 0: one a core.
    #[serde(default)]
    pub threads: usize,
    /// Blocks keep only what goes into them, and are run again when the backward pass comes to them: the same training for less memory and
    /// about a third more time. What it saves grows with depth and batch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub activation_checkpointing: bool,
    /// What the large products of the towers and of a fusion part are made in: `fp32`, `bf16` on processors that multiply it
    /// (AMX, AVX-512 BF16) and on GPUs, or `auto`: `bf16` there, `fp32` elsewhere. Weights, norms, losses and the optimizer's state are single precision
    /// whatever it is.
    #[serde(default, skip_serializing_if = "is_fp32")]
    pub precision: Arithmetic,
    /// How a batch becomes gradients: at once, or in micro-batches.
    #[serde(default, skip_serializing_if = "is_whole")]
    pub batch: BatchConfig,
    /// Towers to begin with: a run, a model directory, a public checkpoint's folder. `model`, `processor` and `tokenizer` are theirs then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// The towers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelConfig>,
    /// Towers of checkpoints, beside the new ones of `[model]` and in its space: `[tower.text]`, `[tower.image]`, `[tower.audio]`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tower: BTreeMap<Modality, TowerConfig>,
    /// With `init`: how a video's frames, which its image tower sees, become one vector. With `[model]` that is `[model.video]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoConfig>,
    /// Other sizes for towers of checkpoints: their position embeddings are interpolated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<ResizeConfig>,
    /// Adapters on towers of checkpoints, of which nothing else is trained then but what `[[group]]` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<AdapterRecipe>,
    /// What they see.
    #[serde(default)]
    pub processor: ProcessorConfig,
    /// The fusion Transformer over their tokens, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<FusionRecipe>,
    /// How the text tokenizer is trained.
    #[serde(default)]
    pub tokenizer: TokenizerConfig,
    /// What is drawn for each batch.
    pub data: Vec<DataConfig>,
    /// The sources divide each batch by weights, in place of a number of records each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<MixtureConfig>,
    /// Random changes while training.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// What is learned: `[[objective]]`, a term each.
    pub objective: Objective,
    /// The steps.
    pub optimizer: OptimizerConfig,
    /// Exceptions for parameters, the first match counts.
    #[serde(default)]
    pub group: Vec<GroupRule>,
    /// What is measured: `[[evaluate]]`, a protocol each.
    #[serde(default)]
    pub evaluate: Vec<Protocol>,
    /// Abilities that are watched for a fall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryConfig>,
    /// When the state is saved.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// What the energy of the run is counted as.
    #[serde(default)]
    pub energy: EnergyConfig,
    /// How data are read.
    #[serde(default)]
    pub loader: LoaderConfig,
    /// How several processes share the training.
    #[serde(default, skip_serializing_if = "is_default_world")]
    pub world: WorldConfig,
    /// What `unisono report` shows of the run.
    #[serde(default)]
    pub report: ReportConfig,
    /// What a media file may cost, of the data and of the evaluations: `max_pixels = "200M"`, `max_seconds = "2h"`,
    /// `max_file_bytes = "2G"`, `max_frames`, `max_silence`, `truncated = "use"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: MediaLimits,
}

fn is_fp32(precision: &Arithmetic) -> bool {
    *precision == Arithmetic::Fp32
}

fn is_whole(batch: &BatchConfig) -> bool {
    *batch == BatchConfig::default()
}

fn is_default(limits: &MediaLimits) -> bool {
    *limits == MediaLimits::default()
}

fn is_default_world(world: &WorldConfig) -> bool {
    *world == WorldConfig::default()
}

fn auto() -> String {
    "auto".into()
}

impl Recipe {
    /// Most frames of a video that are looked at, spread evenly over it: as many as the fusion part tells apart, the model's own number
    /// without one.
    pub fn frames(&self, model: &Model) -> usize {
        self.fusion.as_ref().map_or(model.frames(), |f| usize::try_from(f.frames).unwrap_or(1).max(1))
    }

    /// Reads a recipe and applies `--set` overrides (`a.b=value`) and `--without` names.
    ///
    /// # Errors
    /// Not there, no TOML, an unknown key (with line and nearest known key), a value of another type.
    pub fn load(path: &Path, set: &[String], without: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        // Once from the text for messages with lines, then from the table that the changes are made in.
        let recipe = Self::parse(&text, path)?;
        if set.is_empty() && without.is_empty() {
            return recipe.checked();
        }
        let mut table: toml::Table = text.parse().map_err(|e| from_toml(path, &text, &e))?;
        for assignment in set {
            change::apply(&mut table, assignment)?;
        }
        for name in without {
            change::leave_out(&mut table, name)?;
        }
        let changed: Self = table.try_into().map_err(|e: toml::de::Error| Error::Recipe {
            path: "--set".into(),
            line: String::new(),
            message: nearest(e.message()),
        })?;
        changed.checked()
    }

    /// Reads a recipe's text; `path` is for messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|e| match text.parse().ok().as_ref().and_then(old::advice) {
            Some(message) => Error::Recipe { path: path.into(), line: String::new(), message },
            None => from_toml(path, text, &e),
        })
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// None that a recipe can have.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::setting("recipe", e.to_string()))
    }
}

//! Recipes: a complete training in one TOML file. An unknown key is an error that names the nearest known one.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use unisono_datasets::augment::{ImageAugment, SoundAugment, SpectrogramAugment};
use unisono_encoders::config::TransformerConfig;
use unisono_encoders::{Modality, Model, ModelConfig, VideoConfig};
use unisono_eval::captioning::CaptionProtocol;
use unisono_eval::protocol::Protocol;
use unisono_fusion::config::LanguageHead;
use unisono_media::MediaLimits;
use unisono_processors::{ImageProcessor, MelConfig, Vocabulary};

/// A training run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Every random number of the run is a function of it.
    pub seed: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// `auto`, `cpu`, `cuda`, `cuda:1`.
    #[serde(default = "auto")]
    pub device: String,
    /// Threads of libtorch; 0: one a core.
    #[serde(default)]
    pub threads: usize,
    /// Towers to begin with: a run, a model directory, a public checkpoint's folder. `model`, `processor` and `tokenizer` are theirs then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<PathBuf>,
    /// The towers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelConfig>,
    /// With `init`: how a video's frames, which its image tower sees, become one vector. With `[model]` that is `[model.video]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoConfig>,
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
    /// Random changes while training.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// The loss.
    pub objective: ObjectiveConfig,
    /// The steps.
    pub optimizer: OptimizerConfig,
    /// Exceptions for parameters, the first match counts.
    #[serde(default)]
    pub group: Vec<GroupRule>,
    /// When and on what recalls are measured.
    #[serde(default)]
    pub evaluate: EvaluateConfig,
    /// When the state is saved.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
    /// How data are read.
    #[serde(default)]
    pub loader: LoaderConfig,
    /// What `unisono report` shows of the run.
    #[serde(default)]
    pub report: ReportConfig,
    /// What a media file may cost, of the data and of the evaluations: `max_pixels = "200M"`, `max_seconds = "2h"`,
    /// `max_file_bytes = "2G"`, `max_frames`, `max_silence`, `truncated = "use"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: MediaLimits,
}

fn is_default(limits: &MediaLimits) -> bool {
    *limits == MediaLimits::default()
}

fn auto() -> String {
    "auto".into()
}

/// The text tokenizer that a run trains.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// How words are cut: `bpe` or `words`.
    #[serde(default)]
    pub vocabulary: Vocabulary,
}

/// A fusion Transformer: one stack that reads and writes texts over the tokens of other modalities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionRecipe {
    /// Its blocks.
    pub transformer: TransformerConfig,
    /// Longest text, in tokens; longer captions are cut, the end token kept.
    #[serde(default = "thirty_two")]
    pub context_length: i64,
    /// Whose tokens it attends to.
    pub memory: Vec<Modality>,
    /// Most frames of a video; 1: pictures.
    #[serde(default = "single")]
    pub frames: i64,
    /// From the last block to next-token scores: `tied` to the token embedding, or `own`.
    #[serde(default = "tied")]
    pub head: LanguageHead,
    /// Beams with which captions are generated, in evaluations and by default afterwards; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beams: Option<usize>,
}

fn tied() -> LanguageHead {
    LanguageHead::Tied
}

fn thirty_two() -> i64 {
    32
}

fn single() -> i64 {
    1
}

/// The processors, a part of the model's contract. The text processor's tokenizer is trained on the captions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessorConfig {
    /// For the image tower.
    #[serde(default)]
    pub image: Option<ImageProcessor>,
    /// For the audio tower.
    #[serde(default)]
    pub audio: Option<MelConfig>,
}

/// A source of records and its share of each batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Name in messages; `--without NAME` leaves it out, and `--set data.NAME.per_batch=…` reaches it.
    pub name: String,
    /// The manifest, relative to the working directory.
    pub manifest: PathBuf,
    /// Its split.
    pub split: String,
    /// Records in each batch.
    pub per_batch: usize,
    /// Only records of these languages; empty: all.
    #[serde(default)]
    pub lang: Vec<String>,
    /// No records of these languages.
    #[serde(default)]
    pub without_lang: Vec<String>,
    /// Only records with all of these modalities.
    #[serde(default)]
    pub needs: Vec<Modality>,
    /// What is used of a record; empty: all it has.
    #[serde(default)]
    pub uses: Vec<Modality>,
    /// Each batch's share is of one language as far as records last.
    #[serde(default)]
    pub one_language: bool,
    /// The text tokenizer is trained on the captions of the sources that say so; on all captions when none does. What it has
    /// not met stays in bytes: speech is best matched with letters, pictures with words.
    #[serde(default)]
    pub tokenizer: bool,
    /// How a caption is chosen.
    #[serde(default)]
    pub caption: CaptionConfig,
}

/// How one caption is made of a record's several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptionConfig {
    /// Probability of the first caption, the name, when there are more.
    pub first: f64,
    /// Another caption is cut at commas, and up to this many of its parts are taken in random order; 0: taken whole.
    pub parts: usize,
    /// Probability that the name is put before such parts.
    pub with_name: f64,
}

impl Default for CaptionConfig {
    fn default() -> Self {
        Self { first: 0.5, parts: 0, with_name: 0.0 }
    }
}

/// Random changes, each the identity when left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Of pictures.
    pub image: ImageAugment,
    /// Of samples.
    pub sound: SoundAugment,
    /// Of spectrograms.
    pub spectrogram: SpectrogramAugment,
}

/// The contrastive loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Share of each target spread evenly over the batch.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weight of a pair of modalities; 0 leaves it out.
    #[serde(default = "one")]
    pub text_image: f64,
    /// As `text_image`.
    #[serde(default = "one")]
    pub text_audio: f64,
    /// As `text_image`.
    #[serde(default = "one")]
    pub image_audio: f64,
    /// As `text_image`, of videos where the model has a table for them; without one they are pictures of several frames.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub text_video: f64,
    /// As `text_video`.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub audio_video: f64,
    /// Weight of captions, token by token; needs `[fusion]`.
    #[serde(default)]
    pub caption: f64,
    /// Weight of telling true pairs of text and media from hard negatives; needs `[fusion]`.
    #[serde(default, rename = "match")]
    pub matching: f64,
}

fn one() -> f64 {
    1.0
}

fn is_one(v: &f64) -> bool {
    *v == one()
}

/// AdamW with linear warm-up and cosine decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// Decay of the two moments.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the denominator.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Decoupled weight decay of matrices; vectors, embeddings and positions have none unless a rule says so.
    #[serde(default)]
    pub weight_decay: f64,
    /// Steps of linear warm-up.
    #[serde(default)]
    pub warmup: u64,
    /// Learning rate at the end, as a share of the peak.
    #[serde(default)]
    pub final_lr: f64,
    /// Largest norm of the whole gradient; 0: no bound.
    #[serde(default = "one")]
    pub clip: f64,
    /// Decay of the moving average of the weights that is evaluated and saved; 0: the weights themselves.
    #[serde(default)]
    pub ema: f64,
}

fn betas() -> [f64; 2] {
    [0.9, 0.98]
}
fn eps() -> f64 {
    1e-8
}

/// An exception for the parameters whose names match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// A name with `*` for any run of characters: `image.stem.*`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Factor on the learning rate.
    #[serde(default = "one")]
    pub lr_scale: f64,
    /// Another weight decay.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Not optimised.
    #[serde(default)]
    pub freeze: bool,
}

/// Evaluation while training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Every so many steps, and at the end; 0: at the end only.
    pub every: u64,
    /// On what. The mean R@5 of all protocols chooses the best checkpoint; with captions, the mean CIDEr-D's tenth is added.
    pub protocol: Vec<Protocol>,
    /// What is captioned.
    pub captions: Vec<CaptionProtocol>,
}

/// The report of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportConfig {
    /// Its title.
    pub title: String,
    /// Held-out protocols of the recall table; the first four give the headlines.
    pub protocol: Vec<Protocol>,
    /// Where the data come from.
    pub data_set: Vec<DataSetNote>,
    /// Captions of held-out items as queries for pictures.
    pub search: Vec<ShowConfig>,
    /// Held-out recordings as queries for pictures and captions.
    pub spoken: Vec<ShowConfig>,
    /// Held-out items whose captions are shown and scored beside baselines.
    pub captions: Vec<CaptionProtocol>,
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
    /// The split whose pictures are found.
    pub split: String,
    /// Languages of the queries, one query each; a language may come twice.
    pub langs: Vec<String>,
}

/// Saving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Every so many steps, and at the end; 0: at the end only.
    pub every: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 500 }
    }
}

/// Reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// Worker threads; 0: one a core.
    pub workers: usize,
    /// Batches ahead.
    pub prefetch: usize,
    /// Decoded media kept in memory, MiB.
    pub cache_mb: usize,
    /// Distinct broken records that are skipped before the run stops.
    pub max_skip: usize,
    /// Texts and sounds of a batch go through their towers in this many parts of like length: less padding.
    pub buckets: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self { workers: 0, prefetch: 4, cache_mb: 2048, max_skip: 100, buckets: 1 }
    }
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
        // Once from the text for messages with lines, then from the table that the overrides changed.
        let recipe = Self::parse(&text, path)?;
        if set.is_empty() && without.is_empty() {
            return recipe.checked();
        }
        let mut table: toml::Table = text.parse().map_err(|e| from_toml(path, &text, &e))?;
        for assignment in set {
            overrides::apply(&mut table, assignment)?;
        }
        for name in without {
            overrides::leave_out(&mut table, name)?;
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
        toml::from_str(text).map_err(|e| from_toml(path, text, &e))
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// None that a recipe can have.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::setting("recipe", e.to_string()))
    }

    /// Checks every value before any device or file is touched.
    fn checked(self) -> Result<Self> {
        match (&self.model, &self.init) {
            (Some(_), None) if self.video.is_some() => {
                return Err(Error::setting("video", "goes with init; beside [model] it is [model.video]"));
            }
            (Some(model), None) => model.validate()?,
            (None, Some(_)) => {}
            (Some(_), Some(_)) => {
                return Err(Error::setting("model", "init brings its own towers: leave [model] out"));
            }
            (None, None) => {
                return Err(Error::setting(
                    "model",
                    "missing; give [model], or init = \"a run or model directory\"",
                ));
            }
        }
        let fuses = self.objective.caption > 0.0 || self.objective.matching > 0.0;
        match &self.fusion {
            None if fuses => {
                return Err(Error::setting("objective", "caption and match need a [fusion] table"));
            }
            Some(f) if !fuses => {
                let found = format!(
                    "neither objective.caption nor objective.match is above 0: {} blocks would learn nothing",
                    f.transformer.depth
                );
                return Err(Error::setting("fusion", found));
            }
            Some(f)
                if f.memory.is_empty()
                    || !f.memory.iter().all(|m| [Modality::Image, Modality::Audio].contains(m)) =>
            {
                return Err(Error::setting("fusion.memory", "expected image, audio, or both"));
            }
            _ => {}
        }
        if self.data.is_empty() {
            return Err(Error::setting("data", "no [[data]] is left; a training needs at least one"));
        }
        for d in &self.data {
            if d.per_batch == 0 {
                let field = format!("data.{}.per_batch", d.name);
                return Err(Error::setting(
                    field,
                    "expected at least 1, found 0; leave the source out with --without",
                ));
            }
            for p in [d.caption.first, d.caption.with_name] {
                if !(0.0..=1.0).contains(&p) {
                    let field = format!("data.{}.caption", d.name);
                    return Err(Error::setting(field, format!("expected probabilities, found {p}")));
                }
            }
        }
        self.augment.image.validate()?;
        self.augment.sound.validate()?;
        self.augment.spectrogram.validate()?;
        let o = &self.optimizer;
        let finite = |field: &str, v: f64, ok: bool, expected: &str| {
            if ok && v.is_finite() {
                return Ok(());
            }
            Err(Error::setting(format!("optimizer.{field}"), format!("expected {expected}, found {v}")))
        };
        finite("lr", o.lr, o.lr > 0.0, "a positive number")?;
        finite("weight_decay", o.weight_decay, o.weight_decay >= 0.0, "0 or more")?;
        finite("clip", o.clip, o.clip >= 0.0, "0 or more")?;
        finite("ema", o.ema, (0.0..1.0).contains(&o.ema), "0 to below 1")?;
        finite("final_lr", o.final_lr, (0.0..=1.0).contains(&o.final_lr), "0 to 1")?;
        for b in o.betas {
            finite("betas", b, (0.0..1.0).contains(&b), "0 to below 1")?;
        }
        if !(0.0..1.0).contains(&self.objective.label_smoothing) {
            return Err(Error::setting("objective.label_smoothing", "expected 0 to below 1"));
        }
        Ok(self)
    }
}

fn from_toml(path: &Path, text: &str, e: &toml::de::Error) -> Error {
    let line = e.span().map(|s| format!(":{}", text[..s.start.min(text.len())].matches('\n').count() + 1));
    Error::Recipe { path: path.into(), line: line.unwrap_or_default(), message: nearest(e.message()) }
}

/// "unknown field `hight`, expected one of `width`, `height`" → with the nearest name.
fn nearest(message: &str) -> String {
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut quoted = message.split('`').skip(1).step_by(2);
    let Some(found) = quoted.next().filter(|_| message.starts_with("unknown field")) else { return message };
    let known: Vec<&str> = quoted.collect();
    let best = known.iter().min_by_key(|k| edit_distance(found, k));
    match best {
        Some(best) if edit_distance(found, best) <= found.chars().count().div_ceil(2).max(2) => {
            format!("unknown key `{found}`; did you mean `{best}`? Known here: {}", known.join(", "))
        }
        _ => format!("unknown key `{found}`; known here: {}", known.join(", ")),
    }
}

/// Levenshtein's distance.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// `--set` and `--without` on the raw table.
mod overrides {
    use super::{Error, Result};
    use toml::{Table, Value};

    /// `a.b=value`; an element of a list of tables is named by its `name` or its number.
    pub fn apply(table: &mut Table, assignment: &str) -> Result<()> {
        unisono_files::set(table, assignment).map_err(|message| Error::Recipe {
            path: "--set".into(),
            line: format!(" {assignment}"),
            message,
        })
    }

    fn name_of(v: &Value) -> String {
        v.get("name").and_then(Value::as_str).unwrap_or("(unnamed)").to_owned()
    }

    /// Leaves out everything that has a name in `data`, `evaluate` and `report` whose name is `name` or starts with `name-`.
    pub fn leave_out(table: &mut Table, name: &str) -> Result<()> {
        let fits = |v: &Value| {
            let n = name_of(v);
            n == name || n.starts_with(&format!("{name}-"))
        };
        let mut found = false;
        let mut drop = |list: Option<&mut Value>| {
            if let Some(Value::Array(list)) = list {
                let before = list.len();
                list.retain(|v| !fits(v));
                found |= list.len() < before;
            }
        };
        drop(table.get_mut("data"));
        for list in ["protocol", "captions"] {
            drop(table.get_mut("evaluate").and_then(|e| e.get_mut(list)));
        }
        for list in ["protocol", "data_set", "search", "spoken", "captions"] {
            drop(table.get_mut("report").and_then(|e| e.get_mut(list)));
        }
        if found {
            return Ok(());
        }
        Err(Error::Recipe {
            path: "--without".into(),
            line: format!(" {name}"),
            message: "no [[data]] or protocol of that name".into(),
        })
    }
}

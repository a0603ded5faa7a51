//! What a recipe says of its data: what is drawn, how it is changed, how it is read.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tch::Device;
use unisono_datasets::augment::{AudioAugment, ImageAugment, SpectrogramAugment, TextAugment};
use unisono_datasets::{Order, Record, SourceConfig, Tail};
use unisono_encoders::{Modality, Precision};
use unisono_processors::Medium;

/// A source of records and its share of each batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Name in messages; `--without NAME` leaves it out, and `--set data.NAME.per_batch=…` reaches it.
    pub name: String,
    /// Where its records come from: a path, paths, or a table with `path`, `type` and `columns`.
    pub source: SourceConfig,
    /// Only records of this split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// Records in each batch; none where a `[mixture]` divides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_batch: Option<usize>,
    /// In a `[mixture]`: its weight beside the others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// In a `[mixture]`: its weight is so many times its records, so that they come so often where the others' come once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// How it is shuffled: `auto`, `global`, `sequential`, or `{ blocks = { block = 1000, buffer = 16 } }`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
    /// What becomes of the last records of an epoch, which fill no batch: `across`, `drop` or `pad`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tail: Tail,
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
    /// not met stays in bytes: speech is best matched with letters, images with words.
    #[serde(default)]
    pub tokenizer: bool,
    /// How a caption is chosen.
    #[serde(default)]
    pub caption: CaptionConfig,
    /// Vectors in place of media: what `unisono embed --no-normalize` made of this source by a tower's checkpoint, a file by modality. The tower is
    /// frozen and has a new projection.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<Modality, PathBuf>,
    /// A teacher's vectors of this source, for a term of kind `distill`: the folder that `unisono data teach` wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<PathBuf>,
    /// Images are seen in the teacher's views (`unisono data teach --views`), one drawn each time, in place of what `[augment.image]` changes; what is
    /// followed is the teacher's vector of that view.
    #[serde(default, skip_serializing_if = "is_default")]
    pub teacher_views: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl DataConfig {
    /// Whether it uses a modality of its records.
    pub(crate) fn uses(&self, modality: Modality) -> bool {
        self.uses.is_empty() || self.uses.contains(&modality)
    }

    /// The texts, images and audio files of a record that may be drawn and have no vectors in their place. `twice`: of which modalities two views are wanted.
    pub(crate) fn media<'a>(
        &self,
        record: &'a Record,
        twice: &BTreeSet<Modality>,
        mut give: impl FnMut(Modality, Medium<'a>),
    ) {
        let seen = |m: Modality| self.uses(m) && !self.vectors.contains_key(&m);
        if seen(Modality::Text) {
            let first = self.caption.rule == CaptionRule::First && !twice.contains(&Modality::Text);
            let texts = record.text.iter().take(if first { 1 } else { usize::MAX });
            texts.for_each(|text| give(Modality::Text, Medium::Text(text)));
        }
        if let Some(blob) = record.image.as_ref().filter(|_| seen(Modality::Image)) {
            give(Modality::Image, Medium::Image(blob));
        }
        if seen(Modality::Audio) {
            record.audio.iter().for_each(|blob| give(Modality::Audio, Medium::Audio(blob)));
        }
    }
}

/// A batch of one size that the sources divide among them: by their weights, or else by the number of their records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureConfig {
    /// Places of a batch.
    pub batch_size: usize,
    /// Numbers of records are raised to `1 / temperature`: 1 draws every record equally often, more than that favours small sources.
    #[serde(default = "one")]
    pub temperature: f64,
}

fn one() -> f64 {
    1.0
}

/// Which of a record's captions is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptionRule {
    /// The first with the probability `first`, another one otherwise.
    #[default]
    Name,
    /// The first.
    First,
    /// Each with the same probability.
    Random,
    /// Each in its turn: in as many epochs as a record has captions, all of them come once.
    All,
    /// By `weights`.
    Weighted,
}

/// How one caption is made of a record's several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptionConfig {
    /// Which one: `name`, `first`, `random`, `all` or `weighted`.
    #[serde(skip_serializing_if = "is_default")]
    pub rule: CaptionRule,
    /// Of the rule `weighted`: the weight of the first, the second, …; the last one is of all that follow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    /// Probability of the first caption, the name, when there are more.
    pub first: f64,
    /// Another caption is cut at commas, and up to this many of its parts are taken in random order; 0: taken whole.
    pub parts: usize,
    /// Probability that the name is put before such parts.
    pub with_name: f64,
    /// Captions of this language in place of a record's own: those that the source's records of it have of the same label. What is said in
    /// Greek is then matched with what is written in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Of pairs `text_text`: the second text is one that the source's records of this language have of the same label, in the split that is drawn from.
    /// Without it, it is another of the record's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_lang: Option<String>,
}

impl Default for CaptionConfig {
    fn default() -> Self {
        Self {
            rule: CaptionRule::Name,
            weights: Vec::new(),
            first: 0.5,
            parts: 0,
            with_name: 0.0,
            lang: None,
            second_lang: None,
        }
    }
}

/// Random changes, each the identity when left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AugmentConfig {
    /// Of images.
    pub image: ImageAugment,
    /// Of samples.
    pub audio: AudioAugment,
    /// Of spectrograms.
    pub spectrogram: SpectrogramAugment,
    /// Of the tokens that the text tower sees; a caption that is to be written stays whole.
    pub text: TextAugment,
    /// Share of an image's patches that its tower does not see, whose work it saves (FLIP, Li et al. 2023); of a Transformer over patches.
    #[serde(skip_serializing_if = "is_default")]
    pub patch_dropout: f64,
}

/// The arithmetic of a training, or of kept features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// Single precision.
    #[default]
    Fp32,
    /// Products of bfloat16 numbers, summed in single precision.
    Bf16,
    /// `bf16` on processors that multiply these numbers, `fp32` on others.
    Auto,
}

impl Arithmetic {
    /// On `device`.
    pub fn on(self, device: Device) -> Precision {
        match self {
            Self::Fp32 => Precision::Fp32,
            Self::Bf16 => Precision::Bf16,
            Self::Auto => Precision::auto(device),
        }
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
    /// More of them, up to this share of the records drawn.
    pub max_skip_fraction: f64,
    /// What frozen towers make of the data is computed once and kept in the run's folder, where that is possible.
    pub keep_features: bool,
    /// The arithmetic in which these are computed.
    #[serde(skip_serializing_if = "is_default")]
    pub feature_precision: Arithmetic,
    /// Texts and audio files of a batch go through their towers in this many parts of like length: less padding.
    pub buckets: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            workers: 0,
            prefetch: 4,
            cache_mb: 2048,
            max_skip: 100,
            max_skip_fraction: 0.0,
            keep_features: true,
            feature_precision: Arithmetic::Fp32,
            buckets: 1,
        }
    }
}

//! What a recipe says of its data: what is drawn, how it is changed, how it is read.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use unisono_datasets::augment::{AudioAugment, ImageAugment, SpectrogramAugment};
use unisono_encoders::Modality;

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
    /// not met stays in bytes: speech is best matched with letters, images with words.
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
    /// Of images.
    pub image: ImageAugment,
    /// Of samples.
    pub audio: AudioAugment,
    /// Of spectrograms.
    pub spectrogram: SpectrogramAugment,
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
    /// Texts and audio files of a batch go through their towers in this many parts of like length: less padding.
    pub buckets: usize,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self { workers: 0, prefetch: 4, cache_mb: 2048, max_skip: 100, buckets: 1 }
    }
}

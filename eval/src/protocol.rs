//! Retrieval over a manifest: which items ask, which answer, and what counts as right.

use crate::control::DurationControl;
use crate::items::Choice;
use crate::metrics::RetrievalMetrics;
use crate::retrieval::{Embeddings, Ranks, Right, Within, ranks_of};
use crate::side::gather_by;
use crate::stats::Bootstrap;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use unisono_datasets::Manifest;
use unisono_encoders::{Modality, Model};
use unisono_media::MediaLimits;

pub use crate::items::Item;
pub use crate::side::{Reading, Side, Skipped, gather};
pub use crate::spoken::Spoken;

/// A retrieval protocol, as a recipe's `[[evaluate.protocol]]` or the options of `unisono eval retrieval` state it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Name in tables.
    pub name: String,
    /// The manifest.
    pub manifest: PathBuf,
    /// Split whose items ask and answer.
    pub split: String,
    /// More splits whose items join the gallery as distractors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distractors: Vec<String>,
    /// What asks.
    pub from: Modality,
    /// What is found.
    pub to: Modality,
    /// Languages of the queries; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query_lang: Vec<String>,
    /// Languages of the gallery; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gallery_lang: Vec<String>,
    /// Each query meets only items of its own language.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same_lang: bool,
    /// Which captions of a record take part.
    #[serde(default)]
    pub captions: Captions,
}

/// Which captions of a record take part in an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Captions {
    /// The first one, its name.
    #[default]
    First,
    /// All, each for itself.
    All,
    /// All in one: the name, then every other comma-separated part of the captions once (a thing's tags).
    Joined,
}

impl Captions {
    /// The texts of a record that take part.
    pub(crate) fn of(self, texts: &[String]) -> Vec<String> {
        match self {
            Self::First => texts.iter().take(1).cloned().collect(),
            Self::All => texts.to_vec(),
            Self::Joined => {
                let mut parts: Vec<&str> = Vec::new();
                for part in texts.iter().flat_map(|t| t.split(',')).map(str::trim).filter(|p| !p.is_empty()) {
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
                if parts.is_empty() { Vec::new() } else { vec![parts.join(", ")] }
            }
        }
    }
}

/// What is reached without hearing a word.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationControls {
    /// By a control that sees only how long a clip lasts.
    pub duration: RetrievalMetrics,
    /// By one that is also told the language, and knows how fast each is spoken in the training clips: the harder one to beat.
    pub with_language: RetrievalMetrics,
}

/// A protocol whose items are read and processed.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The protocol.
    pub protocol: Protocol,
    /// What asks.
    pub queries: Side,
    /// What is found.
    pub gallery: Side,
    /// Media that were left out.
    pub skipped: Vec<Skipped>,
}

/// What a model reaches in a protocol.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Recalls, ranks, chance.
    pub metrics: RetrievalMetrics,
    /// Each query's rank.
    pub ranks: Ranks,
    /// `[N, D]` of the queries.
    pub queries: Vec<f32>,
    /// `[M, D]` of the gallery.
    pub gallery: Vec<f32>,
}

impl Prepared {
    /// Reads and processes both sides for `model`'s processors, files within `limits`.
    ///
    /// # Errors
    /// No such split, nothing of a modality in it, or a tower that the model lacks.
    pub fn new(
        protocol: &Protocol,
        manifest: &Manifest,
        model: &Model,
        limits: &MediaLimits,
    ) -> Result<Self> {
        Self::read(protocol, manifest, model, &Reading { limits: *limits, ffmpeg: None })
    }

    /// [`new`](Self::new), with all that decides how media are read.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn read(protocol: &Protocol, manifest: &Manifest, model: &Model, reading: &Reading) -> Result<Self> {
        let p = protocol;
        if p.from == p.to {
            return Err(Error::Input(format!(
                "protocol {:?}: {} asks for {}; choose two different modalities",
                p.name, p.from, p.to
            )));
        }
        let asking = manifest.split(&p.split);
        let mut answering = asking.clone();
        for split in &p.distractors {
            let more = manifest.split(split);
            if more.is_empty() {
                return Err(Error::no_split(manifest, split, "of the distractors"));
            }
            answering.extend(more);
        }
        let mut skipped = Vec::new();
        let mut side = |records: &[&_], modality, langs: &[String]| {
            let choice = Choice { modality, langs, captions: p.captions, by_lang: p.same_lang };
            gather_by(model, records, &choice, reading, &mut skipped)
        };
        let queries = side(&asking, p.from, &p.query_lang)?;
        let gallery = side(&answering, p.to, &p.gallery_lang)?;
        for side in [&queries, &gallery] {
            if side.items.is_empty() {
                let splits: Vec<String> = manifest.splits().keys().cloned().collect();
                let hint = match skipped.first() {
                    Some(s) => format!("; {} media were skipped, the first: {}", skipped.len(), s.reason),
                    None => format!("; its splits are: {}", splits.join(", ")),
                };
                return Err(Error::NothingToEmbed {
                    name: p.name.clone(),
                    modality: side.modality.name(),
                    split: p.split.clone(),
                    manifest: manifest.path.clone(),
                    hint,
                });
            }
        }
        Ok(Self { protocol: protocol.clone(), queries, gallery, skipped })
    }

    /// Embeds both sides with `model` and ranks.
    ///
    /// # Errors
    /// No query has a right answer in the gallery, vectors that are not finite, or libtorch's.
    pub fn run(&self, model: &Model, batch: usize, bootstrap: &Bootstrap) -> Result<Outcome> {
        let dim = model.config().embed_dim as usize;
        let queries = self.queries.embed(model, batch)?;
        let gallery = self.gallery.embed(model, batch)?;
        self.queries.check(&queries, dim)?;
        self.gallery.check(&gallery, dim)?;
        let ranks = self.ranked(|right, within| {
            ranks_of(&Embeddings::new(dim, &queries)?, &Embeddings::new(dim, &gallery)?, right, within)
        })?;
        let metrics = self.metrics(&ranks, bootstrap)?;
        Ok(Outcome { metrics, ranks, queries, gallery })
    }

    /// Ranks by `rank` what this protocol calls right.
    fn ranked(&self, rank: impl FnOnce(&Right, Within) -> Result<Ranks>) -> Result<Ranks> {
        let right = Right::by_marks(&self.queries.marks(), &self.gallery.marks());
        let (query_langs, gallery_langs) = (self.queries.langs(), self.gallery.langs());
        let within = self.protocol.same_lang.then_some((query_langs.as_slice(), gallery_langs.as_slice()));
        rank(&right, within)
    }

    /// What controls that hear nothing reach where sounds ask for texts or texts for sounds, fitted on `training`; `None` for
    /// other pairs.
    ///
    /// # Errors
    /// No spoken training record, or as [`run`](Self::run).
    pub fn duration_control(
        &self,
        training: &Spoken,
        bootstrap: &Bootstrap,
    ) -> Result<Option<DurationControls>> {
        if !controlled(self.protocol.from, self.protocol.to) {
            return Ok(None);
        }
        let (from, to) = (&self.queries, &self.gallery);
        let reach = |knows_language: bool| -> Result<RetrievalMetrics> {
            let control = DurationControl::fit(&training.captions(knows_language), &training.seconds)?;
            let ranks = self.ranked(|right, within| match from.modality {
                Modality::Audio => control.rank_captions(&from.seconds(), &to.captions(), right, within),
                _ => control.rank_clips(&from.captions(), &to.seconds(), right, within),
            })?;
            self.metrics(&ranks, bootstrap)
        };
        Ok(Some(DurationControls { duration: reach(false)?, with_language: reach(true)? }))
    }

    fn metrics(&self, ranks: &Ranks, bootstrap: &Bootstrap) -> Result<RetrievalMetrics> {
        RetrievalMetrics::new(
            self.queries.modality.name(),
            self.gallery.modality.name(),
            ranks,
            &self.queries.clusters(),
            bootstrap,
        )
    }
}

/// Whether the duration control can stand beside this pair: what is said has a length, and its caption, too.
pub fn controlled(from: Modality, to: Modality) -> bool {
    matches!((from, to), (Modality::Audio, Modality::Text) | (Modality::Text, Modality::Audio))
}

//! `kind = "retrieval"`: items of one modality find those of another among the records of a split.

use super::engine::{Pool, rank_all};
use super::{Ranks, Right, Within, check_pair, ranks_of};
use crate::control::DurationControl;
use crate::items::{Captions, Choice};
use crate::metrics::RetrievalMetrics;
use crate::side::{Embedded, Reading, Side};
use crate::spoken::Spoken;
use crate::stats::Bootstrap;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use unisono_datasets::{Record, Skip, Source, SourceConfig};
use unisono_encoders::{Modality, Model};

/// A retrieval protocol, as a recipe or the options of `unisono eval retrieval` state it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieval {
    /// Name in tables.
    pub name: String,
    /// Where its records come from.
    pub source: SourceConfig,
    /// Split whose items ask and answer.
    pub split: String,
    /// More splits whose items join the gallery as distractors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distractors: Vec<String>,
    /// What asks.
    pub from: Modality,
    /// What is found. It may be what asks: texts of one language find those of another, or items of one side each other, never themselves.
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

/// What is reached without hearing a word.
#[derive(Debug, Clone, PartialEq)]
pub struct DurationControls {
    /// By a control that sees only how long a clip lasts.
    pub duration: RetrievalMetrics,
    /// By one that is also told the language, and knows how fast each is spoken in the training clips: the harder one to beat.
    pub with_language: RetrievalMetrics,
}

/// A protocol whose items are listed.
#[derive(Debug, Clone)]
pub struct RetrievalTask {
    /// The protocol.
    pub protocol: Retrieval,
    /// What asks.
    pub queries: Side,
    /// What is found.
    pub gallery: Side,
    manifest: PathBuf,
    /// The splits that there are, for messages.
    splits: String,
}

/// What a model reaches in a protocol.
#[derive(Debug, Clone)]
pub struct Retrieved {
    /// The protocol.
    pub protocol: Retrieval,
    /// Recalls, ranks, chance.
    pub metrics: RetrievalMetrics,
    /// Each query's rank.
    pub ranks: Ranks,
    /// What asked.
    pub queries: Embedded,
    /// What was found.
    pub gallery: Embedded,
}

impl Retrieval {
    /// Whether the items of one side find each other: never themselves.
    fn among(&self) -> bool {
        self.from == self.to && self.query_lang == self.gallery_lang && self.distractors.is_empty()
    }

    /// Whether no item can be of both sides, by its language.
    fn apart(&self) -> bool {
        let (of_queries, of_gallery) = (&self.query_lang, &self.gallery_lang);
        !of_queries.is_empty() && !of_gallery.is_empty() && of_queries.iter().all(|l| !of_gallery.contains(l))
    }

    /// Lists both sides among `source`'s records.
    ///
    /// # Errors
    /// No such split, nothing of a modality in it, or a tower that the model lacks.
    pub fn task(&self, source: &dyn Source, model: &Model, reading: &Reading) -> Result<RetrievalTask> {
        if self.from == self.to && !self.among() && !self.apart() {
            let message = format!(
                "{} asks for {}; choose two different modalities, or one of two languages (query_lang and gallery_lang have none in common), or one whose items find each other (the same languages, no distractors)",
                self.from, self.to
            );
            return Err(Error::Protocol { name: self.name.clone(), message });
        }
        let asking = source.records_of(&self.split)?;
        let mut others = Vec::new();
        for split in &self.distractors {
            let more = source.records_of(split)?;
            if more.is_empty() {
                return Err(Error::no_split(source, split, "of the distractors"));
            }
            others.extend(more);
        }
        let asking: Vec<&Record> = asking.iter().map(AsRef::as_ref).collect();
        let answering: Vec<&Record> =
            asking.iter().copied().chain(others.iter().map(AsRef::as_ref)).collect();
        let side = |records: &[&Record], modality, langs: &[String]| {
            let choice = Choice { modality, langs, captions: self.captions, by_lang: self.same_lang };
            Side::of(model, records, &choice, reading)
        };
        let task = RetrievalTask {
            protocol: self.clone(),
            queries: side(&asking, self.from, &self.query_lang)?,
            gallery: side(&answering, self.to, &self.gallery_lang)?,
            manifest: source.path().to_owned(),
            splits: source.splits().into_keys().collect::<Vec<_>>().join(", "),
        };
        for side in [&task.queries, &task.gallery] {
            if side.items.is_empty() {
                return Err(task.nothing(side.modality, &[]));
            }
        }
        Ok(task)
    }
}

impl RetrievalTask {
    /// Nothing of `modality` can be embedded.
    fn nothing(&self, modality: Modality, skipped: &[Skip]) -> Error {
        let hint = match skipped.first() {
            Some(s) => format!("; {} media were skipped, the first: {}", skipped.len(), s.reason),
            None => format!("; its splits are: {}", self.splits),
        };
        Error::NothingToEmbed {
            name: self.protocol.name.clone(),
            modality: modality.name(),
            split: self.protocol.split.clone(),
            manifest: self.manifest.clone(),
            hint,
        }
    }

    /// Decodes one of the first items of each side.
    ///
    /// # Errors
    /// None of them can be used.
    pub(crate) fn probe(&self, model: &Model) -> Result<()> {
        for side in [&self.queries, &self.gallery] {
            let mut skipped = Vec::new();
            if !side.probe(model, &mut skipped) {
                return Err(self.nothing(side.modality, &skipped));
            }
        }
        Ok(())
    }

    /// Embeds both sides with `model`, `batch` items at a time, and ranks; media that cannot be used are named in `skipped`.
    ///
    /// # Errors
    /// Nothing that can be used, no query with a right answer in the gallery, vectors that are not finite, or libtorch's.
    pub fn run(
        &self,
        model: &Model,
        batch: usize,
        bootstrap: &Bootstrap,
        skipped: &mut Vec<Skip>,
    ) -> Result<Retrieved> {
        let mut embed = |side: &Side| -> Result<Embedded> {
            let embedded = side.embed(model, batch, skipped)?;
            if embedded.items.is_empty() {
                return Err(self.nothing(side.modality, skipped));
            }
            Ok(embedded)
        };
        let queries = embed(&self.queries)?;
        let gallery = if self.protocol.among() { queries.clone() } else { embed(&self.gallery)? };
        queries.check()?;
        gallery.check()?;
        let found = Found { protocol: &self.protocol, queries: &queries, gallery: &gallery };
        let ranks = found.ranked(|right, within| {
            let (queries, gallery) = (queries.embeddings()?, gallery.embeddings()?);
            if !self.protocol.among() {
                return ranks_of(&queries, &gallery, right, within);
            }
            check_pair(&queries, &gallery)?;
            let pool = Pool::new(queries.len(), gallery.len(), right, within, true)?;
            rank_all(&pool, |rows, out| queries.scores_into(rows, &gallery, out))
        })?;
        let metrics = found.metrics(&ranks, bootstrap)?;
        Ok(Retrieved { protocol: self.protocol.clone(), metrics, ranks, queries, gallery })
    }
}

/// Both sides, and what counts as right between them.
struct Found<'a> {
    protocol: &'a Retrieval,
    queries: &'a Embedded,
    gallery: &'a Embedded,
}

impl Found<'_> {
    /// Ranks by `rank` what the protocol calls right.
    fn ranked(&self, rank: impl FnOnce(&Right, Within) -> Result<Ranks>) -> Result<Ranks> {
        let right = Right::by_marks(&self.queries.marks(), &self.gallery.marks());
        let (query_langs, gallery_langs) = (self.queries.langs(), self.gallery.langs());
        let within = self.protocol.same_lang.then_some((query_langs.as_slice(), gallery_langs.as_slice()));
        rank(&right, within)
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

impl Retrieved {
    /// What controls that hear nothing reach where audio files ask for texts or texts for audio files, fitted on `training`; `None` for
    /// other pairs.
    ///
    /// # Errors
    /// No spoken training record, or as [`RetrievalTask::run`].
    pub fn duration_control(
        &self,
        training: &Spoken,
        bootstrap: &Bootstrap,
    ) -> Result<Option<DurationControls>> {
        if !controlled(self.protocol.from, self.protocol.to) {
            return Ok(None);
        }
        let (from, to) = (&self.queries, &self.gallery);
        let found = Found { protocol: &self.protocol, queries: from, gallery: to };
        let reach = |knows_language: bool| -> Result<RetrievalMetrics> {
            let control = DurationControl::fit(&training.captions(knows_language), &training.seconds)?;
            let ranks = found.ranked(|right, within| match from.modality {
                Modality::Audio => control.rank_captions(&from.seconds(), &to.captions(), right, within),
                _ => control.rank_clips(&from.captions(), &to.seconds(), right, within),
            })?;
            found.metrics(&ranks, bootstrap)
        };
        Ok(Some(DurationControls { duration: reach(false)?, with_language: reach(true)? }))
    }
}

/// Whether the duration control can stand beside this pair: what is said has a length, and its caption, too.
pub fn controlled(from: Modality, to: Modality) -> bool {
    matches!((from, to), (Modality::Audio, Modality::Text) | (Modality::Text, Modality::Audio))
}

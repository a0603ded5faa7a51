//! Retrieval over a manifest: which items ask, which answer, and what counts as right.

use crate::control::{Caption, DurationControl};
use crate::inputs::ClipInput;
use crate::metrics::RetrievalMetrics;
use crate::retrieval::{Embeddings, Ranks, ranks};
use crate::stats::Bootstrap;
use crate::{Error, Result, inputs};
use image::RgbImage;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use unisono_datasets::video::{Ffmpeg, Span};
use unisono_datasets::{Manifest, MediaLimits, Record};
use unisono_encoders::{Clip, Modality, Model, to_vec};

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
    fn of(self, texts: &[String]) -> Vec<String> {
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

/// One item of a side.
#[derive(Debug, Clone)]
pub struct Item {
    /// The record's id.
    pub id: String,
    /// Identity of the thing; items of one key are each other's right answers.
    pub key: String,
    /// Language, empty when unknown.
    pub lang: String,
    /// The caption, for a text.
    pub text: Option<String>,
    /// The file, for a picture, sound or video.
    pub path: Option<PathBuf>,
    /// The part of the file, for a video.
    pub span: Span,
    /// Length, for a sound.
    pub seconds: Option<f64>,
}

#[derive(Debug, Clone)]
enum Input {
    Text(Vec<Vec<i64>>),
    Image(Vec<RgbImage>),
    Audio(Vec<Vec<f32>>),
    Video(Vec<Clip>),
}

/// The items of one modality, decoded and processed once, to be embedded by a model as often as it changes.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its modality.
    pub modality: Modality,
    /// Its items; row `i` of the embedding is item `i`.
    pub items: Vec<Item>,
    input: Input,
}

/// A medium that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The record's id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// Reads and processes every distinct item of `modality` among `records`; media that are broken or beyond `limits` are named in `skipped`.
///
/// # Errors
/// The model lacks the tower.
pub fn gather(
    model: &Model,
    records: &[&Record],
    modality: Modality,
    langs: &[String],
    captions: Captions,
    limits: &MediaLimits,
    skipped: &mut Vec<Skipped>,
) -> Result<Side> {
    let keys = canonical_keys(records);
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for r in records {
        let lang = r.lang.clone().unwrap_or_default();
        if !langs.is_empty() && !langs.contains(&lang) {
            continue;
        }
        let key = keys.get(r.key()).cloned().unwrap_or_else(|| r.key().to_owned());
        let (id, span) = (r.id.clone(), Span::WHOLE);
        let item = Item { id, key, lang, text: None, path: None, span, seconds: None };
        match modality {
            Modality::Text => {
                for text in captions.of(&r.text) {
                    if seen.insert((item.lang.clone(), text.clone())) {
                        items.push(Item { text: Some(text), ..item.clone() });
                    }
                }
            }
            Modality::Image | Modality::Audio => {
                let files = if modality == Modality::Image { r.image.as_slice() } else { r.audio.as_slice() };
                for path in files {
                    if seen.insert((item.key.clone(), path.display().to_string())) {
                        items.push(Item { path: Some(path.clone()), ..item.clone() });
                    }
                }
            }
            Modality::Video => {
                if let Some(path) = &r.video
                    && seen.insert((item.key.clone(), format!("{} {}", path.display(), r.span)))
                {
                    items.push(Item { path: Some(path.clone()), span: r.span, ..item.clone() });
                }
            }
        }
    }
    process(model, modality, items, limits, skipped)
}

type Processed<T> = Vec<std::result::Result<T, String>>;

fn process(
    model: &Model,
    modality: Modality,
    items: Vec<Item>,
    chosen: &MediaLimits,
    skipped: &mut Vec<Skipped>,
) -> Result<Side> {
    let limits = chosen.files();
    match modality {
        Modality::Text => {
            let p = model.text_processor()?;
            let ids: Processed<Vec<i64>> = items
                .par_iter()
                .map(|i| p.encode(i.text.as_deref().unwrap_or_default()).map_err(|e| e.to_string()))
                .collect();
            let (items, ids) = keep(items, ids, skipped, |_, _| ());
            Ok(Side { modality, items, input: Input::Text(ids) })
        }
        Modality::Image => {
            let p = model.image_processor()?;
            let squares: Processed<RgbImage> = items
                .par_iter()
                .map(|i| {
                    inputs::picture(i.path.as_deref().unwrap_or("".as_ref()), p, limits)
                        .map_err(|e| e.to_string())
                })
                .collect();
            let (items, squares) = keep(items, squares, skipped, |_, _| ());
            Ok(Side { modality, items, input: Input::Image(squares) })
        }
        Modality::Audio => {
            let p = model.audio_processor()?;
            let mels: Processed<(Vec<f32>, f64)> = items
                .par_iter()
                .map(|i| {
                    inputs::spectrogram(i.path.as_deref().unwrap_or("".as_ref()), p, &limits)
                        .map_err(|e| e.to_string())
                })
                .collect();
            let (items, mels) =
                keep(items, mels, skipped, |item, (_, seconds)| item.seconds = Some(*seconds));
            Ok(Side { modality, items, input: Input::Audio(mels.into_iter().map(|(m, _)| m).collect()) })
        }
        Modality::Video => {
            let input = ClipInput::of(model)?;
            let (ffmpeg, limits) = (Ffmpeg::find(None)?, chosen.videos());
            let clips: Processed<Clip> = items
                .par_iter()
                .map(|i| {
                    let path = i.path.as_deref().unwrap_or("".as_ref());
                    input.read(path, &i.span, &ffmpeg, &limits).map_err(|e| e.to_string())
                })
                .collect();
            let (items, clips) = keep(items, clips, skipped, |_, _| ());
            Ok(Side { modality, items, input: Input::Video(clips) })
        }
    }
}

fn keep<T>(
    items: Vec<Item>,
    processed: Processed<T>,
    skipped: &mut Vec<Skipped>,
    note: impl Fn(&mut Item, &T),
) -> (Vec<Item>, Vec<T>) {
    let (mut kept, mut values) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for (mut item, value) in items.into_iter().zip(processed) {
        match value {
            Ok(value) => {
                note(&mut item, &value);
                kept.push(item);
                values.push(value);
            }
            Err(reason) => skipped.push(Skipped { id: item.id, reason }),
        }
    }
    (kept, values)
}

/// Labels that share a caption in one language are one answer: telling them apart by it would be luck. Maps each to the first of its set.
fn canonical_keys(records: &[&Record]) -> BTreeMap<String, String> {
    fn root<'a>(parent: &BTreeMap<&'a str, &'a str>, mut key: &'a str) -> &'a str {
        while let Some(up) = parent.get(key) {
            key = up;
        }
        key
    }
    let mut parent: BTreeMap<&str, &str> = BTreeMap::new();
    let mut first: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for r in records {
        // Only names join labels: shared tags ("animal") do not make two things one.
        let Some(text) = r.text.first().filter(|_| r.lang.is_some()) else { continue };
        let lang = r.lang.as_deref().unwrap_or_default();
        let there = *first.entry((lang, text.trim().to_lowercase())).or_insert_with(|| r.key());
        let (a, b) = (root(&parent, there), root(&parent, r.key()));
        if a != b {
            parent.insert(a.max(b), a.min(b));
        }
    }
    records.iter().map(|r| (r.key().to_owned(), root(&parent, r.key()).to_owned())).collect()
}

impl Side {
    /// Embeds every item, `batch` at a time; sounds of like length share a batch. Returns `[N, D]` row-major.
    ///
    /// # Errors
    /// libtorch's.
    pub fn embed(&self, model: &Model, batch: usize) -> Result<Vec<f32>> {
        let dim = model.config().embed_dim as usize;
        let mut order: Vec<usize> = (0..self.items.len()).collect();
        match &self.input {
            Input::Text(ids) => order.sort_by_key(|i| ids[*i].len()),
            Input::Audio(mels) => order.sort_by_key(|i| mels[*i].len()),
            Input::Image(_) | Input::Video(_) => {}
        }
        let mut out = vec![0f32; self.items.len() * dim];
        for chunk in order.chunks(batch.max(1)) {
            let vectors = tch::no_grad(|| self.embed_chunk(model, chunk))?;
            for (row, at) in to_vec(&vectors)?.chunks(dim).zip(chunk) {
                out[at * dim..(at + 1) * dim].copy_from_slice(row);
            }
        }
        Ok(out)
    }

    fn embed_chunk(&self, model: &Model, chunk: &[usize]) -> unisono_encoders::Result<tch::Tensor> {
        use unisono_encoders::Mode::Eval;
        match &self.input {
            Input::Text(ids) => {
                let rows: Vec<Vec<i64>> = chunk.iter().map(|i| ids[*i].clone()).collect();
                let (ids, mask) = model.text_processor()?.batch(&rows, model.device())?;
                model.project(Modality::Text, &model.forward_text(&ids, &mask, Eval)?.pooled)
            }
            Input::Image(squares) => {
                let rows: Vec<RgbImage> = chunk.iter().map(|i| squares[*i].clone()).collect();
                model.project(Modality::Image, &model.pool_images(&rows)?)
            }
            Input::Audio(mels) => {
                let rows: Vec<&[f32]> = chunk.iter().map(|i| mels[*i].as_slice()).collect();
                model.embed_spectrograms(&rows)
            }
            Input::Video(clips) => {
                let rows: Vec<&Clip> = chunk.iter().map(|i| &clips[*i]).collect();
                model.project(Modality::Video, &model.pool_clips(&rows)?)
            }
        }
    }

    /// The tower's tokens of some of the items, for a fusion Transformer.
    ///
    /// # Errors
    /// Texts, or libtorch's.
    pub fn tokens(
        &self,
        model: &unisono_fusion::FusionModel,
        items: std::ops::Range<usize>,
    ) -> Result<unisono_fusion::Sequence> {
        match &self.input {
            Input::Image(squares) => Ok(model.see(&squares[items])?),
            Input::Audio(mels) => Ok(model.hear(&mels[items])?),
            Input::Text(_) | Input::Video(_) => {
                Err(Error::Input("expected pictures or sounds to caption, found texts or videos".into()))
            }
        }
    }

    fn keys(&self) -> Vec<&str> {
        self.items.iter().map(|i| i.key.as_str()).collect()
    }

    fn langs(&self) -> Vec<&str> {
        self.items.iter().map(|i| i.lang.as_str()).collect()
    }

    fn captions(&self) -> Vec<Caption<'_>> {
        self.items
            .iter()
            .map(|i| Caption { text: i.text.as_deref().unwrap_or_default(), lang: &i.lang })
            .collect()
    }

    fn seconds(&self) -> Vec<f64> {
        self.items.iter().map(|i| i.seconds.unwrap_or_default()).collect()
    }
}

/// Captions that are spoken, and for how long: what the duration control learns from.
#[derive(Debug, Clone, Default)]
pub struct Spoken {
    captions: Vec<(String, String)>,
    seconds: Vec<f64>,
}

impl Spoken {
    /// The first caption and the length of every sound among `records`; sounds that cannot be decoded are left out.
    pub fn measure(records: &[&Record], limits: &MediaLimits) -> Self {
        let limits = limits.files();
        let clips: Vec<(&Record, &PathBuf)> = records
            .iter()
            .filter(|r| !r.text.is_empty())
            .flat_map(|r| r.audio.iter().map(move |a| (*r, a)))
            .collect();
        let lengths: Vec<Option<f64>> = clips
            .par_iter()
            .map(|(_, a)| unisono_datasets::decode::sound(a, &limits).ok().map(|s| s.seconds()))
            .collect();
        let mut out = Self::default();
        for ((r, _), seconds) in clips.into_iter().zip(lengths) {
            if let Some(seconds) = seconds {
                out.captions.push((r.text[0].clone(), r.lang.clone().unwrap_or_default()));
                out.seconds.push(seconds);
            }
        }
        out
    }

    /// Without the languages every clip is fitted by one line.
    fn captions(&self, languages: bool) -> Vec<Caption<'_>> {
        self.captions
            .iter()
            .map(|(text, lang)| Caption { text, lang: if languages { lang } else { "" } })
            .collect()
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
        let mut skipped = Vec::new();
        let asking = manifest.split(&protocol.split);
        let mut answering = asking.clone();
        for split in &protocol.distractors {
            answering.extend(manifest.split(split));
        }
        let (p, c) = (protocol, protocol.captions);
        let queries = gather(model, &asking, p.from, &p.query_lang, c, limits, &mut skipped)?;
        let gallery = gather(model, &answering, p.to, &p.gallery_lang, c, limits, &mut skipped)?;
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
        let (query_keys, gallery_keys) = (self.queries.keys(), self.gallery.keys());
        let (query_langs, gallery_langs) = (self.queries.langs(), self.gallery.langs());
        let within = self.protocol.same_lang.then_some((query_langs.as_slice(), gallery_langs.as_slice()));
        let ranks = ranks(
            &Embeddings::new(dim, &queries)?,
            &query_keys,
            &Embeddings::new(dim, &gallery)?,
            &gallery_keys,
            within,
        )?;
        let metrics = self.metrics(&ranks, bootstrap)?;
        Ok(Outcome { metrics, ranks, queries, gallery })
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
        let (from, to) = (&self.queries, &self.gallery);
        if !matches!(
            (from.modality, to.modality),
            (Modality::Audio, Modality::Text) | (Modality::Text, Modality::Audio)
        ) {
            return Ok(None);
        }
        let (from_keys, to_keys) = (from.keys(), to.keys());
        let (from_langs, to_langs) = (from.langs(), to.langs());
        let within = self.protocol.same_lang.then_some((from_langs.as_slice(), to_langs.as_slice()));
        let reach = |knows_language: bool| -> Result<RetrievalMetrics> {
            let control = DurationControl::fit(&training.captions(knows_language), &training.seconds)?;
            let ranks = if from.modality == Modality::Audio {
                control.rank_captions(&from.seconds(), &from_keys, &to.captions(), &to_keys, within)?
            } else {
                control.rank_clips(&from.captions(), &from_keys, &to.seconds(), &to_keys, within)?
            };
            self.metrics(&ranks, bootstrap)
        };
        Ok(Some(DurationControls { duration: reach(false)?, with_language: reach(true)? }))
    }

    fn metrics(&self, ranks: &Ranks, bootstrap: &Bootstrap) -> Result<RetrievalMetrics> {
        RetrievalMetrics::new(
            self.queries.modality.name(),
            self.gallery.modality.name(),
            ranks,
            &self.queries.keys(),
            bootstrap,
        )
    }
}

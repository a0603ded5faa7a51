//! What is searched for.

use crate::error::Error;
use crate::texts::TextArgs;
use std::path::Path;
use unisono_jobs::hub::model_dir;
use unisono_jobs::index::combine;
use unisono_jobs::{Device, Embedder, Error as JobError, Index, Item, Modality};
use unisono_media::MediaLimits;
use unisono_media::video::Span;

/// What the options name.
pub(super) struct Given<'a> {
    pub(super) query: Option<&'a str>,
    pub(super) image: Option<&'a Path>,
    pub(super) audio: Option<&'a Path>,
    pub(super) video: Option<&'a Path>,
    pub(super) like: Option<&'a str>,
    pub(super) not: &'a [String],
    pub(super) weights: &'a [f32],
    /// Whether they are embedded: words alone need no model.
    pub(super) embeds: bool,
    pub(super) model: Option<&'a Path>,
    pub(super) ffmpeg: Option<&'a Path>,
    pub(super) texts: &'a TextArgs,
    pub(super) limits: MediaLimits,
}

/// One query.
pub(super) struct Part {
    pub(super) item: Item,
    /// How much it counts; below zero: it is to be kept away from.
    pub(super) weight: f32,
    vector: Vec<f32>,
}

/// What is searched for, together.
pub(super) struct Asked {
    pub(super) parts: Vec<Part>,
    /// `[D]`.
    pub(super) vector: Vec<f32>,
    /// Rows that are no hits.
    pub(super) without: Vec<usize>,
}

impl Asked {
    /// Embeds what the options name, with the model that made the index; an item of the index has its vector there.
    pub(super) fn of(args: &Given, index: &Index, device: Device) -> Result<Self, Error> {
        let (mut found, mut without) = (Vec::new(), Vec::new());
        if let Some(query) = args.query.filter(|_| !args.embeds) {
            let part = Part { item: Item::text("query", query), weight: 1.0, vector: Vec::new() };
            return Ok(Self { parts: vec![part], vector: Vec::new(), without });
        }
        let model =
            args.query.is_some() || args.image.is_some() || args.audio.is_some() || args.video.is_some();
        if model || !args.not.is_empty() {
            let moved = args.model.map(model_dir);
            let mut embedder = Embedder::of_index(index, moved.as_deref(), device)?;
            embedder.set_ffmpeg(args.ffmpeg.map(Path::to_owned));
            embedder.set_limits(args.limits);
            args.texts.set_prompt(embedder.model_mut()).map_err(JobError::from)?;
            if args.query.is_some() {
                args.texts.note(embedder.model(), "the query");
            }
            embed(args, &embedder, &mut found)?;
        }
        if let Some(id) = args.like {
            let none = || {
                let at = index.folder().display();
                Error::Failed(format!(
                    "{at}: holds no item {id:?} with a vector; `unisono search --json` shows ids"
                ))
            };
            let row = index.row_of(id).ok_or_else(none)?;
            let (item, vector) = index.item(row).zip(index.vector(row)).ok_or_else(none)?;
            let place = found.iter().position(|(_, _, usual)| *usual < 0.0).unwrap_or(found.len());
            found.insert(place, (item, vector.to_vec(), 1.0));
            without.push(row);
        }
        let weight =
            |(place, usual): (usize, f32)| args.weights.get(place).map_or(usual, |w| w.copysign(usual));
        let parts: Vec<Part> = found
            .into_iter()
            .enumerate()
            .map(|(place, (item, vector, usual))| Part { item, weight: weight((place, usual)), vector })
            .collect();
        let vector = match &parts[..] {
            [one] => one.vector.clone(),
            several => {
                let several: Vec<_> = several.iter().map(|part| (part.vector.clone(), part.weight)).collect();
                combine(&several).map_err(JobError::from)?
            }
        };
        Ok(Self { parts, vector, without })
    }

    /// The first query.
    pub(super) fn item(&self) -> &Item {
        // The options demand one.
        static NONE: std::sync::LazyLock<Item> = std::sync::LazyLock::new(|| Item::text("query", ""));
        self.parts.first().map_or(&NONE, |part| &part.item)
    }

    /// The modality of the query; of several, of the first that is no sentence.
    pub(super) fn modality(&self) -> Modality {
        let asks = self.parts.iter().filter(|part| part.weight >= 0.0).map(|part| part.item.modality);
        asks.into_iter().find(|modality| *modality != Modality::Text).unwrap_or(Modality::Text)
    }
}

/// The queries as items, their vectors `[D]`, and how much each usually counts.
fn embed(args: &Given, embedder: &Embedder, found: &mut Vec<(Item, Vec<f32>, f32)>) -> Result<(), Error> {
    let text =
        |text: &str| -> Result<_, Error> { Ok((Item::text("query", text), embedder.texts(&[text])?.data)) };
    if let Some(query) = args.query {
        let (item, vector) = text(query)?;
        found.push((item, vector, 1.0));
    }
    if let Some(path) = args.image {
        found.push((Item::file(path, Modality::Image), embedder.image(path)?, 1.0));
    }
    if let Some(path) = args.audio {
        found.push((Item::file(path, Modality::Audio), embedder.audio(path)?, 1.0));
    }
    if let Some(path) = args.video {
        found.push((Item::video(path, Modality::Video), embedder.video(path, &Span::WHOLE)?, 1.0));
    }
    for not in args.not {
        let (item, vector) = text(not)?;
        found.push((item, vector, -0.5));
    }
    Ok(())
}

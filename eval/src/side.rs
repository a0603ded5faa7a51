//! One side of an evaluation: the items of a modality, decoded, processed and embedded.

use crate::control::Caption;
use crate::items::{Choice, Item};
use crate::protocol::Captions;
use crate::{Error, Result};
use image::RgbImage;
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::Path;
use unisono_datasets::Record;
use unisono_encoders::{Clip, Modality, Model, to_vec};
use unisono_media::MediaLimits;
use unisono_media::video::Ffmpeg;
use unisono_processors::{Contract, Prepared};

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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The record's id.
    pub id: String,
    /// Why.
    pub reason: String,
}

/// Reads and processes every item of `modality` among `records`; media that are broken or beyond `limits` are named in `skipped`.
///
/// A file, or a part of a video, that several records name is one item. Every record's captions are items of their own, except that the
/// same words about one label are one item: a label's records are many drawings or recordings of one thing.
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
    let reading = Reading { limits: *limits, ffmpeg: None };
    gather_by(model, records, &Choice { modality, langs, captions, by_lang: false }, &reading, skipped)
}

/// How media are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// What they may cost.
    pub limits: MediaLimits,
    /// The program that decodes videos, and sounds that nothing else does; `None`: it is looked for.
    pub ffmpeg: Option<&'a Path>,
}

/// [`gather`] for any choice.
pub(crate) fn gather_by(
    model: &Model,
    records: &[&Record],
    choice: &Choice,
    reading: &Reading,
    skipped: &mut Vec<Skipped>,
) -> Result<Side> {
    process(model, choice.modality, choice.items(records), reading, skipped)
}

fn process(
    model: &Model,
    modality: Modality,
    items: Vec<Item>,
    reading: &Reading,
    skipped: &mut Vec<Skipped>,
) -> Result<Side> {
    // A tower that is not there is no item's fault.
    match modality {
        Modality::Text => drop(model.text_processor()?),
        Modality::Image | Modality::Video => drop(model.image_processor()?),
        Modality::Audio => drop(model.audio_processor()?),
    }
    let ffmpeg = reading.ffmpeg.map(|named| Ffmpeg::find(Some(named))).transpose()?;
    let ffmpeg = match modality {
        // Without it there is nothing to look at.
        Modality::Video if ffmpeg.is_none() => Some(Ffmpeg::find(None)?),
        _ => ffmpeg,
    };
    let contract = Contract { limits: reading.limits, ffmpeg, ..model.contract() };
    let prepared: Vec<_> = items.par_iter().map(|item| contract.prepare(item.medium(modality))).collect();
    let mut kept = Vec::with_capacity(items.len());
    let mut input = match modality {
        Modality::Text => Input::Text(Vec::new()),
        Modality::Image => Input::Image(Vec::new()),
        Modality::Audio => Input::Audio(Vec::new()),
        Modality::Video => Input::Video(Vec::new()),
    };
    for (mut item, prepared) in items.into_iter().zip(prepared) {
        match (prepared, &mut input) {
            (Ok(Prepared::Text(ids)), Input::Text(all)) => all.push(ids),
            (Ok(Prepared::Image(picture)), Input::Image(all)) => all.push(picture),
            (Ok(Prepared::Audio(mel, heard)), Input::Audio(all)) => {
                item.seconds = Some(heard.seconds);
                all.push(mel);
            }
            (Ok(Prepared::Video(clip)), Input::Video(all)) => all.push(clip),
            (Ok(_), _) => continue,
            (Err(e), _) => {
                skipped.push(Skipped { id: item.id, reason: e.to_string() });
                continue;
            }
        }
        kept.push(item);
    }
    Ok(Side { modality, items: kept, input })
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
            let vectors = self.embed_chunk(model, chunk)?;
            for (row, at) in to_vec(&vectors)?.chunks(dim).zip(chunk) {
                out[at * dim..(at + 1) * dim].copy_from_slice(row);
            }
        }
        Ok(out)
    }

    fn embed_chunk(&self, model: &Model, chunk: &[usize]) -> unisono_encoders::Result<tch::Tensor> {
        use unisono_encoders::Input as Given;
        let rows = chunk.iter().map(|i| match &self.input {
            Input::Text(ids) => Given::Text(&ids[*i]),
            Input::Image(squares) => Given::Image(&squares[*i]),
            Input::Audio(mels) => Given::Audio(&mels[*i]),
            Input::Video(clips) => Given::from(&clips[*i]),
        });
        model.embed(rows, true)
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

    pub(crate) fn marks(&self) -> Vec<&[String]> {
        self.items.iter().map(|i| i.marks.as_slice()).collect()
    }

    /// A name for each item that it has in common with every item that it hangs together with by marks: these are resampled together.
    pub(crate) fn clusters(&self) -> Vec<&str> {
        fn root(up: &mut [usize], mut at: usize) -> usize {
            while up[at] != at {
                up[at] = up[up[at]];
                at = up[at];
            }
            at
        }
        let mut up: Vec<usize> = (0..self.items.len()).collect();
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (i, item) in self.items.iter().enumerate() {
            for mark in &item.marks {
                let there = *first.entry(mark).or_insert(i);
                let (a, b) = (root(&mut up, there), root(&mut up, i));
                up[a.max(b)] = a.min(b);
            }
        }
        (0..up.len()).map(|i| self.items[root(&mut up, i)].id.as_str()).collect()
    }

    /// Refuses vectors that are not finite, naming the item.
    pub(crate) fn check(&self, vectors: &[f32], dim: usize) -> Result<()> {
        match vectors.chunks(dim.max(1)).zip(&self.items).find(|(row, _)| row.iter().any(|v| !v.is_finite()))
        {
            None => Ok(()),
            Some((_, item)) => Err(Error::BrokenVector {
                modality: self.modality.name(),
                id: item.id.clone(),
                what: match &item.path {
                    Some(path) => path.display().to_string(),
                    None => format!("{:?}", item.text.as_deref().unwrap_or_default()),
                },
            }),
        }
    }

    pub(crate) fn langs(&self) -> Vec<&str> {
        self.items.iter().map(|i| i.lang.as_str()).collect()
    }

    pub(crate) fn captions(&self) -> Vec<Caption<'_>> {
        self.items
            .iter()
            .map(|i| Caption { text: i.text.as_deref().unwrap_or_default(), lang: &i.lang })
            .collect()
    }

    pub(crate) fn seconds(&self) -> Vec<f64> {
        self.items.iter().map(|i| i.seconds.unwrap_or_default()).collect()
    }
}

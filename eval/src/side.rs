//! One side of an evaluation: the items of a modality, and the vectors that a model gives them.

use crate::control::Caption;
use crate::items::{Captions, Choice, Item};
use crate::memo::{self, Made, Memo};
use crate::retrieval::Embeddings;
use crate::{Error, Result, stream};
use image::RgbImage;
use std::collections::HashMap;
use std::path::Path;
use unisono_datasets::{Record, Skip};
use unisono_encoders::{Input, Modality, Model, to_vec};
use unisono_media::MediaLimits;
use unisono_media::video::Ffmpeg;
use unisono_processors::{Contract, Prepared};

/// Texts and audio files of like length share a batch: so many bytes of them are held, at most, to find those that are alike.
const HELD: usize = 256 << 20;
/// Items of which one must be usable before a model is asked for any.
const PROBED: usize = 16;

/// The items of one modality. Their media are decoded when they are embedded, a few batches ahead of the towers: none is held.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its modality.
    pub modality: Modality,
    /// Its items.
    pub items: Vec<Item>,
    limits: MediaLimits,
    ffmpeg: Option<Ffmpeg>,
    memo: Option<Memo>,
}

/// How media are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading<'a> {
    /// What they may cost.
    pub limits: MediaLimits,
    /// The program that decodes videos, and audio files that nothing else does; `None`: it is looked for.
    pub ffmpeg: Option<&'a Path>,
    /// Remembers what the model makes of items, for other protocols of the same model.
    pub memo: Option<&'a Memo>,
}

impl Reading<'_> {
    /// The program, where it was named.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn named(&self) -> Result<Option<Ffmpeg>> {
        Ok(self.ffmpeg.map(|named| Ffmpeg::find(Some(named))).transpose()?)
    }
}

/// The items that could be used, with their vectors.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// Their modality.
    pub modality: Modality,
    /// The items; of audio files their lengths are known now.
    pub items: Vec<Item>,
    /// Where each stands among the items of its side.
    pub places: Vec<usize>,
    /// `[N, D]` row-major, a row for each item.
    pub vectors: Vec<f32>,
    /// D.
    pub dim: usize,
}

/// The items of `modality` among `records`.
///
/// A file, or a part of a video, that several records name is one item. Every record's captions are items of their own, except that the
/// same words about one label are one item: a label's records are many drawings or recordings of one thing.
///
/// # Errors
/// The model lacks the tower, or FFmpeg is missing for videos.
pub fn gather(
    model: &Model,
    records: &[&Record],
    modality: Modality,
    langs: &[String],
    captions: Captions,
    limits: &MediaLimits,
) -> Result<Side> {
    let reading = Reading { limits: *limits, ..Reading::default() };
    Side::of(model, records, &Choice { modality, langs, captions, by_lang: false }, &reading)
}

impl Side {
    /// [`gather`] for any choice.
    pub(crate) fn of(model: &Model, records: &[&Record], choice: &Choice, reading: &Reading) -> Result<Self> {
        // A tower that is not there is no item's fault.
        match choice.modality {
            Modality::Text => drop(model.text_processor()?),
            Modality::Image | Modality::Video => drop(model.image_processor()?),
            Modality::Audio => drop(model.audio_processor()?),
        }
        let ffmpeg = match choice.modality {
            // Without it there is nothing to look at.
            Modality::Video => Some(Ffmpeg::find(reading.ffmpeg)?),
            _ => reading.named()?,
        };
        let (modality, limits, memo) = (choice.modality, reading.limits, reading.memo.cloned());
        Ok(Self { modality, items: choice.items(records), limits, ffmpeg, memo })
    }

    /// Another choice of items, read in the same way.
    pub(crate) fn among(&self, records: &[&Record], choice: &Choice) -> Self {
        Self { modality: choice.modality, items: choice.items(records), ..self.clone() }
    }

    fn contract<'a>(&self, model: &'a Model) -> Contract<'a> {
        Contract { limits: self.limits, ffmpeg: self.ffmpeg.clone(), ..model.contract() }
    }

    /// Whether any of the first items can be used: that a folder is not where it was is known before hours of training. The reasons why
    /// not go to `skipped`.
    pub(crate) fn probe(&self, model: &Model, skipped: &mut Vec<Skip>) -> bool {
        let contract = self.contract(model);
        self.items.iter().take(PROBED).any(|item| match contract.prepare(item.medium(self.modality)) {
            Ok(_) => true,
            Err(e) => {
                skipped.push(Skip { id: item.id.clone(), reason: e.to_string() });
                false
            }
        })
    }

    /// Decodes every item and hands it to `take` with its place, in order; media that are broken or beyond the limits are named in
    /// `skipped`. A few items are decoded ahead on other threads.
    ///
    /// # Errors
    /// Those of `take`, which end it.
    pub(crate) fn each(
        &self,
        model: &Model,
        skipped: &mut Vec<Skip>,
        take: impl FnMut(usize, Prepared) -> Result<()>,
    ) -> Result<()> {
        self.some(&(0..self.items.len()).collect::<Vec<_>>(), model, skipped, take)
    }

    /// [`each`](Self::each) of the items at `places`.
    fn some(
        &self,
        places: &[usize],
        model: &Model,
        skipped: &mut Vec<Skip>,
        mut take: impl FnMut(usize, Prepared) -> Result<()>,
    ) -> Result<()> {
        let contract = self.contract(model);
        stream::ahead(
            places.len(),
            |i| contract.prepare(self.items[places[i]].medium(self.modality)),
            |i, prepared| match prepared {
                Ok(prepared) => take(places[i], prepared),
                Err(e) => {
                    skipped.push(Skip { id: self.items[places[i]].id.clone(), reason: e.to_string() });
                    Ok(())
                }
            },
        )
    }

    /// Embeds every item that can be used, `batch` at a time; texts and audio files of like length share a batch.
    ///
    /// # Errors
    /// libtorch's.
    pub fn embed(&self, model: &Model, batch: usize, skipped: &mut Vec<Skip>) -> Result<Embedded> {
        let (batch, dim) = (batch.max(1), usize::try_from(model.dims()).unwrap_or(0));
        let memo = self.memo.as_ref().filter(|memo| memo.takes(self.modality));
        let pooled = memo.is_some_and(Memo::is_of_towers);
        let mut made = match memo {
            Some(memo) => memo.of(&self.items, self.modality),
            None => vec![None; self.items.len()],
        };
        let todo: Vec<usize> = (0..made.len()).filter(|at| made[*at].is_none()).collect();
        let alike = matches!(self.modality, Modality::Text | Modality::Audio);
        let (mut held, mut bytes) = (Vec::new(), 0);
        self.some(&todo, model, skipped, |at, prepared| {
            let seconds = if let Prepared::Audio(_, heard) = &prepared { Some(heard.seconds) } else { None };
            made[at] = Some(Made { vector: Vec::new(), seconds });
            bytes += prepared.bytes();
            held.push((at, prepared));
            if if alike { bytes >= HELD } else { held.len() == batch } {
                bytes = 0;
                fill(&mut made, model, std::mem::take(&mut held), batch, pooled)?;
            }
            Ok(())
        })?;
        fill(&mut made, model, held, batch, pooled)?;
        if let Some(memo) = memo {
            let fresh = todo.iter().filter_map(|at| Some((&self.items[*at], made[*at].as_ref()?)));
            fresh.for_each(|(item, made)| memo.keep(item, self.modality, made));
        }
        if pooled {
            memo::project(&mut made, model, self.modality, batch)?;
        }
        let (mut items, mut places, mut vectors) = (Vec::new(), Vec::new(), Vec::new());
        for (at, made) in made.into_iter().enumerate() {
            let Some(made) = made else { continue };
            let mut item = self.items[at].clone();
            item.seconds = made.seconds.or(item.seconds);
            items.push(item);
            places.push(at);
            vectors.extend(made.vector);
        }
        Ok(Embedded { modality: self.modality, items, places, vectors, dim })
    }
}

/// Embeds what is `held`, each for its place, `batch` at a time by length.
fn fill(
    out: &mut [Option<Made>],
    model: &Model,
    mut held: Vec<(usize, Prepared)>,
    batch: usize,
    pooled: bool,
) -> Result<()> {
    // The longest first: what they leave free is enough for all that follow.
    held.sort_by_key(|(_, prepared)| std::cmp::Reverse(length(prepared)));
    let mut held = held.into_iter().peekable();
    while held.peek().is_some() {
        let (places, inputs): (Vec<usize>, Vec<Prepared>) = held.by_ref().take(batch).unzip();
        let inputs = inputs.iter().map(Input::from);
        let made = to_vec(&if pooled { model.pooled(inputs)? } else { model.embed(inputs, true)? })?;
        let dim = made.len() / places.len().max(1);
        for (vector, place) in made.chunks(dim.max(1)).zip(places) {
            if let Some(Some(made)) = out.get_mut(place) {
                made.vector = vector.to_vec();
            }
        }
    }
    Ok(())
}

/// How long a text or an audio file is; images and videos keep their order.
fn length(prepared: &Prepared) -> usize {
    match prepared {
        Prepared::Text(ids) => ids.len(),
        Prepared::Audio(mel, _) => mel.len(),
        Prepared::Image(_) | Prepared::Video(_) => 0,
    }
}

/// The images among inputs.
pub(crate) fn images(inputs: Vec<Prepared>) -> Vec<RgbImage> {
    inputs
        .into_iter()
        .filter_map(|p| if let Prepared::Image(image) = p { Some(image) } else { None })
        .collect()
}

/// The audio files among inputs.
pub(crate) fn spectrograms(inputs: Vec<Prepared>) -> Vec<Vec<f32>> {
    inputs
        .into_iter()
        .filter_map(|p| if let Prepared::Audio(mel, _) = p { Some(mel) } else { None })
        .collect()
}

impl Embedded {
    /// The vectors, to be ranked.
    ///
    /// # Errors
    /// A width of none.
    pub fn embeddings(&self) -> Result<Embeddings<'_>> {
        Embeddings::new(self.dim, &self.vectors)
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
    pub(crate) fn check(&self) -> Result<()> {
        let mut rows = self.vectors.chunks(self.dim.max(1)).zip(&self.items);
        match rows.find(|(row, _)| row.iter().any(|v| !v.is_finite())) {
            None => Ok(()),
            Some((_, item)) => Err(Error::BrokenVector {
                modality: self.modality.name(),
                id: item.id.clone(),
                what: match &item.blob {
                    Some(blob) => blob.name().display().to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unisono_media::video::Span;

    fn embedded(marks: &[Vec<String>], vectors: Vec<f32>) -> Embedded {
        let item = |(i, marks): (usize, &Vec<String>)| Item {
            id: i.to_string(),
            key: i.to_string(),
            marks: marks.clone(),
            lang: String::new(),
            text: Some(format!("text {i}")),
            blob: None,
            span: Span::WHOLE,
            seconds: None,
        };
        let items: Vec<Item> = marks.iter().enumerate().map(item).collect();
        Embedded { modality: Modality::Text, places: (0..items.len()).collect(), items, vectors, dim: 2 }
    }

    proptest! {
        #[test]
        fn clusters_are_what_hangs_together(
            marks in prop::collection::vec(prop::collection::vec("[a-l]", 0..3), 1..10),
        ) {
            let embedded = embedded(&marks, Vec::new());
            let found = embedded.clusters();
            // Naive: whoever can be reached by marks in common, again and again.
            let n = marks.len();
            let mut reach: Vec<Vec<bool>> = (0..n)
                .map(|i| (0..n).map(|j| i == j || marks[i].iter().any(|m| marks[j].contains(m))).collect())
                .collect();
            for over in 0..n {
                for i in 0..n {
                    for j in 0..n {
                        reach[i][j] |= reach[i][over] && reach[over][j];
                    }
                }
            }
            for i in 0..n {
                for j in 0..n {
                    prop_assert_eq!(found[i] == found[j], reach[i][j], "{} {}", i, j);
                }
            }
        }
    }

    #[test]
    fn a_vector_that_is_no_number_is_told_by_its_item() {
        let marks = vec![Vec::new(); 2];
        embedded(&marks, vec![1.0, 0.0, 0.6, 0.8]).check().unwrap();
        for bad in [f32::NAN, f32::INFINITY] {
            let said = embedded(&marks, vec![1.0, 0.0, bad, 0.8]).check().unwrap_err().to_string();
            assert!(said.contains("record \"1\"") && said.contains("text 1"), "{said}");
        }
    }

    #[test]
    fn what_is_alike_is_found_by_length_and_images_keep_their_order() {
        assert_eq!(length(&Prepared::Text(vec![1, 2, 3])), 3);
        let image = |side| Prepared::Image(RgbImage::new(side, side));
        assert_eq!(length(&image(3)), length(&image(9)));
        assert_eq!(images(vec![image(2), Prepared::Text(vec![1])]).len(), 1);
        assert!(spectrograms(vec![image(2)]).is_empty());
    }
}

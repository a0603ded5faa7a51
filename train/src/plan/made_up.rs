//! Inputs made of nothing, of the shapes that a recipe's data have: texts as long as the captions that are known, images and spectrograms of the
//! processors' sizes.

use super::Share;
use crate::data::Sample;
use crate::{Learner, Recipe, Result};
use image::{Rgb, RgbImage};
use std::path::PathBuf;
use std::sync::Arc;
use unisono_datasets::{Manifest, Part, Record, Sampler, Share as Drawn};
use unisono_encoders::{Modality, Model};

/// Records that stand for those of the data.
pub(crate) struct MadeUp {
    sampler: Sampler,
    /// By source: whether its records are its own.
    known: Vec<bool>,
}

impl MadeUp {
    /// Of what is known of each source's records, in the order of the recipe; nothing: they are made up.
    pub(crate) fn of(recipe: &Recipe, known: Vec<Vec<Record>>) -> Result<Self> {
        let mut shares = Vec::new();
        let mut own = Vec::new();
        for (at, config) in recipe.data.iter().enumerate() {
            let known = known.get(at).filter(|records| !records.is_empty());
            own.push(known.is_some());
            let records = known.cloned().unwrap_or_else(|| (0..64).map(record).collect());
            let manifest = Manifest { path: PathBuf::from(config.source.name()), records };
            shares.push(Drawn::new(&config.name, Part::all(Arc::new(manifest)), 1));
        }
        Ok(Self { sampler: Sampler::new(shares, recipe.seed)?, known: own })
    }

    /// The records, by source.
    pub(crate) fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// A batch. Towers that are `kept` do not run: their pooled vectors are made up, too.
    ///
    /// # Errors
    /// A text that the tokenizer does not take.
    pub(crate) fn samples(
        &self,
        recipe: &Recipe,
        model: &Learner,
        kept: &[(Modality, u32)],
        data: &[Share],
    ) -> Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let towers = model.towers();
        let even = recipe.mixture.as_ref().map(|m| m.batch_size as f64 / recipe.data.len().max(1) as f64);
        for (at, config) in recipe.data.iter().enumerate() {
            let share = data.get(at).and_then(|share| share.per_batch).or(even).unwrap_or(1.0);
            let Some(part) = self.sampler.shares().get(at).map(|share| &share.records) else { continue };
            for i in 0..share.round().max(1.0) as usize {
                let record = part.record(i % part.len().max(1))?;
                let known = self.known.get(at).copied().unwrap_or(false);
                let number = samples.len();
                let mut sample =
                    Sample { id: format!("made-up-{number}"), label: number as u64, ..Sample::default() };
                let has = |m: Modality| {
                    let there = match m {
                        Modality::Text => !record.text.is_empty(),
                        Modality::Image => record.image.is_some() || record.video.is_some(),
                        Modality::Audio => !record.audio.is_empty(),
                        Modality::Video => false,
                    };
                    config.uses(m) && towers.modalities().contains(&m) && (there || !known)
                };
                for modality in Modality::ALL.into_iter().filter(|m| has(*m)) {
                    let keeps = kept.iter().any(|(m, _)| *m == modality);
                    if keeps {
                        let width = towers.config().projection(modality).map_or(0, |(width, _)| width);
                        sample.pooled.insert(modality, waves(number, usize::try_from(width).unwrap_or(0)));
                    }
                    match modality {
                        Modality::Text => {
                            sample.text = Some(number as u64);
                            if !keeps || recipe.fusion.is_some() {
                                sample.ids = Some(ids(towers, &record, known, number)?);
                            }
                        }
                        Modality::Image if !keeps => {
                            let film = record.image.is_none() && record.video.is_some();
                            let frames = if film { recipe.frames(towers) } else { 1 };
                            sample.video = film;
                            sample.squares =
                                (0..frames).map(|f| square(towers, number + f)).collect::<Result<_>>()?;
                        }
                        Modality::Audio if !keeps => {
                            let c = towers.audio_processor()?.config();
                            sample.mel = Some(waves(number, c.max_frames * c.mels));
                        }
                        _ => {}
                    }
                }
                let again = recipe.objective.twice().into_iter().filter(|m| sample.has(*m));
                sample.again = again.map(|m| sample.only(m)).collect();
                samples.push(sample);
            }
        }
        Ok(samples)
    }

    /// What was assumed of them.
    pub(crate) fn said(&self, model: &Learner, samples: &[Sample]) -> Vec<String> {
        let mut said = Vec::new();
        let towers = model.towers();
        let ran = |has: &dyn Fn(&Sample) -> bool| samples.iter().any(has);
        if ran(&|s| s.ids.is_some()) && self.known.contains(&false) {
            said.push("texts whose records are not read are taken to fill the context".to_owned());
        }
        if ran(&|s| s.mel.is_some())
            && let Ok(audio) = towers.audio_processor()
        {
            let frames = audio.config().max_frames;
            said.push(format!("audio files are taken to fill their {frames} frames: shorter ones cost less"));
        }
        said
    }
}

fn record(i: usize) -> Record {
    let text = vec![format!("a made-up thing of number {i}, as good as any other")];
    Record { id: format!("made-up-{i}"), text, ..Record::default() }
}

/// A caption's tokens; those of one that nobody knows fill the context.
fn ids(towers: &Model, record: &Record, known: bool, number: usize) -> Result<Vec<i64>> {
    let processor = towers.text_processor()?;
    let own = record.text.get(number % record.text.len().max(1)).filter(|_| known);
    let text = match own {
        Some(text) => text.clone(),
        None => "a made-up thing of any number ".repeat(processor.context_length() / 4 + 1),
    };
    Ok(processor.encode(&text)?)
}

/// A pattern of the size that the image tower takes.
fn square(towers: &Model, number: usize) -> Result<RgbImage> {
    let processor = towers.image_processor()?;
    let [h, w] = processor.output_size().unwrap_or_else(|| processor.sides());
    let number = number as u32;
    Ok(RgbImage::from_fn(w, h, |x, y| {
        let at = x.wrapping_mul(7 + number).wrapping_add(y.wrapping_mul(13));
        Rgb([at as u8, (at >> 3) as u8, (at ^ number.wrapping_mul(29)) as u8])
    }))
}

/// Numbers between -1 and 1, others for another number.
fn waves(number: usize, n: usize) -> Vec<f32> {
    let speed = 0.37 + number as f32 * 0.0137;
    (0..n).map(|i| (i as f32 * speed).sin()).collect()
}

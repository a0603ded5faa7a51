//! From a draw to a sample, on the loader's threads: what inference sees of a record, changed by the augmentation and by nothing else.

mod again;

use crate::features::{self, Features};
use crate::given::Given;
use crate::kept::Kept;
use crate::pick::{caption, hash};
use crate::recipe::{AugmentConfig, DataConfig, Recipe};
pub use crate::sample::Sample;
pub(crate) use crate::sample::Seen;
use crate::streams::Streams;
use crate::thin::Words;
use crate::{Error, Result};
use image::RgbImage;
use rand::Rng;
use rand::seq::IndexedRandom;
use std::collections::BTreeSet;
use std::sync::Arc;
use unisono_datasets::augment::{AudioAugment, ImageAugment, TextAugment};
use unisono_datasets::cache::MediaCache;
use unisono_datasets::rng::Purpose;
use unisono_datasets::vectors::{SCALE, View};
use unisono_datasets::{Draw, Part, Record, Stage, timed, words};
use unisono_encoders::{Modality, Model};
use unisono_media::decode::is_kept;
use unisono_media::{Blob, MediaLimits, header};
use unisono_processors::{Contract, LogMel, Medium, Prepared, Processors};

/// A recording so many times as long as the window that is taken of it is decoded window by window, and not kept.
const LONG: f64 = 4.0;

/// Prepares samples; shared by the loader's threads.
pub struct Preparer {
    sources: Vec<DataConfig>,
    /// The model's own.
    seen: Processors,
    /// The same, but for images of which a crop or a rotation wants more pixels.
    wide: Processors,
    augment: AugmentConfig,
    /// Recordings that are mixed into others.
    noises: Option<Part>,
    words: Words,
    cache: MediaCache<Kept>,
    /// What frozen towers make of the media.
    features: Features,
    /// Vectors that stand in for media.
    given: Given,
    /// The structure of frozen features is kept: the objective wants them beside what becomes of them.
    structured: bool,
    /// Whose second views are wanted.
    twice: BTreeSet<Modality>,
    /// Share of the texts that a fusion part is told, whose tokens are wanted whatever is kept of them.
    told: f64,
    limits: MediaLimits,
    frames: usize,
    listens: bool,
    seed: u64,
}

impl Preparer {
    /// For `recipe`, with `model`'s processors and the recordings of its `noise_source`.
    ///
    /// # Errors
    /// An augmentation that the model's tokenizer has no token for.
    pub fn new(recipe: &Recipe, model: &Model, noises: Option<Part>) -> Result<Self> {
        let mut augment = recipe.augment.clone();
        if let Some(image) = &model.processors().image {
            augment.image.fill = image.background;
            augment.image.patch_mask.fill = image.mean.map(|mean| (mean * 255.0).round() as u8);
        } else {
            augment.image.fill = [255; 3];
        }
        let text = model.processors().text.as_ref().filter(|_| augment.text != TextAugment::default());
        let words = text.map(|text| Words::of(text, &augment.text)).transpose()?.unwrap_or_default();
        let mut preparer = Self {
            sources: recipe.data.clone(),
            seen: Processors::default(),
            wide: Processors::default(),
            augment,
            noises,
            words,
            cache: MediaCache::new(recipe.loader.cache_mb << 20),
            features: Features::default(),
            given: Given::default(),
            structured: recipe.objective.keeps_structure(),
            twice: recipe.objective.twice(),
            told: recipe.fusion.as_ref().map_or(0.0, |f| f.share),
            limits: recipe.limits,
            frames: recipe.frames(model),
            listens: model.listens(),
            seed: recipe.seed,
        };
        preparer.see_by(model.processors().clone());
        Ok(preparer)
    }

    /// With the features of frozen towers and with given vectors, in place of whose media they are.
    pub(crate) fn with_features(self, features: Features, given: Given) -> Self {
        Self { features, given, ..self }
    }

    /// Media are seen by these processors.
    fn see_by(&mut self, processors: Processors) {
        self.wide = processors.clone();
        if let Some(image) = &mut self.wide.image {
            *image = image.scaled(SCALE);
        }
        self.seen = processors;
    }

    /// As media are decoded and kept, before images are changed so.
    fn kept_by(&self, change: &ImageAugment) -> &Processors {
        if change.moves() { &self.wide } else { &self.seen }
    }

    fn contract(&self, change: &ImageAugment) -> Contract<'_> {
        let (frames, listens, limits) = (self.frames, self.listens, self.limits);
        Contract { frames, listens, limits, ..Contract::new(self.kept_by(change)) }
    }

    /// One sample; a pure function of the recipe, the seed and the draw.
    ///
    /// # Errors
    /// A medium that cannot be decoded, or nothing usable: the record is skipped.
    pub fn prepare(&self, draw: &Draw, r: &Record) -> Result<Sample> {
        let source = &self.sources[draw.share];
        let uses = |m: Modality| source.uses(m);
        // Sources draw with streams of their own: the number of the source is part of the key.
        let streams = Streams { seed: self.seed, key: draw.draw | (draw.share as u64) << 48 };
        let mut sample = Sample {
            // Known where it is not read, too: records of one caption are no negatives of each other.
            text: r.text.first().map(|name| hash(&words::folded(name))),
            draw: draw.draw,
            ..Sample::new(draw.share, &r.id, hash(r.key()))
        };
        if self.seen.text.is_some() && uses(Modality::Text) && !r.text.is_empty() {
            let said = caption(r, &source.caption, draw.epoch, &mut streams.of(Purpose::Pick));
            self.read(draw, r, said, &mut sample, &streams)?;
            for negative in self.given.mined.of(draw.share, r) {
                let mut of =
                    Sample { mined: true, ..Sample::new(draw.share, &negative.id, hash(negative.key())) };
                // Drawn with streams of its own: a function of the draw and of whose negative it is.
                let streams = Streams { key: streams.key ^ hash(&negative.id), ..streams };
                let said = caption(&negative, &source.caption, draw.epoch, &mut streams.of(Purpose::Pick));
                self.read(draw, &negative, said, &mut of, &streams)?;
                sample.negatives.push(of);
            }
        }
        if self.seen.image.is_some() {
            let part = r.video.as_ref().map(|blob| (blob, r.span));
            match (&r.image, part) {
                (Some(blob), _) if uses(Modality::Image) => {
                    let medium = Medium::Image(blob);
                    let view = &mut streams.of(Purpose::View);
                    if let Some((view, row)) =
                        timed(Stage::Read, || self.given.taught.view(draw.share, r, view))?
                    {
                        self.glance(medium, view, &mut sample)?;
                        sample.taught.insert(Modality::Image, row);
                    } else if !self.feature((draw.share, r), medium, &mut sample, &streams)? {
                        self.look(medium, &mut sample, &streams)?;
                    }
                }
                (_, Some((blob, span))) if uses(Modality::Image) || uses(Modality::Video) => {
                    let heard = self.listens && !self.changes_samples();
                    let medium = if heard { Medium::Video(blob, span) } else { Medium::Frames(blob, span) };
                    self.follow((draw.share, r), &medium, &mut sample)?;
                    self.look(medium, &mut sample, &streams)?;
                    if self.listens && !heard {
                        sample.track = self.listen(Medium::Video(blob, span), &streams)?;
                    }
                }
                _ => {}
            }
        }
        if self.seen.audio.is_some() && uses(Modality::Audio) && !r.audio.is_empty() {
            let blob = &r.audio[streams.of(Purpose::Other).random_range(0..r.audio.len())];
            if !self.feature((draw.share, r), Medium::Audio(blob), &mut sample, &streams)? {
                sample.mel = self.listen(Medium::Audio(blob), &streams)?;
            }
        }
        sample.again = self.again(draw, r, &sample, &streams)?;
        self.enough(draw, &sample)?;
        Ok(sample)
    }

    /// A caption of a record, as the text tower takes it.
    fn read(
        &self,
        draw: &Draw,
        r: &Record,
        caption: String,
        sample: &mut Sample,
        streams: &Streams,
    ) -> Result<()> {
        sample.text = Some(hash(&words::folded(&caption)));
        let kept = self.feature((draw.share, r), Medium::Text(&caption), sample, streams)?;
        sample.untold = !streams.of(Purpose::Told).random_bool(self.told);
        if (!sample.untold || !kept)
            && let Prepared::Text(ids) = self.contract(&self.augment.image).prepare(Medium::Text(&caption))?
        {
            sample.thinned = self.words.thinned(&self.augment.text, &ids, &mut streams.of(Purpose::Text));
            sample.ids = Some(ids);
        }
        sample.caption = Some(caption);
        Ok(())
    }

    /// Takes a vector in place of a medium of a share's record, or a view of it from the kept features; `false`: there is neither for its modality.
    ///
    /// # Errors
    /// No vector of it is given; the medium's own, of which there is no feature because it cannot be decoded.
    fn feature(
        &self,
        (share, record): (usize, &Record),
        medium: Medium,
        sample: &mut Sample,
        streams: &Streams,
    ) -> Result<bool> {
        let modality = features::modality(&medium);
        self.follow((share, record), &medium, sample)?;
        if let Some(row) = timed(Stage::Read, || self.given.row(share, record, &medium))? {
            self.keep(modality, row, sample);
            return Ok(true);
        }
        let view = match self.features.views(modality) {
            0 => return Ok(false),
            1 => 0,
            views => streams.of(Purpose::View).random_range(0..views),
        };
        let Some(row) = timed(Stage::Read, || self.features.row(modality, &medium, view)) else {
            self.view(medium, view)?;
            return Err(Error::setting(
                sample.id.clone(),
                "was not there when the features were kept; start again to have them computed",
            ));
        };
        self.keep(modality, row, sample);
        Ok(true)
    }

    /// A pooled vector that is there already.
    fn keep(&self, modality: Modality, row: Vec<f32>, sample: &mut Sample) {
        if self.structured {
            sample.frozen.insert(modality, row.clone());
        }
        sample.pooled.insert(modality, row);
    }

    /// What a teacher makes of a medium, where there is one.
    fn follow(&self, (share, record): (usize, &Record), medium: &Medium, sample: &mut Sample) -> Result<()> {
        sample.taught.extend(timed(Stage::Read, || self.given.taught.row(share, record, medium))?);
        Ok(())
    }

    /// A view of a text, an image or an audio file: the same whenever it is asked for.
    ///
    /// # Errors
    /// The medium's.
    pub(crate) fn view(&self, medium: Medium, view: u32) -> Result<Seen> {
        let streams = Streams { seed: self.seed, key: features::stream(&medium, view) };
        let seen = match medium {
            Medium::Text(_) => match self.contract(&self.augment.image).prepare(medium)? {
                Prepared::Text(ids) => Some(Seen::Ids(ids)),
                _ => None,
            },
            Medium::Image(_) => {
                let mut sample = Sample::default();
                self.look(medium, &mut sample, &streams)?;
                sample.squares.pop().map(Seen::Image)
            }
            _ => self.listen(medium, &streams)?.map(Seen::Mel),
        };
        seen.ok_or_else(|| Error::setting("features", "there is nothing to be seen of this medium"))
    }

    /// Audio files are changed before they are processed: their samples are kept.
    fn changes_samples(&self) -> bool {
        self.augment.audio != AudioAugment::default()
    }

    /// A medium as it is before it is changed, decoded at its first use and as long as there is room.
    fn kept(&self, medium: Medium, samples: bool, change: &ImageAugment) -> Result<Arc<Kept>> {
        let contract = self.contract(change);
        let key = [&[u8::from(samples), u8::from(change.moves())][..], &medium.key()].concat();
        self.cache.get_or_try_insert(&key, Kept::bytes, || {
            timed(Stage::Decode, || {
                Ok(match samples {
                    true => Kept::Samples(contract.samples(medium)?),
                    false => Kept::Prepared(contract.prepare(medium)?),
                })
            })
        })
    }

    /// An image, or the frames of a video and its audio where the model listens.
    fn look(&self, medium: Medium, sample: &mut Sample, streams: &Streams) -> Result<()> {
        let change = &self.augment.image;
        let (seen, kept) = (self.seen.image()?, self.kept_by(change).image()?);
        // The same stream anew for each frame: a video is cropped and coloured as one.
        let apply = |p: &RgbImage| {
            let size = seen.size_of_scaled(kept, p);
            timed(Stage::Augment, || change.apply(p, size, &mut streams.of(Purpose::Augment)))
        };
        match &*self.kept(medium, false, change)? {
            Kept::Prepared(Prepared::Image(image)) => sample.squares.push(apply(image)),
            Kept::Prepared(Prepared::Video(clip)) => {
                sample.squares.extend(clip.frames.iter().map(apply));
                sample.video = true;
                let audio = self.seen.audio.as_ref();
                let track = clip.audio.as_ref().zip(audio);
                sample.track = track.map(|(mel, audio)| self.masked(mel, audio, streams));
            }
            _ => {}
        }
        Ok(())
    }

    /// A teacher's view of an image, in place of what the recipe changes of it.
    fn glance(&self, medium: Medium, view: &View, sample: &mut Sample) -> Result<()> {
        let (seen, kept) = (self.seen.image()?, self.kept_by(&view.augment).image()?);
        if let Kept::Prepared(Prepared::Image(image)) = &*self.kept(medium, false, &view.augment)? {
            let size = seen.size_of_scaled(kept, image);
            sample.squares.push(timed(Stage::Augment, || view.of(&sample.id, image, size)));
        }
        Ok(())
    }

    /// The part of a long recording that is drawn, decoded anew at each draw; `None` where it is better to keep all of it.
    fn part(&self, blob: &Blob, streams: &Streams) -> Result<Option<Vec<f32>>> {
        let (rate, augment) = (self.seen.audio()?.config().sample_rate, &self.augment.audio);
        let seconds = if augment.window > 0.0 { header::seconds(blob)? } else { None };
        let long = seconds.is_some_and(|seconds| seconds > LONG * f64::from(augment.window));
        if !long || !is_kept(blob)? {
            return Ok(None);
        }
        let drawn = |samples: u64| {
            let samples = usize::try_from(samples).unwrap_or(usize::MAX);
            let part = augment.part(samples, rate, &mut streams.of(Purpose::Window));
            part.start as u64..part.end as u64
        };
        timed(Stage::Decode, || Ok(Some(self.contract(&self.augment.image).samples_in(blob, &drawn)?)))
    }

    /// An audio file's spectrogram as it is drawn; `None` for a video without audio.
    fn listen(&self, medium: Medium, streams: &Streams) -> Result<Option<Vec<f32>>> {
        let audio = self.seen.audio()?;
        if let Medium::Audio(blob) = medium
            && let Some(part) = self.part(blob, streams)?
        {
            return self.heard(&part, audio, streams).map(Some);
        }
        Ok(match &*self.kept(medium, self.changes_samples(), &self.augment.image)? {
            Kept::Prepared(Prepared::Audio(mel, _)) => Some(self.masked(mel, audio, streams)),
            Kept::Samples(Some(samples)) => {
                let (rate, augment) = (audio.config().sample_rate, &self.augment.audio);
                let part = augment.cut(samples, rate, &mut streams.of(Purpose::Window));
                Some(self.heard(part, audio, streams)?)
            }
            _ => None,
        })
    }

    /// The spectrogram of samples that are changed.
    fn heard(&self, part: &[f32], audio: &LogMel, streams: &Streams) -> Result<Vec<f32>> {
        let rate = audio.config().sample_rate;
        let apply = || self.augment.audio.apply(part, rate, &mut streams.of(Purpose::Audio));
        let mut changed = timed(Stage::Augment, apply);
        self.disturb(&mut changed, streams)?;
        Ok(self.masked(&timed(Stage::Decode, || audio.process(&changed))?, audio, streams))
    }

    /// Mixes another recording into the samples, where it is drawn. One that cannot be read is told as the fault of what it was for.
    fn disturb(&self, samples: &mut [f32], streams: &Streams) -> Result<()> {
        let (augment, mut stream) = (&self.augment.audio, streams.of(Purpose::Noise));
        let Some(noises) = self.noises.as_ref().filter(|_| augment.mixes(&mut stream)) else { return Ok(()) };
        let record = noises.record(stream.random_range(0..noises.len().max(1)))?;
        let Some(blob) = record.audio.choose(&mut stream) else { return Ok(()) };
        if let Kept::Samples(Some(noise)) = &*self.kept(Medium::Audio(blob), true, &self.augment.image)? {
            timed(Stage::Augment, || augment.mix(samples, noise, &mut stream));
        }
        Ok(())
    }

    /// A spectrogram, stretched and masked.
    fn masked(&self, mel: &[f32], audio: &LogMel, streams: &Streams) -> Vec<f32> {
        let config = audio.config();
        // Zero is the mean of the normalised spectrogram: a mask says "average", not "silence".
        let mut stream = streams.of(Purpose::Spectrogram);
        let apply = || self.augment.spectrogram.apply(mel, config.mels, 0.0, &mut stream);
        let mut mel = timed(Stage::Augment, apply);
        mel.truncate(config.max_frames * config.mels);
        mel
    }
}

#[cfg(test)]
#[path = "tests/data.rs"]
mod tests;

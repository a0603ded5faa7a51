//! From a draw to a sample, on the loader's threads.

use crate::recipe::{CaptionConfig, DataConfig, Recipe};
use crate::{Error, Result};
use image::RgbImage;
use rand::Rng;
use rand::seq::SliceRandom;
use std::path::Path;
use std::sync::Arc;
use unisono_datasets::augment::{ImageAugment, SoundAugment, SpectrogramAugment};
use unisono_datasets::cache::MediaCache;
use unisono_datasets::rng::{Purpose, rng};
use unisono_datasets::{Draw, Record, words};
use unisono_encoders::{Modality, Model};
use unisono_media::MediaLimits;
use unisono_media::video::{Ffmpeg, Span};
use unisono_processors::prepare;
use unisono_processors::{ImageProcessor, LogMel, TextProcessor};

/// What a worker makes of a draw.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The record's id.
    pub id: String,
    pub(crate) label: u64,
    pub(crate) text: Option<u64>,
    pub(crate) ids: Option<Vec<i64>>,
    /// A picture, or frames of a video in their order.
    pub(crate) squares: Vec<RgbImage>,
    /// The squares are a video's.
    pub(crate) video: bool,
    /// The spectrogram `[T, M]` of the video's own sound, where the model listens to it.
    pub(crate) track: Option<Vec<f32>>,
    /// `[T, M]`.
    pub(crate) mel: Option<Vec<f32>>,
}

/// Pictures that are cropped or turned are kept this much larger than the tower sees them, so that a crop has pixels to choose from.
const CACHE_SCALE: f64 = 1.25;

enum Medium {
    Picture(RgbImage),
    Frames(Vec<RgbImage>),
    Samples(Vec<f32>),
    Mel(Vec<f32>),
    /// A video without sound.
    Silence,
}

impl Medium {
    fn bytes(&self) -> usize {
        match self {
            Self::Picture(p) => p.as_raw().len(),
            Self::Frames(frames) => frames.iter().map(|f| f.as_raw().len()).sum(),
            Self::Samples(s) | Self::Mel(s) => 4 * s.len(),
            Self::Silence => 0,
        }
    }
}

/// How pictures are seen.
struct Eye {
    /// As in inference.
    processor: ImageProcessor,
    /// As they are decoded and kept: the same, unless a crop or a rotation wants pixels to choose from.
    wide: ImageProcessor,
}

impl Eye {
    fn new(processor: &ImageProcessor, augment: &ImageAugment) -> Self {
        let wide = if augment.moves() { processor.scaled(CACHE_SCALE) } else { processor.clone() };
        Self { processor: processor.clone(), wide }
    }
}

/// Prepares samples; shared by the loader's threads.
pub struct Preparer {
    sources: Vec<DataConfig>,
    text: Option<TextProcessor>,
    image: Option<Eye>,
    audio: Option<LogMel>,
    augment_image: ImageAugment,
    augment_sound: SoundAugment,
    augment_mel: SpectrogramAugment,
    cache: MediaCache<Medium>,
    limits: MediaLimits,
    frames: usize,
    listens: bool,
    seed: u64,
}

impl Preparer {
    /// For `recipe`, with `model`'s processors.
    pub fn new(recipe: &Recipe, model: &Model) -> Self {
        let p = model.processors();
        let background = p.image.as_ref().map_or([255; 3], |i| i.background);
        Self {
            sources: recipe.data.clone(),
            text: p.text.clone(),
            image: p.image.as_ref().map(|image| Eye::new(image, &recipe.augment.image)),
            audio: p.audio.clone(),
            augment_image: ImageAugment { fill: background, ..recipe.augment.image.clone() },
            augment_sound: recipe.augment.sound.clone(),
            augment_mel: recipe.augment.spectrogram.clone(),
            cache: MediaCache::new(recipe.loader.cache_mb << 20),
            limits: recipe.limits,
            frames: recipe.frames(model),
            listens: model.listens(),
            seed: recipe.seed,
        }
    }

    /// One sample; a pure function of the recipe, the seed and the draw.
    ///
    /// # Errors
    /// A medium that cannot be decoded, or nothing usable: the record is skipped.
    pub fn prepare(&self, draw: &Draw) -> Result<Sample> {
        let (r, source) = (&draw.record, &self.sources[draw.source]);
        let uses = |m: Modality| source.uses.is_empty() || source.uses.contains(&m);
        // Sources draw with streams of their own: the number of the source is part of the key.
        let key = draw.draw | (draw.source as u64) << 48;
        let stream = |purpose| rng(self.seed, key, 0, purpose);
        let mut sample = Sample {
            id: r.id.clone(),
            label: hash(r.key()),
            text: None,
            ids: None,
            squares: Vec::new(),
            video: false,
            track: None,
            mel: None,
        };
        if let (Some(processor), true) = (&self.text, uses(Modality::Text) && !r.text.is_empty()) {
            let caption = caption(r, &source.caption, &mut stream(Purpose::Pick));
            sample.ids = Some(processor.encode(&caption)?);
            sample.text = Some(hash(&words::folded(&caption)));
        } else if let Some(name) = r.text.first() {
            // Not read, but known: records of one caption are no negatives of each other.
            sample.text = Some(hash(&words::folded(name)));
        }
        if let (Some(eye), true) = (&self.image, uses(Modality::Image) || uses(Modality::Video)) {
            // The same stream anew for each frame: a video is cropped and coloured as one.
            let apply = |p: &RgbImage| {
                let size = eye.processor.size_of_scaled(&eye.wide, p);
                self.augment_image.apply(p, size, &mut stream(Purpose::Augment))
            };
            let medium = match (&r.image, &r.video) {
                (Some(path), _) if uses(Modality::Image) => Some(self.picture(path, eye)?),
                (_, Some(path)) => Some(self.video(path, &r.span, eye)?),
                _ => None,
            };
            match medium.as_deref() {
                Some(Medium::Picture(p)) => sample.squares.push(apply(p)),
                Some(Medium::Frames(frames)) => {
                    sample.squares.extend(frames.iter().map(apply));
                    sample.video = true;
                }
                _ => {}
            }
        }
        if let (Some(processor), Some(path), true) = (&self.audio, &r.video, self.listens && sample.video) {
            sample.track = self.spectrogram(&Sound::Track(path, &r.span), processor, &stream)?;
        }
        if let (Some(processor), true) = (&self.audio, uses(Modality::Audio) && !r.audio.is_empty()) {
            let path = &r.audio[stream(Purpose::Other).random_range(0..r.audio.len())];
            sample.mel = self.spectrogram(&Sound::File(path), processor, &stream)?;
        }
        let has = [sample.ids.is_some(), !sample.squares.is_empty(), sample.mel.is_some()];
        if has.iter().filter(|h| **h).count() < 2 {
            return Err(Error::setting(r.id.clone(), "fewer than two modalities that this model has"));
        }
        Ok(sample)
    }

    fn picture(&self, path: &Path, eye: &Eye) -> Result<Arc<Medium>> {
        let key = path.display().to_string();
        self.cache.get_or_try_insert(&key, Medium::bytes, || {
            Ok(Medium::Picture(prepare::picture(path, &eye.wide, self.limits.files())?))
        })
    }

    fn video(&self, path: &Path, span: &Span, eye: &Eye) -> Result<Arc<Medium>> {
        let key = part_key(path, span);
        self.cache.get_or_try_insert(&key, Medium::bytes, || {
            let (ffmpeg, limits) = (Ffmpeg::find(None)?, self.limits.videos());
            Ok(Medium::Frames(prepare::frames_in(path, span, &eye.wide, &ffmpeg, self.frames, &limits)?))
        })
    }

    /// A sound's spectrogram as it is drawn; `None` for a video without sound.
    fn spectrogram(
        &self,
        sound: &Sound,
        processor: &LogMel,
        stream: &dyn Fn(Purpose) -> rand_stream::Stream,
    ) -> Result<Option<Vec<f32>>> {
        let config = processor.config();
        let key = match sound {
            Sound::File(path) => path.display().to_string(),
            Sound::Track(path, span) => format!("sound of {}", part_key(path, span)),
        };
        let waveform = self.augment_sound != SoundAugment::default();
        let medium = self.cache.get_or_try_insert(&key, Medium::bytes, || -> Result<Medium> {
            let samples = match sound {
                Sound::File(path) if !waveform => {
                    return Ok(Medium::Mel(
                        prepare::spectrogram(path, processor, &self.limits.files(), None)?.0,
                    ));
                }
                Sound::File(path) => prepare::sound(path, processor, &self.limits.files(), None)?.0.samples,
                Sound::Track(path, span) => {
                    let (ffmpeg, limits) = (Ffmpeg::find(None)?, self.limits.videos());
                    match prepare::track(path, span, processor, &ffmpeg, &limits)? {
                        Some(sound) => sound.samples,
                        None => return Ok(Medium::Silence),
                    }
                }
            };
            Ok(if waveform { Medium::Samples(samples) } else { Medium::Mel(processor.process(&samples)?) })
        })?;
        let fresh;
        let mel = match &*medium {
            Medium::Silence => return Ok(None),
            Medium::Mel(mel) => mel,
            Medium::Samples(s) => {
                let changed = self.augment_sound.apply(s, config.sample_rate, &mut stream(Purpose::Sound));
                fresh = processor.process(&changed)?;
                &fresh
            }
            Medium::Picture(_) | Medium::Frames(_) => {
                return Err(Error::setting(key, "is a picture in one record and a sound in another"));
            }
        };
        // Zero is the mean of the normalised spectrogram: a mask says "average", not "silence".
        let mut mel = self.augment_mel.apply(mel, config.mels, 0.0, &mut stream(Purpose::Spectrogram));
        mel.truncate(config.max_frames * config.mels);
        Ok(Some(mel))
    }
}

/// Where a sound is.
enum Sound<'a> {
    File(&'a Path),
    /// In a part of a video.
    Track(&'a Path, &'a Span),
}

/// A part of a video in the cache.
fn part_key(path: &Path, span: &Span) -> String {
    if span.is_whole() { path.display().to_string() } else { format!("{} {span}", path.display()) }
}

mod rand_stream {
    /// The stream that `unisono_datasets::rng` gives.
    pub type Stream = rand_chacha::ChaCha8Rng;
}

/// One caption of a record, as `config` says.
fn caption(r: &Record, config: &CaptionConfig, rng: &mut impl Rng) -> String {
    let Some((name, others)) = r.text.split_first() else { return String::new() };
    if others.is_empty() || rng.random::<f64>() < config.first {
        return name.clone();
    }
    let other = &others[rng.random_range(0..others.len())];
    if config.parts == 0 {
        return other.clone();
    }
    let mut parts: Vec<&str> = other.split(',').map(str::trim).filter(|p| !p.is_empty()).collect();
    parts.shuffle(rng);
    parts.truncate(rng.random_range(1..=config.parts));
    if rng.random::<f64>() < config.with_name {
        parts.insert(0, name);
    }
    parts.join(" ")
}

/// FNV-1a: identity within a batch, stable across runs and platforms.
fn hash(s: &str) -> u64 {
    s.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
#[path = "tests/data.rs"]
mod tests;

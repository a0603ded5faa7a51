//! From a draw to a sample, on the loader's threads; from samples to the tensors of a batch.

use crate::recipe::{CaptionConfig, DataConfig, Recipe};
use crate::{Error, Result};
use image::RgbImage;
use rand::Rng;
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tch::Tensor;
use unisono_datasets::augment::{ImageAugment, SoundAugment, SpectrogramAugment};
use unisono_datasets::cache::MediaCache;
use unisono_datasets::rng::{Purpose, rng};
use unisono_datasets::video::{Ffmpeg, Span, VideoLimits};
use unisono_datasets::{Draw, Limits, Record};
use unisono_encoders::clips::{Clips, Tokens, unit};
use unisono_encoders::processors::{ImageProcessor, LogMel, TextProcessor};
use unisono_encoders::video::Heard;
use unisono_encoders::{Modality, Mode, Model};
use unisono_eval::inputs;
use unisono_fusion::{Items, View};

/// What a worker makes of a draw.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The record's id.
    pub id: String,
    label: u64,
    text: Option<u64>,
    pub(crate) ids: Option<Vec<i64>>,
    /// A picture, or frames of a video in their order.
    squares: Vec<RgbImage>,
    /// The squares are a video's.
    video: bool,
    /// The spectrogram `[T, M]` of the video's own sound, where the model listens to it.
    track: Option<Vec<f32>>,
    /// `[T, M]`.
    mel: Option<Vec<f32>>,
}

/// Pictures are kept this much larger than the tower sees them, so that a crop has pixels to choose from.
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

/// Prepares samples; shared by the loader's threads.
pub struct Preparer {
    sources: Vec<DataConfig>,
    text: Option<TextProcessor>,
    image: Option<ImageProcessor>,
    audio: Option<LogMel>,
    augment_image: ImageAugment,
    augment_sound: SoundAugment,
    augment_mel: SpectrogramAugment,
    cache: MediaCache<Medium>,
    limits: Limits,
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
            image: p.image.clone(),
            audio: p.audio.clone(),
            augment_image: ImageAugment { fill: background, ..recipe.augment.image.clone() },
            augment_sound: recipe.augment.sound.clone(),
            augment_mel: recipe.augment.spectrogram.clone(),
            cache: MediaCache::new(recipe.loader.cache_mb << 20),
            limits: Limits::default(),
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
            sample.text = Some(hash(&caption.trim().to_lowercase()));
        }
        if let (Some(processor), true) = (&self.image, uses(Modality::Image) || uses(Modality::Video)) {
            // The same stream anew for each frame: a video is cropped and coloured as one.
            let apply = |p: &RgbImage| {
                self.augment_image.apply(p, processor.longest_side(), &mut stream(Purpose::Augment))
            };
            let medium = match (&r.image, &r.video) {
                (Some(path), _) if uses(Modality::Image) => Some(self.picture(path, processor)?),
                (_, Some(path)) => Some(self.video(path, &r.span, processor)?),
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

    fn picture(&self, path: &Path, processor: &ImageProcessor) -> Result<Arc<Medium>> {
        let key = path.display().to_string();
        self.cache.get_or_try_insert(&key, Medium::bytes, || {
            Ok(Medium::Picture(inputs::picture(path, &processor.scaled(CACHE_SCALE), self.limits)?))
        })
    }

    fn video(&self, path: &Path, span: &Span, processor: &ImageProcessor) -> Result<Arc<Medium>> {
        let key = part_key(path, span);
        self.cache.get_or_try_insert(&key, Medium::bytes, || {
            let (ffmpeg, limits) = (Ffmpeg::find(None)?, VideoLimits::default());
            let scaled = processor.scaled(CACHE_SCALE);
            Ok(Medium::Frames(inputs::frames_in(path, span, &scaled, &ffmpeg, self.frames, &limits)?))
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
                    return Ok(Medium::Mel(inputs::spectrogram(path, processor, &self.limits)?.0));
                }
                Sound::File(path) => inputs::sound(path, processor, &self.limits)?.0.samples,
                Sound::Track(path, span) => {
                    let (ffmpeg, limits) = (Ffmpeg::find(None)?, VideoLimits::default());
                    match inputs::track(path, span, processor, &ffmpeg, &limits)? {
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

/// What the objective knows of a batch.
pub fn items(samples: &[Sample]) -> Items {
    Items {
        labels: samples.iter().map(|s| s.label).collect(),
        texts: samples.iter().map(|s| s.text).collect(),
    }
}

/// A batch's shape, for counting its arithmetic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shapes {
    /// Texts and tokens a text, padding included, for each bucket.
    pub text: Vec<(i64, i64)>,
    /// Pictures.
    pub images: i64,
    /// Sounds and frames a sound, padding included, for each bucket.
    pub audio: Vec<(i64, i64)>,
}

/// Rounds spectrogram lengths so that few shapes occur.
const FRAME_ROUND: usize = 32;

/// The tokens of a tower over the samples of a batch that have its modality.
#[derive(Debug)]
pub struct TowerTokens {
    /// `[n, T, W]`, padded to the longest, and `[n, T]` bool, true = real (`None`: all); of pictures of videos, for each frame.
    pub frames: Vec<Tokens>,
    /// The sample that each row belongs to, ascending.
    pub rows: Vec<usize>,
}

/// What the towers make of a batch.
#[derive(Debug, Default)]
pub struct Forwarded {
    /// Unit vectors by modality.
    pub views: BTreeMap<Modality, View>,
    /// Tokens of the modalities that were asked for.
    pub tokens: BTreeMap<Modality, TowerTokens>,
    /// For counting arithmetic.
    pub shapes: Shapes,
}

/// Runs each tower over the samples that have its modality, and projects: the views of a contrastive batch, and the tokens of the
/// modalities `fused`. Texts and sounds go through in `buckets` parts of like length. The towers `still` are frozen.
///
/// # Errors
/// libtorch's.
pub fn forward(
    model: &Model,
    samples: &[Sample],
    buckets: usize,
    fused: &[Modality],
    still: &[Modality],
) -> Result<Forwarded> {
    // A frozen tower does not change: no dropout, and the statistics of its norms stay what they are.
    let mode = |m: Modality| if still.contains(&m) { Mode::Eval } else { Mode::Train };
    let (mut views, mut shapes) = (BTreeMap::new(), Shapes::default());
    let mut tokens = BTreeMap::new();
    let rows_of = |has: fn(&Sample) -> bool| -> Vec<usize> {
        samples.iter().enumerate().filter(|(_, s)| has(s)).map(|(i, _)| i).collect()
    };
    let rows = rows_of(|s| s.ids.is_some());
    if !rows.is_empty() {
        let ids: Vec<&Vec<i64>> = samples.iter().filter_map(|s| s.ids.as_ref()).collect();
        let (vectors, _) = in_buckets(&ids, buckets, |part| {
            let part: Vec<Vec<i64>> = part.iter().map(|ids| (**ids).clone()).collect();
            let (ids, mask) = model.text_processor()?.batch(&part, model.device())?;
            shapes.text.push(ids.size2()?);
            Ok((
                model.project(
                    Modality::Text,
                    &model.forward_text(&ids, &mask, mode(Modality::Text))?.pooled,
                )?,
                None,
            ))
        })?;
        views.insert(Modality::Text, View { vectors, rows });
    }
    let rows = rows_of(|s| !s.squares.is_empty());
    if !rows.is_empty() {
        let squares: Vec<RgbImage> = samples.iter().flat_map(|s| s.squares.iter().cloned()).collect();
        let pixels = model.image_processor()?.batch(&squares, model.device())?;
        shapes.images = squares.len() as i64;
        let counts: Vec<usize> = rows.iter().map(|i| samples[*i].squares.len()).collect();
        let clips = Clips::new(&counts, model.device())?;
        let out = model.forward_frames(&pixels, &clips, mode(Modality::Image))?;
        if fused.contains(&Modality::Image) {
            let frames = match clips.are_pictures() {
                true => vec![(out.tokens, out.mask)],
                false => clips.tokens(&out.tokens, out.mask.as_ref())?,
            };
            tokens.insert(Modality::Image, TowerTokens { frames, rows: rows.clone() });
        }
        if model.config().video.is_some() {
            let seen = Squares { pooled: &out.pooled, rows: &rows, counts: &counts };
            views.extend(seen.views(
                model,
                samples,
                mode(Modality::Video),
                mode(Modality::Audio),
                &mut shapes,
            )?);
        } else {
            // Without a table for videos they are pictures of several frames.
            let vectors = model.project(Modality::Image, &out.pooled)?;
            let vectors = match clips.are_pictures() {
                true => vectors,
                false => unit(&clips.mean(&clips.rows(&vectors)?)?)?,
            };
            views.insert(Modality::Image, View { vectors, rows });
        }
    }
    let rows = rows_of(|s| s.mel.is_some());
    if !rows.is_empty() {
        let mels: Vec<&Vec<f32>> = samples.iter().filter_map(|s| s.mel.as_ref()).collect();
        let keep = fused.contains(&Modality::Audio);
        let (vectors, heard) = in_buckets(&mels, buckets, |part| {
            let part: Vec<&[f32]> = part.iter().map(|m| m.as_slice()).collect();
            let (mel, lengths) = model.audio_processor()?.batch(&part, FRAME_ROUND, model.device())?;
            shapes.audio.push((mel.size()[0], mel.size()[1]));
            let out = model.forward_audio(&mel, &lengths, mode(Modality::Audio))?;
            let vectors = model.project(Modality::Audio, &out.pooled)?;
            Ok((vectors, if keep { Some((out.tokens, out.mask)) } else { None }))
        })?;
        if let Some((tokens_of, mask)) = heard {
            tokens
                .insert(Modality::Audio, TowerTokens { frames: vec![(tokens_of, mask)], rows: rows.clone() });
        }
        views.insert(Modality::Audio, View { vectors, rows });
    }
    Ok(Forwarded { views, tokens, shapes })
}

/// Pictures and frames of videos that went through the image tower together.
struct Squares<'a> {
    /// `[N, W]`.
    pooled: &'a Tensor,
    /// The sample of each picture or video.
    rows: &'a [usize],
    /// How many squares each has.
    counts: &'a [usize],
}

impl Squares<'_> {
    /// The views of pictures and of videos, each of which may be missing.
    fn views(
        &self,
        model: &Model,
        samples: &[Sample],
        mode: Mode,
        hearing: Mode,
        shapes: &mut Shapes,
    ) -> Result<Vec<(Modality, View)>> {
        let (mut pictures, mut videos) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (mut counts, mut first) = (Vec::new(), 0i64);
        for (row, count) in self.rows.iter().zip(self.counts) {
            let (rows, squares) = if samples[*row].video { &mut videos } else { &mut pictures };
            rows.push(*row);
            squares.extend(first..first + *count as i64);
            first += *count as i64;
            if samples[*row].video {
                counts.push(*count);
            }
        }
        let pick = |squares: &[i64]| -> Result<Tensor> {
            let at = Tensor::f_from_slice(squares)?.f_to_device(self.pooled.device())?;
            Ok(self.pooled.f_index_select(0, &at)?)
        };
        let mut views = Vec::new();
        if !pictures.0.is_empty() {
            let vectors = model.project(Modality::Image, &pick(&pictures.1)?)?;
            views.push((Modality::Image, View { vectors, rows: pictures.0 }));
        }
        if !videos.0.is_empty() {
            let tracks: Vec<Option<&[f32]>> = videos.0.iter().map(|r| samples[*r].track.as_deref()).collect();
            let heard = hear(model, &tracks, hearing, shapes)?;
            let clips = Clips::new(&counts, model.device())?;
            let vectors = model.forward_video(&pick(&videos.1)?, &clips, heard.as_ref(), mode)?;
            let vectors = model.project(Modality::Video, &vectors)?;
            views.push((Modality::Video, View { vectors, rows: videos.0 }));
        }
        Ok(views)
    }
}

/// The sounds of those videos that have one.
fn hear(model: &Model, tracks: &[Option<&[f32]>], mode: Mode, shapes: &mut Shapes) -> Result<Option<Heard>> {
    let rows: Vec<usize> = (0..tracks.len()).filter(|i| tracks[*i].is_some()).collect();
    if rows.is_empty() {
        return Ok(None);
    }
    let mels: Vec<&[f32]> = tracks.iter().copied().flatten().collect();
    let (mel, lengths) = model.audio_processor()?.batch(&mels, FRAME_ROUND, model.device())?;
    shapes.audio.push((mel.size()[0], mel.size()[1]));
    let pooled = model.forward_audio(&mel, &lengths, mode)?.pooled;
    let vectors = model.project(Modality::Audio, &pooled)?;
    Ok(Some(Heard { pooled, vectors, rows }))
}

/// Sequences through `tower` in parts of like length; rows come back in their order.
fn in_buckets<T>(
    sequences: &[&Vec<T>],
    buckets: usize,
    mut tower: impl FnMut(&[&Vec<T>]) -> Result<(Tensor, Option<Tokens>)>,
) -> Result<(Tensor, Option<Tokens>)> {
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|i| sequences[*i].len());
    let (mut parts, mut tokens) = (Vec::new(), Vec::new());
    for bucket in order.chunks(sequences.len().div_ceil(buckets.max(1)).max(1)) {
        let (vectors, of) = tower(&bucket.iter().map(|i| sequences[*i]).collect::<Vec<_>>())?;
        parts.push(vectors);
        tokens.extend(of);
    }
    let mut back = vec![0i64; order.len()];
    for (position, item) in order.iter().enumerate() {
        back[*item] = position as i64;
    }
    let all = Tensor::f_cat(&parts, 0)?;
    let back = Tensor::f_from_slice(&back)?.f_to_device(all.device())?;
    let tokens = if tokens.is_empty() { None } else { Some(padded(&tokens, &back)?) };
    Ok((all.f_index_select(0, &back)?, tokens))
}

/// The parts' tokens as one tensor, padded to the longest part's, in the order of the samples.
fn padded(parts: &[Tokens], back: &Tensor) -> Result<Tokens> {
    let longest = parts.iter().map(|(t, _)| t.size().get(1).copied().unwrap_or(0)).max().unwrap_or(0);
    let (mut tokens, mut masks) = (Vec::with_capacity(parts.len()), Vec::with_capacity(parts.len()));
    for (x, mask) in parts {
        let (n, t, _) = x.size3()?;
        tokens.push(x.f_constant_pad_nd([0, 0, 0, longest - t])?);
        let real = match mask {
            Some(mask) => mask.shallow_clone(),
            None => Tensor::f_ones([n, t], (tch::Kind::Bool, x.device()))?,
        };
        masks.push(real.f_constant_pad_nd([0, longest - t])?);
    }
    let order = |all: Tensor| all.f_index_select(0, back);
    Ok((order(Tensor::f_cat(&tokens, 0)?)?, Some(order(Tensor::f_cat(&masks, 0)?)?)))
}

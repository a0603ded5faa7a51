//! A model that takes strings and files.

use crate::{Error, Result, Vectors, media};
use image::RgbImage;
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};
use unisono_datasets::MediaLimits;
use unisono_datasets::video::{Ffmpeg, Span};
use unisono_encoders::{Clip, Modality, Model, Precision, to_vec};
use unisono_eval::inputs::ClipInput;

/// A loaded model that turns strings, picture files, sound files and video files into unit vectors of one space.
#[derive(Debug)]
pub struct Embedder {
    model: Model,
    normalize: bool,
    ffmpeg: Option<PathBuf>,
    limits: MediaLimits,
}

impl Embedder {
    /// Loads a model directory onto `device`.
    ///
    /// # Errors
    /// A missing or broken file; the message names it.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        Ok(Self::new(Model::load(dir.as_ref(), device)?))
    }

    /// Wraps a model in memory.
    pub fn new(model: Model) -> Self {
        Self { model, normalize: true, ffmpeg: None, limits: MediaLimits::default() }
    }

    /// Whether vectors have length 1 (the default) or the length that the projection gives.
    pub fn set_normalize(&mut self, normalize: bool) {
        self.normalize = normalize;
    }

    /// The program that decodes videos, and the sounds that nothing else does; without this it is looked for.
    pub fn set_ffmpeg(&mut self, program: Option<PathBuf>) {
        self.ffmpeg = program;
    }

    /// What files may cost; without this, [`MediaLimits::default`].
    pub fn set_limits(&mut self, limits: MediaLimits) {
        self.limits = limits;
    }

    /// What files may cost.
    pub fn limits(&self) -> &MediaLimits {
        &self.limits
    }

    /// The program that decodes videos.
    pub(crate) fn ffmpeg(&self) -> Result<Ffmpeg> {
        Ok(Ffmpeg::find(self.ffmpeg.as_deref())?)
    }

    /// The program that decodes sounds which nothing else does, where one is named; else it is looked for when one is met.
    pub(crate) fn hearing(&self) -> Result<Option<Ffmpeg>> {
        self.ffmpeg.as_ref().map(|_| self.ffmpeg()).transpose()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The arithmetic that its model was prepared for.
    pub fn precision(&self) -> Precision {
        self.model.precision()
    }

    /// Width D of the vectors.
    pub fn dim(&self) -> usize {
        usize::try_from(self.model.config().embed_dim).unwrap_or(0)
    }

    /// Strings → `[N, D]`.
    ///
    /// # Errors
    /// The model has no text tower, or libtorch refused.
    pub fn texts<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vectors> {
        if texts.is_empty() {
            return Ok(Vectors { dim: self.dim(), data: Vec::new() });
        }
        self.prepared(Modality::Text)?;
        self.project(Modality::Text, &self.model.pool_texts(texts)?)
    }

    /// A picture file → `[D]`.
    ///
    /// # Errors
    /// The model has no image tower, or the file is no whole picture.
    pub fn image(&self, path: impl AsRef<Path>) -> Result<Vec<f32>> {
        self.prepared(Modality::Image)?;
        let picture = media::picture(path.as_ref(), self.model.image_processor()?, &self.limits)?;
        Ok(self.pictures(&[picture])?.data)
    }

    /// A sound file → `[D]`.
    ///
    /// # Errors
    /// The model has no audio tower, or the file is no whole sound.
    pub fn sound(&self, path: impl AsRef<Path>) -> Result<Vec<f32>> {
        self.prepared(Modality::Audio)?;
        let processor = self.model.audio_processor()?;
        let mel = media::spectrogram(path.as_ref(), processor, self.hearing()?.as_ref(), &self.limits)?;
        Ok(self.spectrograms(&[mel])?.data)
    }

    /// A video file, or the part `span` of it → `[D]`.
    ///
    /// # Errors
    /// The model has no image tower, there is no ffmpeg, or nothing of the file can be seen.
    pub fn video(&self, path: impl AsRef<Path>, span: &Span) -> Result<Vec<f32>> {
        let input = ClipInput::of(&self.model)?;
        let clip = media::clip(path.as_ref(), span, &input, &self.ffmpeg()?, &self.limits)?;
        Ok(self.clips(&[clip])?.data)
    }

    /// Id lists from the text processor → `[N, D]`.
    pub(crate) fn token_ids(&self, ids: &[Vec<i64>]) -> Result<Vectors> {
        self.project(Modality::Text, &self.model.pool_token_ids(ids)?)
    }

    /// Pictures from the image processor → `[N, D]`.
    pub(crate) fn pictures(&self, prepared: &[RgbImage]) -> Result<Vectors> {
        self.project(Modality::Image, &self.model.pool_images(prepared)?)
    }

    /// Log-mel spectrograms `[T_i, M]` → `[N, D]`.
    pub(crate) fn spectrograms(&self, mels: &[Vec<f32>]) -> Result<Vectors> {
        self.project(Modality::Audio, &self.model.pool_spectrograms(mels)?)
    }

    /// Clips from the processors → `[N, D]`.
    pub(crate) fn clips(&self, clips: &[Clip]) -> Result<Vectors> {
        self.project(Modality::Video, &self.model.pool_clips(clips)?)
    }

    /// The error of asking for a modality that the model lacks.
    pub(crate) fn require(&self, modality: Modality) -> Result<()> {
        if self.model.embeds().contains(&modality) {
            return Ok(());
        }
        Err(self.model.no_tower(modality).into())
    }

    /// A tower whose files came without those that say what it is fed with.
    fn prepared(&self, modality: Modality) -> Result<()> {
        let p = self.model.processors();
        let (has, files) = match modality {
            Modality::Text => (p.text.is_some(), "tokenizer's files (tokenizer.json, or its older ones)"),
            Modality::Image | Modality::Video => (p.image.is_some(), "preprocessor_config.json"),
            Modality::Audio => (p.audio.is_some(), "preprocessor_config.json"),
        };
        if has || !self.model.modalities().contains(&modality) {
            return Ok(());
        }
        Err(Error::Input(format!("the model came without its {files}: its {modality} tower cannot be fed")))
    }

    fn project(&self, modality: Modality, pooled: &Tensor) -> Result<Vectors> {
        let project = || match self.normalize {
            true => self.model.project(modality, pooled),
            false => self.model.project_raw(modality, pooled),
        };
        self.vectors(&tch::no_grad(project)?)
    }

    fn vectors(&self, tensor: &Tensor) -> Result<Vectors> {
        let vectors = Vectors { dim: self.dim(), data: to_vec(tensor)? };
        // NaN compares with nothing: it would be an item that no search finds, or a query that finds anything.
        if vectors.data.iter().any(|v| !v.is_finite()) {
            return Err(Error::Input("the model's vectors are not finite: its weights are broken".into()));
        }
        Ok(vectors)
    }
}

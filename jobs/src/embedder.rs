//! A model that takes strings and files.

use crate::{Error, Result, Vectors};
use std::path::{Path, PathBuf};
use tch::Device;
use unisono_datasets::augment::ImageAugment;
use unisono_datasets::vectors::{SCALE, View};
use unisono_encoders::{AudioWindow, Input, Modality, Model, Precision, Prompt, Role, to_vec};
use unisono_media::video::{Ffmpeg, Span};
use unisono_media::{Blob, MediaLimits};
use unisono_processors::{Contract, ImageProcessor, Medium, Prepared, Processors};

/// A loaded model that turns strings, image files, audio files and video files into unit vectors of one space.
#[derive(Debug)]
pub struct Embedder {
    model: Model,
    /// The folder that it came from, which tells it from others.
    folder: Option<PathBuf>,
    normalize: bool,
    ffmpeg: Option<PathBuf>,
    limits: MediaLimits,
    view: Option<Viewed>,
}

/// Images are changed before they are seen.
#[derive(Debug)]
pub(crate) struct Viewed {
    view: View,
    /// What the model makes of an image.
    own: ImageProcessor,
    /// The model's own, but for images that a crop or a rotation wants more pixels of.
    processors: Processors,
}

impl Viewed {
    /// Changes an image, as the contract prepared it, into its view.
    pub(crate) fn look(&self, id: &str, prepared: &mut Prepared) {
        let Prepared::Image(image) = prepared else { return };
        let wide = self.processors.image.as_ref().unwrap_or(&self.own);
        *image = self.view.of(id, image, self.own.size_of_scaled(wide, image));
    }
}

impl Embedder {
    /// Loads a model directory onto `device`.
    ///
    /// # Errors
    /// A missing or broken file; the message names it.
    pub fn load(dir: impl AsRef<Path>, device: Device) -> Result<Self> {
        let mut embedder = Self::new(Model::load(dir.as_ref(), device)?);
        embedder.set_folder(dir);
        Ok(embedder)
    }

    /// [`load`](Self::load) for texts of this role: with the prompt that serves it, and where the model has other modules for it, with
    /// those.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_as(dir: impl AsRef<Path>, role: Option<Role>, device: Device) -> Result<Self> {
        let mut embedder = Self::new(Model::load_as(dir.as_ref(), role, device)?);
        embedder.set_folder(dir);
        Ok(embedder)
    }

    /// Wraps a model in memory.
    pub fn new(model: Model) -> Self {
        Self {
            model,
            folder: None,
            normalize: true,
            ffmpeg: None,
            limits: MediaLimits::default(),
            view: None,
        }
    }

    /// Says which folder a model in memory came from: what it made before is known again by that.
    pub fn set_folder(&mut self, dir: impl AsRef<Path>) {
        self.folder = Some(dir.as_ref().to_owned());
    }

    /// The folder that it came from, where it came from one.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The [`identity`](crate::identity()) of its folder; none of a model that came from none.
    pub fn identity(&self) -> Option<Result<String>> {
        self.folder.as_deref().map(crate::identity)
    }

    /// Whether vectors have length 1.
    pub fn normalizes(&self) -> bool {
        self.normalize
    }

    /// Whether vectors have length 1 (the default) or the length that the projection gives.
    pub fn set_normalize(&mut self, normalize: bool) {
        self.normalize = normalize;
    }

    /// The program that decodes videos, and the audio files that nothing else does; without this it is looked for.
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
    pub(crate) fn decoder(&self) -> Result<Ffmpeg> {
        Ok(Ffmpeg::find(self.ffmpeg.as_deref())?)
    }

    /// How the model is fed, by the program that was named.
    ///
    /// # Errors
    /// The program that was named is not there.
    pub fn contract(&self) -> Result<Contract<'_>> {
        let ffmpeg = self.ffmpeg.as_ref().map(|_| self.decoder()).transpose()?;
        let own = self.model.contract();
        let processors = self.view.as_ref().map_or(own.processors, |viewed| &viewed.processors);
        Ok(Contract { limits: self.limits, ffmpeg, processors, ..own })
    }

    /// From here on images that are [embedded](crate::embed()) with ids are seen in a view, number `view` of those of a seed; `None`: as they are. What is painted over
    /// is of the colours that the model pads and is normalised with.
    ///
    /// # Errors
    /// The model has no image processor.
    pub fn set_view(&mut self, view: Option<(u64, u64, &ImageAugment)>) -> Result<()> {
        let Some((view, seed, augment)) = view else {
            self.view = None;
            return Ok(());
        };
        let (mut augment, mut processors) = (augment.clone(), self.model.processors().clone());
        let Some(image) = &mut processors.image else {
            return Err(self.model.no_tower(Modality::Image).into());
        };
        let own = image.clone();
        augment.fill = image.background;
        augment.patch_mask.fill = image.mean.map(|mean| (mean * 255.0).round() as u8);
        if augment.moves() {
            *image = image.scaled(SCALE);
        }
        self.view = Some(Viewed { view: View { view, seed, augment }, own, processors });
        Ok(())
    }

    /// The view in which images are seen.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref().map(|viewed| &viewed.view)
    }

    /// How images are changed into it.
    pub(crate) fn viewed(&self) -> Option<&Viewed> {
        self.view.as_ref()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model, to say what is put before its texts, how much is heard of windows, and what its embeddings are cut to.
    pub fn model_mut(&mut self) -> &mut Model {
        &mut self.model
    }

    /// What is put before texts, if anything is.
    pub fn prompt(&self) -> Option<&Prompt> {
        self.model.processors().text.as_ref().map(|t| t.prompt()).filter(|prompt| !prompt.text.is_empty())
    }

    /// How much is heard of windows that a sound does not fill.
    pub fn window(&self) -> AudioWindow {
        self.model.audio_window()
    }

    /// What its vectors depend on besides the model's files and the inputs.
    pub(crate) fn settings(&self) -> String {
        let prompt = self.prompt().map_or("", |prompt| prompt.text.as_str());
        let limits = self.limits.fingerprint();
        let texts = if prompt.is_empty() { String::new() } else { format!(" {prompt:?}") };
        let window = if self.window().is_whole() { "" } else { " cut windows" };
        // Numbers and words: it can be written.
        let view = self.view().and_then(|view| serde_json::to_string(view).ok());
        let view = view.map_or_else(String::new, |view| format!(" view {view}"));
        format!("{} {} {limits}{texts}{window}{view}", self.precision(), self.normalize)
    }

    /// The arithmetic that its model was prepared for.
    pub fn precision(&self) -> Precision {
        self.model.precision()
    }

    /// Width D of the vectors.
    pub fn dim(&self) -> usize {
        usize::try_from(self.model.dims()).unwrap_or(0)
    }

    /// Strings → `[N, D]`.
    ///
    /// # Errors
    /// The model has no text tower, or libtorch refused.
    pub fn texts<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vectors> {
        if texts.is_empty() {
            return Ok(Vectors { dim: self.dim(), data: Vec::new() });
        }
        let processor = self.model.text_processor()?;
        let ids: std::result::Result<Vec<_>, _> =
            texts.iter().map(|t| processor.encode(t.as_ref())).collect();
        self.vectors(ids?.iter().map(|ids| Input::Text(ids)))
    }

    /// An image file → `[D]`.
    ///
    /// # Errors
    /// The model has no image tower, or the file is no whole image.
    pub fn image(&self, from: impl Into<Blob>) -> Result<Vec<f32>> {
        self.one(Modality::Image, Medium::Image(&from.into()))
    }

    /// An audio file → `[D]`.
    ///
    /// # Errors
    /// The model has no audio tower, or the file is no whole audio.
    pub fn audio(&self, from: impl Into<Blob>) -> Result<Vec<f32>> {
        self.one(Modality::Audio, Medium::Audio(&from.into()))
    }

    /// A video file, or the part `span` of it → `[D]`.
    ///
    /// # Errors
    /// The model has no image tower, there is no ffmpeg, or nothing of the file can be seen.
    pub fn video(&self, from: impl Into<Blob>, span: &Span) -> Result<Vec<f32>> {
        self.one(Modality::Video, Medium::Video(&from.into(), *span))
    }

    /// A medium → `[D]`.
    fn one(&self, modality: Modality, medium: Medium) -> Result<Vec<f32>> {
        self.require(modality)?;
        Ok(self.vectors([&self.contract()?.prepare(medium)?])?.data)
    }

    /// The error of asking for a modality that the model lacks, or for embeddings where it makes none.
    pub(crate) fn require(&self, modality: Modality) -> Result<()> {
        if self.model.compares_texts() {
            let message = "this model compares texts (match, search --rerank) and makes no embeddings";
            return Err(Error::Input(message.into()));
        }
        if self.model.embeds().contains(&modality) {
            return Ok(());
        }
        Err(self.model.no_tower(modality).into())
    }

    /// Inputs from the processors, of any modalities → `[N, D]`.
    pub(crate) fn vectors<'a, I>(&self, inputs: I) -> Result<Vectors>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let tensor = self.model.embed(inputs, self.normalize)?;
        let vectors = Vectors { dim: self.dim(), data: to_vec(&tensor)? };
        // NaN compares with nothing: it would be an item that no search finds, or a query that finds anything.
        if vectors.data.iter().any(|v| !v.is_finite()) {
            return Err(Error::Input("the model's embeddings are not finite: its weights are broken".into()));
        }
        Ok(vectors)
    }
}

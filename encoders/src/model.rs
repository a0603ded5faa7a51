//! A model: towers, projections and processors together, and the vectors they give.

use crate::config::ModelConfig;
use crate::layers::Linear;
use crate::processors::{ImageProcessor, LogMel, TextProcessor};
use crate::towers::{AudioTower, ImageTower, TextTower, TowerOutput};
use crate::{Error, Init, Mode, Params, Result, Scope};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use tch::{Device, Tensor};

/// A kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// Strings.
    Text,
    /// Pictures.
    Image,
    /// Sounds.
    Audio,
}

impl Modality {
    /// All of them, in their fixed order.
    pub const ALL: [Self; 3] = [Self::Text, Self::Image, Self::Audio];

    /// Every unordered pair, in its fixed order.
    pub const PAIRS: [(Self, Self); 3] =
        [(Self::Text, Self::Image), (Self::Text, Self::Audio), (Self::Image, Self::Audio)];

    /// `text`, `image`, `audio`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Modality {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|m| m.name() == s);
        found.ok_or_else(|| format!("unknown modality {s:?}: expected text, image or audio"))
    }
}

/// What turns media into the towers' inputs; each present when its tower is.
#[derive(Debug, Clone, Default)]
pub struct Processors {
    /// For the text tower.
    pub text: Option<TextProcessor>,
    /// For the image tower.
    pub image: Option<ImageProcessor>,
    /// For the audio tower.
    pub audio: Option<LogMel>,
}

/// Towers that project into one space.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    params: Params,
    text: Option<TextTower>,
    image: Option<ImageTower>,
    audio: Option<AudioTower>,
    projections: BTreeMap<Modality, Linear>,
    logit_scales: BTreeMap<(Modality, Modality), Tensor>,
    processors: Processors,
    device: Device,
}

impl Model {
    /// A new model, every weight a function of (`seed`, its name).
    ///
    /// # Errors
    /// Impossible sizes, or a tower whose processor is missing or of another size.
    pub fn new(config: ModelConfig, processors: Processors, seed: u64, device: Device) -> Result<Self> {
        config.validate()?;
        check_contract(&config, &processors)?;
        let root = Scope::root(seed, device);
        let text = config.text.as_ref().map(|c| TextTower::new(&root.child("text"), c)).transpose()?;
        let image = config.image.as_ref().map(|c| ImageTower::new(&root.child("image"), c)).transpose()?;
        let audio = config.audio.as_ref().map(|c| AudioTower::new(&root.child("audio"), c)).transpose()?;
        let widths = [
            (Modality::Text, config.text.as_ref().map(|c| c.transformer.width)),
            (Modality::Image, config.image.as_ref().map(|c| c.transformer.width)),
            (Modality::Audio, config.audio.as_ref().map(|c| c.transformer.width)),
        ];
        let mut projections = BTreeMap::new();
        for (modality, width) in widths {
            if let Some(width) = width {
                let scope = root.child(modality).child("projection");
                let std = (width as f64).powf(-0.5);
                projections.insert(modality, Linear::new(&scope, width, config.embed_dim, false, std)?);
            }
        }
        let mut logit_scales = BTreeMap::new();
        for (a, b) in Modality::PAIRS {
            if projections.contains_key(&a) && projections.contains_key(&b) {
                // exp(this) multiplies cosines: 1/0.07 at the start (Radford et al. 2021).
                let init = Init::Const((1.0f64 / 0.07).ln());
                logit_scales.insert((a, b), root.child("logit_scale").param(&format!("{a}_{b}"), &[], init)?);
            }
        }
        let params = root.finish();
        Ok(Self { config, params, text, image, audio, projections, logit_scales, processors, device })
    }

    /// The configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Every parameter and buffer by name.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The processors.
    pub fn processors(&self) -> &Processors {
        &self.processors
    }

    /// Where the weights lie.
    pub fn device(&self) -> Device {
        self.device
    }

    /// The modalities that this model embeds.
    pub fn modalities(&self) -> Vec<Modality> {
        self.projections.keys().copied().collect()
    }

    /// The logarithm of the factor on cosines of a pair of modalities, a scalar tensor; `None` when a tower is missing.
    pub fn logit_scale(&self, a: Modality, b: Modality) -> Option<&Tensor> {
        self.logit_scales.get(&(a.min(b), a.max(b)))
    }

    /// The error that says which tower is missing.
    pub fn no_tower(&self, wanted: Modality) -> Error {
        let has = self.modalities().iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
        Error::NoTower { wanted: wanted.name(), has }
    }

    /// The text processor.
    ///
    /// # Errors
    /// The model has no text tower.
    pub fn text_processor(&self) -> Result<&TextProcessor> {
        self.processors.text.as_ref().ok_or_else(|| self.no_tower(Modality::Text))
    }

    /// The image processor.
    ///
    /// # Errors
    /// The model has no image tower.
    pub fn image_processor(&self) -> Result<&ImageProcessor> {
        self.processors.image.as_ref().ok_or_else(|| self.no_tower(Modality::Image))
    }

    /// The audio processor.
    ///
    /// # Errors
    /// The model has no audio tower.
    pub fn audio_processor(&self) -> Result<&LogMel> {
        self.processors.audio.as_ref().ok_or_else(|| self.no_tower(Modality::Audio))
    }

    /// `ids` `[B, T]` int64 and `mask` `[B, T]` bool through the text tower.
    ///
    /// # Errors
    /// No text tower, too many tokens, or libtorch's.
    pub fn forward_text(&self, ids: &Tensor, mask: &Tensor, mode: Mode) -> Result<TowerOutput> {
        self.text.as_ref().ok_or_else(|| self.no_tower(Modality::Text))?.forward(ids, mask, mode)
    }

    /// `pixels` `[B, 3, S, S]` through the image tower.
    ///
    /// # Errors
    /// No image tower, another size, or libtorch's.
    pub fn forward_image(&self, pixels: &Tensor, mode: Mode) -> Result<TowerOutput> {
        self.image.as_ref().ok_or_else(|| self.no_tower(Modality::Image))?.forward(pixels, mode)
    }

    /// `mel` `[B, T, M]` and `lengths` `[B]` int64 through the audio tower.
    ///
    /// # Errors
    /// No audio tower, too many frames, or libtorch's.
    pub fn forward_audio(&self, mel: &Tensor, lengths: &Tensor, mode: Mode) -> Result<TowerOutput> {
        self.audio.as_ref().ok_or_else(|| self.no_tower(Modality::Audio))?.forward(mel, lengths, mode)
    }

    /// Pooled vectors `[B, W]` → unit vectors `[B, D]` in the shared space.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn project(&self, modality: Modality, pooled: &Tensor) -> Result<Tensor> {
        let projection = self.projections.get(&modality).ok_or_else(|| self.no_tower(modality))?;
        let x = projection.forward(pooled)?;
        let norm = x.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
        Ok(x.f_div(&norm)?)
    }

    /// Strings → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No text tower, or libtorch's.
    pub fn embed_text<S: AsRef<str>>(&self, texts: &[S]) -> Result<Tensor> {
        let processor = self.text_processor()?;
        let ids: Vec<Vec<i64>> = texts.iter().map(|t| processor.encode(t.as_ref())).collect::<Result<_>>()?;
        let (ids, mask) = processor.batch(&ids, self.device)?;
        inference(|| self.project(Modality::Text, &self.forward_text(&ids, &mask, Mode::Eval)?.pooled))
    }

    /// Pictures of any size → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No image tower, or libtorch's.
    pub fn embed_images(&self, pictures: &[RgbImage]) -> Result<Tensor> {
        let processor = self.image_processor()?;
        let squares: Vec<RgbImage> = pictures.iter().map(|p| processor.square(p)).collect();
        let pixels = processor.batch(&squares, self.device)?;
        inference(|| self.project(Modality::Image, &self.forward_image(&pixels, Mode::Eval)?.pooled))
    }

    /// Mono sounds at the audio processor's sample rate → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No audio tower, a sound without samples or with NaN, or libtorch's.
    pub fn embed_sounds<S: AsRef<[f32]>>(&self, sounds: &[S]) -> Result<Tensor> {
        let processor = self.audio_processor()?;
        let mels: Vec<Vec<f32>> =
            sounds.iter().map(|s| processor.process(s.as_ref())).collect::<Result<_>>()?;
        self.embed_spectrograms(&mels)
    }

    /// Log-mel spectrograms `[T_i, M]` from the audio processor → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// As [`embed_sounds`](Self::embed_sounds).
    pub fn embed_spectrograms<S: AsRef<[f32]>>(&self, mels: &[S]) -> Result<Tensor> {
        let rows: Vec<&[f32]> = mels.iter().map(AsRef::as_ref).collect();
        let (mel, lengths) = self.audio_processor()?.batch(&rows, 1, self.device)?;
        inference(|| self.project(Modality::Audio, &self.forward_audio(&mel, &lengths, Mode::Eval)?.pooled))
    }
}

/// Without a graph: no gradients are kept and no versions counted.
fn inference<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    tch::no_grad(f)
}

/// The processors must show the towers what their sizes expect.
fn check_contract(config: &ModelConfig, processors: &Processors) -> Result<()> {
    let missing = |m: Modality| Error::config(m.name(), "the model has this tower but no processor for it");
    if let Some(c) = &config.image {
        let p = processors.image.as_ref().ok_or_else(|| missing(Modality::Image))?;
        if i64::from(p.size) != c.size {
            let (p, c) = (p.size, c.size);
            return Err(Error::config(
                "image.size",
                format!("the processor makes {p} pixels, the tower takes {c}"),
            ));
        }
    }
    if let Some(c) = &config.audio {
        let p = processors.audio.as_ref().ok_or_else(|| missing(Modality::Audio))?.config();
        if p.mels as i64 != c.mels || p.max_frames as i64 > c.max_frames {
            let found = format!("{} bands and {} frames", p.mels, p.max_frames);
            let takes = format!("{} bands and at most {} frames", c.mels, c.max_frames);
            return Err(Error::config(
                "audio",
                format!("the processor makes {found}, the tower takes {takes}"),
            ));
        }
    }
    if config.text.is_some() && processors.text.is_none() {
        return Err(missing(Modality::Text));
    }
    Ok(())
}

//! A model: towers, projections and processors together, and the vectors they give. Videos are in `watch.rs`.

use crate::batch;
use crate::config::{Activation, ModelConfig, ProjectionConfig};
use crate::htsat::Htsat;
use crate::towers::{AudioTower, ImageTower, TextTower, TowerOutput};
use crate::video::{VideoConfig, VideoTower};
use crate::{Error, Params, Pass, Precision, Result};
use image::RgbImage;
use std::collections::BTreeMap;
use tch::{Device, Tensor};
use unisono_nn::{Init, Linear, Scope};
use unisono_processors::{ImageProcessor, LogMel, Modality, Processors, TextProcessor};

/// Whose temperature counts: a video's vector stands where a picture's would.
const fn paired(modality: Modality) -> Modality {
    match modality {
        Modality::Video => Modality::Image,
        other => other,
    }
}

/// Towers that project into one space.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    params: Params,
    text: Option<TextTower>,
    image: Option<ImageTower>,
    audio: Option<AudioTower>,
    htsat: Option<Htsat>,
    video: Option<VideoTower>,
    projections: BTreeMap<Modality, Projection>,
    logit_scales: BTreeMap<(Modality, Modality), Tensor>,
    logit_biases: BTreeMap<(Modality, Modality), Tensor>,
    processors: Processors,
    device: Device,
    precision: Precision,
}

impl Model {
    /// A new model, every weight a function of (`seed`, its name).
    ///
    /// # Errors
    /// Impossible sizes, or a tower whose processor is missing or of another size.
    pub fn new(config: ModelConfig, processors: Processors, seed: u64, device: Device) -> Result<Self> {
        let needs = [
            (Modality::Text, config.text.is_some() && processors.text.is_none()),
            (Modality::Image, config.image.is_some() && processors.image.is_none()),
            (Modality::Audio, config.hears() && processors.audio.is_none()),
        ];
        if let Some((m, _)) = needs.iter().find(|(_, missing)| *missing) {
            return Err(Error::config(m.name(), "the model has this tower but no processor for it"));
        }
        Self::build(config, processors, Scope::root(seed, device), device)
    }

    /// A model whose weights are about to be copied in: they are not initialised. A processor may be missing: a checkpoint without
    /// its files still has its towers. `most`: how many numbers the weights can fill.
    ///
    /// # Errors
    /// As [`new`](Self::new), or more numbers than that.
    pub(crate) fn blank(
        config: ModelConfig,
        processors: Processors,
        device: Device,
        most: u64,
    ) -> Result<Self> {
        Self::build(config, processors, Scope::blank(device, most), device)
    }

    pub(crate) fn build(
        config: ModelConfig,
        processors: Processors,
        root: Scope,
        device: Device,
    ) -> Result<Self> {
        config.validate()?;
        check_contract(&config, &processors)?;
        let text = config.text.as_ref().map(|c| TextTower::new(&root.child("text"), c)).transpose()?;
        let image = config.image.as_ref().map(|c| ImageTower::new(&root.child("image"), c)).transpose()?;
        let audio = config.audio.as_ref().map(|c| AudioTower::new(&root.child("audio"), c)).transpose()?;
        let htsat = config.htsat.as_ref().map(|c| Htsat::new(&root.child("audio"), c)).transpose()?;
        // Whatever sees pictures sees videos.
        let watches = config.video.clone().or_else(|| config.image.as_ref().map(|_| VideoConfig::default()));
        let video = watches.map(|c| VideoTower::new(&root.child("video"), &c, &config)).transpose()?;
        let hears = config.audio.as_ref().map(|c| (c.out_width(), c.projection));
        let towers = [
            (Modality::Text, config.text.as_ref().map(|c| (c.out_width(), c.projection))),
            (Modality::Image, config.image.as_ref().map(|c| (c.out_width(), c.projection))),
            (Modality::Audio, hears.or(config.htsat.as_ref().map(|c| (c.out_width(), c.projection)))),
        ];
        let mut projections = BTreeMap::new();
        for (modality, tower) in towers {
            if let Some((width, projection)) = tower {
                let scope = root.child(modality).child("projection");
                projections.insert(modality, Projection::new(&scope, projection, width, config.embed_dim)?);
            }
        }
        let (mut logit_scales, mut logit_biases) = (BTreeMap::new(), BTreeMap::new());
        for (a, b) in Modality::PAIRS {
            if projections.contains_key(&a) && projections.contains_key(&b) {
                let name = format!("{a}_{b}");
                // exp(this) multiplies cosines: 1/0.07 at the start (Radford et al. 2021).
                let init = Init::Const((1.0f64 / 0.07).ln());
                logit_scales.insert((a, b), root.child("logit_scale").param(&name, &[], init)?);
                if config.logit_bias {
                    // At the start nearly every pair is a negative (Zhai et al. 2023).
                    let bias = root.child("logit_bias").param(&name, &[], Init::Const(-10.0))?;
                    logit_biases.insert((a, b), bias);
                }
            }
        }
        let params = root.finish();
        Ok(Self {
            config,
            params,
            text,
            image,
            audio,
            htsat,
            video,
            projections,
            logit_scales,
            logit_biases,
            processors,
            device,
            precision: Precision::Fp32,
        })
    }

    /// Prepares the towers for inference: weights are packed for the fastest kernels, in `precision`. Parameters that change
    /// afterwards are not seen, and no gradient flows.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        // Batches come one after another, of the same sizes: memory that was given back to the system would be asked for again.
        unisono_torch_ext::library::keep_freed_memory();
        if let Some(tower) = &mut self.text {
            tower.prepare(precision)?;
        }
        if let Some(tower) = &mut self.image {
            tower.prepare(precision)?;
        }
        if let Some(tower) = &mut self.audio {
            tower.prepare(precision)?;
        }
        if let Some(tower) = &mut self.htsat {
            tower.prepare(precision)?;
        }
        if let Some(tower) = &mut self.video {
            tower.prepare(precision)?;
        }
        self.precision = precision;
        Ok(())
    }

    /// The arithmetic that it was prepared for.
    pub fn precision(&self) -> Precision {
        self.precision
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

    /// The modalities that this model has towers for; videos where it has more for them than an image tower.
    pub fn modalities(&self) -> Vec<Modality> {
        let video = self.config.video.as_ref().map(|_| Modality::Video);
        self.projections.keys().copied().chain(video).collect()
    }

    /// The modalities that this model embeds: those of its towers, and videos wherever it sees pictures.
    pub fn embeds(&self) -> Vec<Modality> {
        let video = self.video.as_ref().map(|_| Modality::Video);
        self.projections.keys().copied().chain(video).collect()
    }

    /// The image tower.
    pub(crate) fn image_tower(&self) -> Result<&ImageTower> {
        self.image.as_ref().ok_or_else(|| self.no_tower(Modality::Image))
    }

    /// The video tower.
    pub(crate) fn video_tower(&self) -> Result<&VideoTower> {
        self.video.as_ref().ok_or_else(|| self.no_tower(Modality::Video))
    }

    /// The logarithm of the factor on cosines of a pair of modalities, a scalar tensor; `None` when a tower is missing.
    pub fn logit_scale(&self, a: Modality, b: Modality) -> Option<&Tensor> {
        let (a, b) = (paired(a), paired(b));
        self.logit_scales.get(&(a.min(b), a.max(b)))
    }

    /// What is added to the scaled cosines of a pair of modalities, a scalar tensor; `None` where the model has no such bias.
    pub fn logit_bias(&self, a: Modality, b: Modality) -> Option<&Tensor> {
        let (a, b) = (paired(a), paired(b));
        self.logit_biases.get(&(a.min(b), a.max(b)))
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
    pub fn forward_text<'a>(
        &self,
        ids: &Tensor,
        mask: &Tensor,
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        self.text.as_ref().ok_or_else(|| self.no_tower(Modality::Text))?.forward(ids, mask, &pass.into())
    }

    /// `pixels` `[B, 3, S, S]` through the image tower.
    ///
    /// # Errors
    /// No image tower, another size, or libtorch's.
    pub fn forward_image<'a>(&self, pixels: &Tensor, pass: impl Into<Pass<'a>>) -> Result<TowerOutput> {
        self.image_tower()?.forward(pixels, &pass.into())
    }

    /// `mel` `[B, T, M]` and `lengths` `[B]` int64 through the audio tower.
    ///
    /// # Errors
    /// No audio tower, too many frames, or libtorch's.
    pub fn forward_audio<'a>(
        &self,
        mel: &Tensor,
        lengths: &Tensor,
        pass: impl Into<Pass<'a>>,
    ) -> Result<TowerOutput> {
        let pass = pass.into();
        if let Some(tower) = &self.htsat {
            return tower.forward(mel, lengths, &pass);
        }
        self.audio.as_ref().ok_or_else(|| self.no_tower(Modality::Audio))?.forward(mel, lengths, &pass)
    }

    /// Pooled vectors `[B, W]` → unit vectors `[B, D]` in the shared space.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn project(&self, modality: Modality, pooled: &Tensor) -> Result<Tensor> {
        let x = self.project_raw(modality, pooled)?;
        let norm = x.f_norm_scalaropt_dim(2, [-1i64].as_slice(), true)?.f_clamp_min(1e-12)?;
        Ok(x.f_div(&norm)?)
    }

    /// Pooled vectors `[B, W]` → vectors `[B, D]` in the shared space, of the length that the projection gives. A video's pooled vector
    /// is in that space already.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn project_raw(&self, modality: Modality, pooled: &Tensor) -> Result<Tensor> {
        if modality == Modality::Video {
            return self.video_tower().map(|_| pooled.shallow_clone());
        }
        self.projections.get(&modality).ok_or_else(|| self.no_tower(modality))?.forward(pooled)
    }

    /// Strings → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No text tower, or libtorch's.
    pub fn embed_text<S: AsRef<str>>(&self, texts: &[S]) -> Result<Tensor> {
        inference(|| self.project(Modality::Text, &self.pool_texts(texts)?))
    }

    /// Strings → pooled vectors `[N, W]`, without a graph.
    ///
    /// # Errors
    /// As [`embed_text`](Self::embed_text).
    pub fn pool_texts<S: AsRef<str>>(&self, texts: &[S]) -> Result<Tensor> {
        let processor = self.text_processor()?;
        let ids: Vec<Vec<i64>> =
            texts.iter().map(|t| processor.encode(t.as_ref())).collect::<Result<_, _>>()?;
        self.pool_token_ids(&ids)
    }

    /// Id lists from the text processor → pooled vectors `[N, W]`, without a graph.
    ///
    /// # Errors
    /// No text tower, an empty or too long list, or libtorch's.
    pub fn pool_token_ids(&self, ids: &[Vec<i64>]) -> Result<Tensor> {
        let (ids, mask) = batch::token_ids(self.text_processor()?, ids, self.device)?;
        inference(|| Ok(self.forward_text(&ids, &mask, Pass::EVAL)?.pooled))
    }

    /// Pictures of any size → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No image tower, or libtorch's.
    pub fn embed_images(&self, pictures: &[RgbImage]) -> Result<Tensor> {
        let processor = self.image_processor()?;
        let prepared: Vec<RgbImage> = pictures.iter().map(|p| processor.prepare(p)).collect();
        inference(|| self.project(Modality::Image, &self.pool_images(&prepared)?))
    }

    /// Pictures from the image processor → pooled vectors `[N, W]`, without a graph. Pictures of different sizes, which only a
    /// flexible tower has, run in one batch a size.
    ///
    /// # Errors
    /// No image tower, or libtorch's.
    pub fn pool_images(&self, prepared: &[RgbImage]) -> Result<Tensor> {
        let processor = self.image_processor()?;
        let mut groups: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for (i, p) in prepared.iter().enumerate() {
            groups.entry(p.dimensions()).or_default().push(i);
        }
        let run = |part: &[RgbImage]| {
            let pixels = batch::images(processor, part, self.device)?;
            inference(|| Ok(self.forward_image(&pixels, Pass::EVAL)?.pooled))
        };
        if groups.len() < 2 {
            return run(prepared);
        }
        let (mut parts, mut order) = (Vec::new(), Vec::new());
        for members in groups.values() {
            let part: Vec<RgbImage> = members.iter().map(|i| prepared[*i].clone()).collect();
            parts.push(run(&part)?);
            order.extend(members.iter().map(|i| *i as i64));
        }
        let back = Tensor::f_from_slice(&order)?.f_argsort(0, false)?.f_to_device(self.device)?;
        Ok(Tensor::f_cat(&parts, 0)?.f_index_select(0, &back)?)
    }

    /// Mono sounds at the audio processor's sample rate → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// No audio tower, a sound without samples or with NaN, or libtorch's.
    pub fn embed_sounds<S: AsRef<[f32]>>(&self, sounds: &[S]) -> Result<Tensor> {
        let processor = self.audio_processor()?;
        let mels: Vec<Vec<f32>> =
            sounds.iter().map(|s| processor.process(s.as_ref())).collect::<Result<_, _>>()?;
        self.embed_spectrograms(&mels)
    }

    /// Log-mel spectrograms `[T_i, M]` from the audio processor → `[N, D]` unit vectors.
    ///
    /// # Errors
    /// As [`embed_sounds`](Self::embed_sounds).
    pub fn embed_spectrograms<S: AsRef<[f32]>>(&self, mels: &[S]) -> Result<Tensor> {
        inference(|| self.project(Modality::Audio, &self.pool_spectrograms(mels)?))
    }

    /// Log-mel spectrograms `[T_i, M]` from the audio processor → pooled vectors `[N, W]`, without a graph.
    ///
    /// # Errors
    /// As [`embed_sounds`](Self::embed_sounds).
    pub fn pool_spectrograms<S: AsRef<[f32]>>(&self, mels: &[S]) -> Result<Tensor> {
        let rows: Vec<&[f32]> = mels.iter().map(AsRef::as_ref).collect();
        let (mel, lengths) = batch::spectrograms(self.audio_processor()?, &rows, 1, self.device)?;
        inference(|| Ok(self.forward_audio(&mel, &lengths, Pass::EVAL)?.pooled))
    }
}

/// From a tower's pooled vectors to the shared space.
#[derive(Debug)]
enum Projection {
    None,
    Linear(Linear),
    Mlp(Linear, Activation, Linear),
}

impl Projection {
    fn new(scope: &Scope, c: ProjectionConfig, width: i64, out: i64) -> Result<Self> {
        let std = |n: i64| (n as f64).powf(-0.5);
        Ok(match c {
            ProjectionConfig::None => Self::None,
            ProjectionConfig::Linear { bias } => {
                Self::Linear(Linear::new(scope, width, out, bias, std(width))?)
            }
            ProjectionConfig::Mlp { hidden, activation, bias } => Self::Mlp(
                Linear::new(&scope.child("fc1"), width, hidden, bias, std(width))?,
                activation,
                Linear::new(&scope.child("fc2"), hidden, out, bias, std(hidden))?,
            ),
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.shallow_clone()),
            Self::Linear(linear) => Ok(linear.forward(x)?),
            Self::Mlp(fc1, activation, fc2) => Ok(fc2.forward(&activation.forward(&fc1.forward(x)?)?)?),
        }
    }
}

/// Without a graph: no gradients are kept and no versions counted.
pub(crate) fn inference<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    tch::no_grad(f)
}

/// The processors must show the towers what their sizes expect.
fn check_contract(config: &ModelConfig, processors: &Processors) -> Result<()> {
    if let (Some(c), Some(p)) = (&config.image, &processors.image)
        && p.size != c.size
    {
        let (p, c) = (p.size, c.size);
        return Err(Error::config(
            "image.size",
            format!("the processor makes {p} pixels, the tower takes {c}"),
        ));
    }
    if let (Some(c), Some(p)) = (&config.htsat, &processors.audio) {
        let p = p.config();
        if p.mels as i64 != c.mels || p.max_frames as i64 > c.frames() {
            let found = format!("{} bands and {} frames", p.mels, p.max_frames);
            let takes = format!("{} bands and at most {} frames", c.mels, c.frames());
            return Err(Error::config(
                "htsat",
                format!("the processor makes {found}, the tower takes {takes}"),
            ));
        }
    }
    if let (Some(c), Some(p)) = (&config.audio, &processors.audio) {
        let p = p.config();
        if p.mels as i64 != c.mels || p.max_frames as i64 > c.max_frames {
            let found = format!("{} bands and {} frames", p.mels, p.max_frames);
            let takes = format!("{} bands and at most {} frames", c.mels, c.max_frames);
            return Err(Error::config(
                "audio",
                format!("the processor makes {found}, the tower takes {takes}"),
            ));
        }
    }
    Ok(())
}

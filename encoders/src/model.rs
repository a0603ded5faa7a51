//! A model: towers, projections and processors together. What they make of inputs is in `features.rs`.

use crate::classifier::Classifier;
use crate::config::ModelConfig;
use crate::config::VideoConfig;
use crate::projection::{Projection, Read};
use crate::reading::Reading;
use crate::towers::{ImageTower, Tower};
use crate::video::VideoTower;
use crate::{Error, Modality, Params, Pass, Precision, Result};
use std::cell::OnceCell;
use std::collections::BTreeMap;
use tch::{Device, Tensor};
use unisono_nn::config::Adaptable;
use unisono_nn::{Init, Scope};
use unisono_processors::{Contract, ImageProcessor, LogMel, Processors, TextProcessor};

/// Whose temperature counts: a video's vector stands where an image's would.
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
    adaptable: Vec<Adaptable>,
    pub(crate) towers: BTreeMap<Modality, Tower>,
    projections: BTreeMap<Modality, Projection>,
    logit_scales: BTreeMap<(Modality, Modality), Tensor>,
    logit_biases: BTreeMap<(Modality, Modality), Tensor>,
    pub(crate) classifier: Option<Classifier>,
    /// What the text tower reads of the image tower's classifier.
    pub(crate) reading: Option<Reading>,
    processors: Processors,
    device: Device,
    precision: Precision,
    /// Numbers of an embedding.
    dims: i64,
    /// Weights are packed: those that change are not seen.
    pub(crate) prepared: bool,
    /// The audio tower's tokens of silence `[1, N, W]`, of a model that was prepared.
    pub(crate) silence: OnceCell<Tensor>,
}

impl Model {
    /// A pass that computes in what the model was prepared for, where it does not say otherwise.
    pub(crate) fn pass<'a>(&self, pass: impl Into<Pass<'a>>) -> Pass<'a> {
        pass.into().or_in(self.precision.compute(self.device))
    }

    /// A new model, every weight a function of (`seed`, its name).
    ///
    /// # Errors
    /// Impossible sizes, or a tower whose processor is missing or of another size.
    pub fn new(config: ModelConfig, processors: Processors, seed: u64, device: Device) -> Result<Self> {
        let needs = [
            (Modality::Text, config.text.is_some() && processors.text.is_none()),
            (Modality::Image, config.image.is_some() && processors.image.is_none()),
            (Modality::Audio, config.audio.is_some() && processors.audio.is_none()),
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
        config.fits(&processors)?;
        root.adapt(config.adapter.as_ref());
        let (mut towers, mut projections) = (BTreeMap::new(), BTreeMap::new());
        for modality in Modality::ALL {
            let scope = root.child(modality);
            if let Some(tower) = Tower::new(modality, &scope, &config)? {
                towers.insert(modality, tower);
            }
            if let Some((width, projection)) = config.projection(modality) {
                let read = Read { width: config.reads(modality), centred: modality == Modality::Image };
                let scope = scope.child("projection");
                let projection = Projection::new(&scope, projection, width, config.embed_dim, read)?;
                projections.insert(modality, projection);
            }
        }
        if let (Some(Tower::Text(tower)), Some(text)) = (towers.get_mut(&Modality::Text), &processors.text) {
            tower.set_prompt(i64::try_from(text.prompt_tokens()?).unwrap_or(i64::MAX));
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
        let head = config.classifier.as_ref();
        let head = head.map(|c| Classifier::new(&root.child("classifier"), c, &config)).transpose()?;
        let read = config.reading.as_ref();
        let read = read.map(|c| Reading::new(&root.child("image.reading"), c, &config)).transpose()?;
        let dims = config.matryoshka.as_ref().and_then(|m| m.default).unwrap_or(config.embed_dim);
        Ok(Self {
            config,
            adaptable: root.adaptable(),
            params: root.finish(),
            towers,
            projections,
            logit_scales,
            logit_biases,
            classifier: head,
            reading: read,
            processors,
            device,
            precision: Precision::Fp32,
            dims,
            prepared: false,
            silence: OnceCell::new(),
        })
    }

    /// The same towers with another way from frames to a vector, its new weights a function of (`seed`, their names): how a video tower
    /// is put over a model that was trained on images. A video tower of the same pooling keeps its weights where their shapes are kept.
    ///
    /// # Errors
    /// No image tower, or impossible sizes.
    pub fn with_video(self, video: VideoConfig, seed: u64) -> Result<Self> {
        let same = self.config.video.as_ref().is_some_and(|old| old.pooling == video.pooling);
        let config = ModelConfig { video: Some(video), ..self.config };
        let mut model = Self::build(config, self.processors, Scope::root(seed, self.device), self.device)?;
        model.dims = self.dims;
        tch::no_grad(|| {
            for (name, param) in model.params.iter().filter(|(n, _)| same || !n.starts_with("video.")) {
                if let Some(old) = self.params.get(name)
                    && old.tensor.size() == param.tensor.size()
                {
                    param.tensor.shallow_clone().f_copy_(&old.tensor)?;
                }
            }
            Ok(model)
        })
    }

    /// The same model without its classifier: labels are of the tower as it was trained for them.
    pub fn without_classifier(mut self) -> Self {
        (self.config.classifier, self.classifier) = (None, None);
        self.params.remove_below("classifier");
        self
    }

    /// Prepares the towers for inference: weights are packed for the fastest kernels, in `precision`. Parameters that change
    /// afterwards are not seen, and no gradient flows.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        // Batches come one after another, of the same sizes: memory that was given back to the system would be asked for again.
        unisono_torch_ext::library::keep_freed_memory();
        self.towers.values_mut().try_for_each(|tower| tower.prepare(precision))?;
        self.projections.values_mut().try_for_each(|projection| projection.prepare(precision))?;
        self.precision = precision;
        (self.prepared, self.silence) = (true, OnceCell::new());
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

    /// Numbers of an embedding: the width of the shared space, unless embeddings are cut.
    pub fn dims(&self) -> i64 {
        self.dims
    }

    /// Cuts embeddings to their first `dims` numbers from here on, of length 1 again (Matryoshka, Kusupati et al. 2022).
    ///
    /// # Errors
    /// None, or more than the width of the shared space.
    pub fn set_dims(&mut self, dims: i64) -> Result<()> {
        let width = self.config.embed_dim;
        if !(1..=width).contains(&dims) {
            let message =
                format!("cannot cut embeddings to {dims} dimensions: this model's width is {width}");
            return Err(Error::Input(message));
        }
        self.dims = dims;
        Ok(())
    }

    /// The processors and the text tower, which change together.
    pub(crate) fn texts(&mut self) -> (&mut Processors, Option<&mut Tower>) {
        (&mut self.processors, self.towers.get_mut(&Modality::Text))
    }

    /// Every parameter and buffer by name.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The linear layers that can have an adapter, and whether they have one.
    pub fn adaptable(&self) -> &[Adaptable] {
        &self.adaptable
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

    /// The modalities that this model embeds: those of its towers, and videos wherever it sees images.
    pub fn embeds(&self) -> Vec<Modality> {
        self.towers.keys().copied().collect()
    }

    /// Frames of a clip that this model looks at; a clip with fewer shows all it has.
    pub fn frames(&self) -> usize {
        let frames = self.config.video.as_ref().map_or(VideoConfig::default().frames, |v| v.frames);
        usize::try_from(frames).unwrap_or(1).max(1)
    }

    /// Whether a clip's audio is a part of its vector.
    pub fn listens(&self) -> bool {
        self.config.video.as_ref().is_some_and(|v| v.audio.is_some())
    }

    /// How this model is fed, with the usual limits.
    pub fn contract(&self) -> Contract<'_> {
        Contract { frames: self.frames(), listens: self.listens(), ..Contract::new(&self.processors) }
    }

    /// The image tower.
    pub(crate) fn image_tower(&self) -> Result<&ImageTower> {
        match self.towers.get(&Modality::Image) {
            Some(Tower::Image(tower)) => Ok(tower),
            _ => Err(self.no_tower(Modality::Image)),
        }
    }

    /// The video tower.
    pub(crate) fn video_tower(&self) -> Result<&VideoTower> {
        match self.towers.get(&Modality::Video) {
            Some(Tower::Video(tower)) => Ok(tower),
            _ => Err(self.no_tower(Modality::Video)),
        }
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

    /// Pooled vectors `[B, W]` → unit vectors `[B, D]` in the shared space.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn project(&self, modality: Modality, pooled: &Tensor) -> Result<Tensor> {
        self.project_in(modality, pooled, &Pass::EVAL)
    }

    /// [`project`](Self::project) in a pass that may train: a projection's dropout is drawn by the rows that the pass knows.
    ///
    /// # Errors
    /// As [`project`](Self::project), and another number of rows than the pass knows.
    pub fn project_in(&self, modality: Modality, pooled: &Tensor, pass: &Pass) -> Result<Tensor> {
        crate::clips::unit(&self.projected(modality, pooled, pass)?)
    }

    /// Whether a projection standardises its pooled vectors.
    pub fn standardises(&self, modality: Modality) -> bool {
        self.projections.get(&modality).is_some_and(|p| p.norm().is_some())
    }

    /// Sets means and deviations `[W]` by which a projection standardises its pooled vectors, where it does.
    ///
    /// # Errors
    /// Other widths, or libtorch's.
    pub fn standardise(&self, modality: Modality, means: &[f64], deviations: &[f64]) -> Result<()> {
        let Some([mean, scale]) = self.projections.get(&modality).and_then(Projection::norm) else {
            return Ok(());
        };
        // A number that is nearly the same everywhere says nothing.
        let inverse: Vec<f32> = deviations.iter().map(|d| 1.0 / (*d as f32 + 1e-3)).collect();
        let means: Vec<f32> = means.iter().map(|m| *m as f32).collect();
        tch::no_grad(|| {
            mean.shallow_clone().f_copy_(&Tensor::f_from_slice(&means)?)?;
            scale.shallow_clone().f_copy_(&Tensor::f_from_slice(&inverse)?)?;
            Ok(())
        })
    }

    /// Pooled vectors `[B, W]` → vectors `[B, D]` in the shared space, of the length that the projection gives. A video's pooled vector
    /// is in that space already.
    ///
    /// # Errors
    /// No such tower, or libtorch's.
    pub fn project_raw(&self, modality: Modality, pooled: &Tensor) -> Result<Tensor> {
        self.projected(modality, pooled, &Pass::EVAL)
    }

    fn projected(&self, modality: Modality, pooled: &Tensor, pass: &Pass) -> Result<Tensor> {
        if modality == Modality::Video {
            return self.video_tower().map(|_| pooled.shallow_clone());
        }
        self.projections.get(&modality).ok_or_else(|| self.no_tower(modality))?.forward(pooled, pass)
    }
}

//! Towers of several models in one space.

use crate::clips::unit;
use crate::config::{
    AudioConfig, ClassifierInput, FinalNorm, ImageConfig, ModelConfig, Pooling, ProjectionConfig,
    ReadingConfig, SpeechDecoderConfig,
};
use crate::{Error, Modality, Model, Pass, Processors, Result};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};
use unisono_nn::Scope;
use unisono_processors::{LogMel, TextProcessor};

/// Labels that go through the text tower at once.
const AT_ONCE: usize = 64;

/// A tower that comes from another model.
#[derive(Debug)]
pub struct Borrowed {
    /// Whose it is. Its other towers stay behind.
    pub model: Model,
    /// The new way from its pooled vector to the shared space; `None`: its own, which then leads there.
    pub projection: Option<ProjectionConfig>,
    /// How its tokens become a vector; `None`: as they did.
    pub pooling: Option<Pooling>,
    /// Its audio files are cut behind their sounds ([`Fill::Cut`](unisono_processors::Fill::Cut)), which the new model remembers.
    pub cut: bool,
    /// Of an audio tower: a decoder that writes what it hears.
    pub decoder: Option<BorrowedDecoder>,
    /// Of an image tower with a classifier: the text tower reads its labels, at this temperature ([`ReadingConfig`]).
    pub reading: Option<f64>,
}

/// A decoder that comes from another model.
#[derive(Debug)]
pub struct BorrowedDecoder {
    /// Its sizes and tokens.
    pub config: SpeechDecoderConfig,
    /// Its weights by their names in the new model, `audio.decoder.…`.
    pub weights: BTreeMap<String, Tensor>,
    /// Its vocabulary, where the new model's text tower reads what it writes.
    pub read: Option<TextProcessor>,
}

impl Borrowed {
    /// The tower as it is, but for its projection.
    pub fn new(model: Model, projection: Option<ProjectionConfig>) -> Self {
        Self { model, projection, pooling: None, cut: false, decoder: None, reading: None }
    }
}

impl Model {
    /// The towers of `config` and `processors`, which are new, and those `from` other models with their processors, in the shared space of
    /// `config`: new weights are a function of (`seed`, their names), the others are what they were. Classifiers, video tables and the sizes that
    /// a borrowed space may be cut to stay behind.
    ///
    /// # Errors
    /// A tower that the other model lacks or that is there twice, an own projection into a space of another width, a pooling or a cut that the
    /// tower does not have, impossible sizes.
    pub fn composed(
        mut config: ModelConfig,
        mut processors: Processors,
        from: &BTreeMap<Modality, Borrowed>,
        seed: u64,
        device: Device,
    ) -> Result<Self> {
        for (modality, borrowed) in from {
            borrowed.lend(*modality, &mut config, &mut processors)?;
        }
        let model = Self::build(config, processors, Scope::root(seed, device), device)?;
        tch::no_grad(|| {
            for (modality, borrowed) in from {
                let (tower, projection) = (format!("{modality}."), format!("{modality}.projection."));
                let pool = format!("{modality}.pool.");
                let new = |name: &str| {
                    borrowed.projection.is_some() && name.starts_with(&projection)
                        || borrowed.pooling.is_some() && name.starts_with(&pool)
                };
                // The labels' vectors are made below.
                let own = model.params().iter().filter(|(name, _)| {
                    name.starts_with(&tower) && !new(name) && *name != "image.reading.words"
                });
                for (name, param) in own {
                    let said = borrowed.decoder.as_ref().and_then(|decoder| decoder.weights.get(name));
                    let from = name.replacen("image.reading.", "classifier.", 1);
                    let old = said.or(borrowed.model.params().get(&from).map(|p| &p.tensor));
                    let old = old.ok_or_else(|| {
                        Error::config(name, "is not among the weights of the model that it comes from")
                    })?;
                    let (expected, found) = (param.tensor.size(), old.size());
                    if expected != found {
                        let message = format!(
                            "expected {expected:?} for this pooling, found {found:?}: leave the pooling out"
                        );
                        return Err(Error::config(name, message));
                    }
                    param.tensor.shallow_clone().f_copy_(old)?;
                }
            }
            model.read_labels()?;
            Ok(model)
        })
    }
}

impl Model {
    /// Has the text tower read the labels of the image tower's classifier ([`ReadingConfig`]).
    ///
    /// # Errors
    /// No text tower, or libtorch's.
    fn read_labels(&self) -> Result<()> {
        let (Some(config), Some(reading)) = (&self.config().reading, &self.reading) else { return Ok(()) };
        let parts = |label: &str| -> Vec<String> {
            let named = label.split(',').map(str::trim).filter(|part| !part.is_empty());
            named.map(str::to_owned).collect()
        };
        let labels: Vec<Vec<String>> = config.classifier.labels.iter().map(|label| parts(label)).collect();
        let processor = self.text_processor()?;
        let mut rows = Vec::new();
        tch::no_grad(|| {
            let all: Vec<&String> = labels.iter().flatten().collect();
            for texts in all.chunks(AT_ONCE) {
                let ids = texts.iter().map(|text| Ok(processor.encode(text)?)).collect::<Result<Vec<_>>>()?;
                let pooled = self.encode_texts(&ids, &Pass::EVAL, false)?.pooled;
                rows.push(unit(&self.project_raw(Modality::Text, &pooled)?)?);
            }
            if rows.is_empty() {
                return Ok(());
            }
            let (read, mut at) = (Tensor::f_cat(&rows, 0)?, 0);
            for (row, label) in (0..).zip(&labels).filter(|(_, label)| !label.is_empty()) {
                let n = i64::try_from(label.len()).unwrap_or(0);
                let mean = read.f_narrow(0, at, n)?.f_mean_dim([0i64].as_slice(), true, Kind::Float)?;
                reading.words().f_narrow(0, row, 1)?.f_copy_(&unit(&mean)?)?;
                at += n;
            }
            Ok(())
        })
    }
}

impl Borrowed {
    /// Puts the tower's configuration and processor among those of the new model.
    fn lend(&self, modality: Modality, to: &mut ModelConfig, with: &mut Processors) -> Result<()> {
        let (config, processors) = (self.model.config(), self.model.processors());
        let lacks = || self.model.no_tower(modality);
        let there = match modality {
            Modality::Text => to.text.is_some(),
            Modality::Image => to.image.is_some(),
            Modality::Audio => to.audio.is_some(),
            Modality::Video => {
                return Err(Error::Input("videos are seen by the image tower: borrow that".into()));
            }
        };
        if there {
            let message = "expected one tower of a modality, found a new one and a borrowed one";
            return Err(Error::config(modality.name(), message));
        }
        if self.projection.is_none() && config.embed_dim != to.embed_dim {
            return Err(Error::config(
                format!("{modality}.projection"),
                format!(
                    "its own leads into a space of width {}, the shared one has {}",
                    config.embed_dim, to.embed_dim
                ),
            ));
        }
        let pooling = |of: &mut Pooling, norm: Option<FinalNorm>| match &self.pooling {
            Some(_) if norm == Some(FinalNorm::Pooled) => {
                let message = "its last norm is over the pooled vector, and would be of another one: leave the pooling out";
                Err(Error::config(format!("{modality}.pooling"), message))
            }
            Some(new) => {
                *of = new.clone();
                Ok(())
            }
            None => Ok(()),
        };
        match modality {
            Modality::Text => {
                let mut text = config.text.clone().ok_or_else(lacks)?;
                text.projection = self.projection.unwrap_or(text.projection);
                pooling(&mut text.pooling, Some(text.transformer.final_norm))?;
                (to.text, with.text) = (Some(text), processors.text.clone());
            }
            Modality::Image => {
                let mut image = config.image.clone().ok_or_else(lacks)?;
                let (projection, pool, norm) = match &mut image {
                    ImageConfig::Transformer(c) => {
                        (&mut c.projection, &mut c.pooling, Some(c.transformer.final_norm))
                    }
                    ImageConfig::EfficientNet(c) => (&mut c.projection, &mut c.pooling, None),
                };
                *projection = self.projection.unwrap_or(*projection);
                let before = pool.each().first().cloned();
                pooling(pool, norm)?;
                if let Some(temperature) = self.reading {
                    let classifier = config.classifier.clone().filter(|c| c.modality == Modality::Image);
                    let classifier = classifier.ok_or_else(|| {
                        Error::config(
                            "image.reading",
                            "the model that the tower comes from has no classifier",
                        )
                    })?;
                    if classifier.input == ClassifierInput::Pooled && before != pool.each().first().cloned() {
                        let message =
                            "the classifier takes the tower's own: expected a pooling that begins with it";
                        return Err(Error::config("image.pooling", message));
                    }
                    to.reading = Some(ReadingConfig { classifier, temperature });
                }
                (to.image, with.image) = (Some(image), processors.image.clone());
            }
            Modality::Audio => {
                let mut audio = config.audio.clone().ok_or_else(lacks)?;
                match &mut audio {
                    AudioConfig::Transformer(c) => {
                        c.projection = self.projection.unwrap_or(c.projection);
                        pooling(&mut c.pooling, Some(c.transformer.final_norm))?;
                        let decoder = self.decoder.as_ref().map(|decoder| {
                            let reads = if decoder.read.is_some() { to.embed_dim } else { 0 };
                            Box::new(SpeechDecoderConfig { reads, ..decoder.config.clone() })
                        });
                        c.decoder = decoder.or(c.decoder.take());
                    }
                    AudioConfig::Htsat(_) if self.decoder.is_some() => {
                        return Err(Error::config("audio.decoder", "expected an audio tower like Whisper's"));
                    }
                    AudioConfig::Htsat(_) if self.pooling.is_some() => {
                        let message = "CLAP's windowed tower has its own: leave the pooling out";
                        return Err(Error::config("audio.pooling", message));
                    }
                    AudioConfig::Htsat(c) => c.projection = self.projection.unwrap_or(c.projection),
                }
                (to.audio, with.audio) = (Some(audio), processors.audio.clone());
                with.speech = match &self.decoder {
                    Some(decoder) => decoder.read.clone(),
                    None => processors.speech.clone(),
                };
                if self.cut {
                    with.audio = Some(self.cut()?);
                }
            }
            Modality::Video => {}
        }
        Ok(())
    }

    /// The audio processor, which cuts windows from here on.
    fn cut(&self) -> Result<LogMel> {
        let any = matches!(&self.model.config().audio, Some(AudioConfig::Transformer(c)) if !c.grid);
        let cut = self.model.audio_processor()?.config().cut().filter(|_| any);
        let message = "expected an audio tower like Whisper's, whose windows silence fills behind short sounds: leave \"auto\" out";
        Ok(LogMel::new(cut.ok_or_else(|| Error::config("audio.window", message))?)?)
    }
}

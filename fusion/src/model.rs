//! A model that understands: towers, the fusion Transformer over their tokens, and its heads.

use crate::ability::Ability;
use crate::config::{FusionConfig, Generation, MemoryConfig, Tokens};
use crate::entrance::{Entrance, tower_width};
use crate::lexicon::Lexicon;
use crate::stack::Stack;
use crate::{Error, Result};
use tch::Tensor;
use unisono_encoders::{LoadReport, Modality, Model, Params, Precision};
use unisono_nn::{Init, Linear, Scope};
use unisono_processors::TextProcessor;

/// Towers, fusion Transformer and heads.
#[derive(Debug)]
pub struct FusionModel {
    pub(crate) config: FusionConfig,
    pub(crate) towers: Model,
    pub(crate) params: Params,
    pub(crate) encoder: Option<Stack>,
    pub(crate) decoder: Option<Stack>,
    pub(crate) matching: Option<Linear>,
    pub(crate) entrances: Vec<Entrance>,
    /// From a vector of the shared space to tokens of a memory.
    pub(crate) prefix: Option<Linear>,
    pub(crate) lexicon: Option<Lexicon>,
    /// `[frames, W]`.
    pub(crate) frames: Option<Tensor>,
    pub(crate) text: Option<TextProcessor>,
}

impl FusionModel {
    /// A new fusion part over `towers`, every weight a function of (`seed`, its name).
    ///
    /// # Errors
    /// Impossible sizes, or a tower that is missing.
    pub fn new(config: FusionConfig, towers: Model, text: Option<TextProcessor>, seed: u64) -> Result<Self> {
        let device = towers.device();
        Self::build(config, towers, text, Scope::root(seed, device))
    }

    /// A model that compares texts with texts by a head of its own over a text tower: nothing stands between.
    pub(crate) fn of_pairs(towers: Model) -> Self {
        let (start, pad) = (0, 0);
        let config = FusionConfig {
            memory: MemoryConfig::Tower { modality: Modality::Text, skip: 0 },
            encoder: None,
            decoder: None,
            matching: false,
            last_token: false,
            answers: false,
            tokens: Tokens { start, end: Vec::new(), pad, first: None },
            generation: Generation::default(),
            words: Vec::new(),
            speech: None,
        };
        let text = towers.processors().text.clone();
        Self {
            config,
            towers,
            params: Params::default(),
            encoder: None,
            decoder: None,
            matching: None,
            entrances: Vec::new(),
            prefix: None,
            lexicon: None,
            frames: None,
            text,
        }
    }

    /// A model whose fusion weights are about to be copied in, of at most so many numbers.
    pub(crate) fn blank(
        config: FusionConfig,
        towers: Model,
        text: Option<TextProcessor>,
        most: u64,
    ) -> Result<Self> {
        let device = towers.device();
        Self::build(config, towers, text, Scope::blank(device, most))
    }

    fn build(config: FusionConfig, towers: Model, text: Option<TextProcessor>, root: Scope) -> Result<Self> {
        config.validate()?;
        if let Some(speech) = &config.speech {
            let most = towers.config().audio.as_ref().map_or(0, |a| a.most()[0]);
            crate::bounds::range("speech.frames", i64::try_from(speech.frames).unwrap_or(i64::MAX), 1, most)?;
        }
        let stack =
            |name: &str, c: &Option<_>| c.as_ref().map(|c| Stack::new(&root.child(name), c)).transpose();
        let (encoder, decoder) = (stack("encoder", &config.encoder)?, stack("decoder", &config.decoder)?);
        let width = config.encoder.as_ref().or(config.decoder.as_ref()).map_or(0, |c| c.transformer.width);
        let matching = if config.matching {
            let std = (width as f64).powf(-0.5);
            Some(Linear::new(&root.child("match"), width, 2, true, std)?)
        } else {
            None
        };
        let (mut entrances, mut prefix, mut frames) = (Vec::new(), None, None);
        if let MemoryConfig::Own { width, modalities, frames: most, prefix: made } = &config.memory {
            let scope = root.child("memory");
            if *made > 0 {
                let from = towers.config().embed_dim;
                let std = (from as f64).powf(-0.5);
                prefix = Some(Linear::new(&scope.child("prefix"), from, made * width, true, std)?);
            }
            for modality in modalities.iter().filter(|_| prefix.is_none()) {
                let from = tower_width(&towers, *modality)?;
                let scope = scope.child(modality);
                entrances.push(Entrance {
                    modality: *modality,
                    projection: Linear::new(&scope, from, *width, true, (from as f64).powf(-0.5))?,
                    kind: scope.param("kind", &[*width], Init::Normal(0.02))?,
                });
            }
            if *most > 1 {
                frames = Some(scope.param("frames", &[*most, *width], Init::Normal(0.02))?);
            }
        }
        let params = root.finish();
        let lexicon = Lexicon::new(&config.words, &config.tokens.end);
        Ok(Self {
            config,
            towers,
            params,
            encoder,
            decoder,
            matching,
            entrances,
            prefix,
            lexicon,
            frames,
            text,
        })
    }

    /// Packs all weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.towers.prepare(precision)?;
        for stack in [&mut self.encoder, &mut self.decoder].into_iter().flatten() {
            stack.prepare(precision)?;
        }
        Ok(())
    }

    /// The configuration of the fusion part.
    pub fn config(&self) -> &FusionConfig {
        &self.config
    }

    /// The towers.
    pub fn towers(&self) -> &Model {
        &self.towers
    }

    /// The parameters of the fusion part.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The share of the vocabulary whose scores are made in training: of words that it never writes there are none.
    pub(crate) fn scored(&self) -> f64 {
        let vocabulary = self.decoder.as_ref().map_or(1, |stack| stack.config().vocab_size).max(1);
        self.lexicon.as_ref().map_or(1.0, |words| words.width() as f64 / vocabulary as f64)
    }

    /// The stack that reads texts in both directions; the writing one where there is no other.
    pub fn reader(&self) -> Option<&Stack> {
        self.encoder.as_ref().or(self.decoder.as_ref())
    }

    /// The stack that writes texts.
    pub fn writer(&self) -> Option<&Stack> {
        self.decoder.as_ref()
    }

    /// Turns texts into ids and back.
    ///
    /// # Errors
    /// The model came without its tokenizer's files.
    pub fn text(&self) -> Result<&TextProcessor> {
        self.text.as_ref().ok_or_else(|| {
            Error::Config(
                "the model came without a tokenizer: expected tokenizer.json or its older files".into(),
            )
        })
    }

    /// What it can be asked for.
    pub fn abilities(&self) -> Vec<Ability> {
        let c = &self.config;
        let has = |a: &Ability| match a {
            Ability::Caption => c.decoder.is_some() && !c.answers && c.speech.is_none(),
            Ability::Match => c.matching || self.towers.compares_texts(),
            Ability::Ask => c.answers && c.decoder.is_some(),
            Ability::Transcribe => c.speech.is_some(),
        };
        Ability::ALL.into_iter().filter(has).collect()
    }

    /// Refuses what the model has no head for.
    ///
    /// # Errors
    /// Says which abilities there are.
    pub fn require(&self, ability: Ability) -> Result<()> {
        let has = self.abilities();
        if has.contains(&ability) {
            return Ok(());
        }
        let names: Vec<&str> = has.iter().map(|a| a.name()).collect();
        Err(Error::Config(format!(
            "this model has no {} head; it has: {}",
            ability.head(),
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        )))
    }
}

/// What reading a model found.
#[derive(Debug)]
pub struct Imported {
    /// What wrote it: `unisono`, `blip`, `open_clip`, `whisper`.
    pub family: String,
    /// The model.
    pub model: FusionModel,
    /// What was taken from the weights for the fusion part.
    pub report: LoadReport,
}

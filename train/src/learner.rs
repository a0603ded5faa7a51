//! What is trained: towers, alone or under a fusion Transformer.

use crate::recipe::Ema;
use crate::{Error, Recipe, Result};
use std::path::Path;
use tch::Device;
use unisono_encoders::{Model, Params, Prompt};
use unisono_eval::protocol::Models;
use unisono_fusion::config::{FusionConfig, LanguageHead, MemoryConfig, StackConfig, Tokens};
use unisono_fusion::{FusionModel, Generation, files};
use unisono_torch_ext::optim;

/// Towers, alone or under a fusion Transformer.
#[derive(Debug)]
pub enum Learner {
    /// Towers.
    Towers(Box<Model>),
    /// A fusion Transformer and the towers below it.
    Fusion(Box<FusionModel>),
}

impl Learner {
    /// `towers` with the fusion part that `recipe` asks for, new. `words`: those that it knows, where it is to write no others.
    ///
    /// # Errors
    /// A fusion part over towers without a text processor, or impossible sizes.
    pub fn new(towers: Model, recipe: &Recipe, words: &[Vec<i64>]) -> Result<Self> {
        let Some(fusion) = &recipe.fusion else { return Ok(Self::Towers(Box::new(towers))) };
        // A prompt is for embeddings.
        let text = towers.processors().text.clone().map(|text| text.with_prompt(Prompt::default()));
        let text = text.ok_or_else(|| Error::setting("fusion", "needs towers with a tokenizer"))?;
        // What a tokenizer puts around nothing is what it puts around everything.
        let around = text.encode("")?;
        let (Some(first), Some(end)) = (around.first().copied(), around.last().copied()) else {
            return Err(Error::setting("fusion", "the tokenizer marks neither beginning nor end"));
        };
        let width = fusion.transformer.width;
        let vocab = text.tokenizer().get_vocab_size(true) as i64;
        let tower = towers.config().text.as_ref().map_or(vocab, |t| t.vocab_size);
        let config = FusionConfig {
            memory: MemoryConfig::Own {
                width,
                modalities: fusion.memory.clone(),
                frames: fusion.frames,
                prefix: fusion.prefix,
            },
            encoder: None,
            decoder: Some(StackConfig {
                head: Some(fusion.head),
                ..StackConfig::new(tower.max(vocab), fusion.context_length, fusion.transformer.clone(), width)
            }),
            matching: recipe.objective.matches(),
            // The end token has seen the whole text, and both kinds of tokenizer have one.
            last_token: true,
            answers: false,
            tokens: Tokens {
                start: first,
                end: vec![end],
                pad: 0,
                first: if around.len() > 1 { Some(first) } else { None },
            },
            generation: Generation {
                max_length: usize::try_from(fusion.context_length).unwrap_or(1),
                beams: fusion.beams.unwrap_or(1),
                end: vec![end],
                ..Generation::default()
            },
            words: words.to_vec(),
            speech: None,
        };
        let model = FusionModel::new(config, towers, Some(text), recipe.seed)?;
        // What the text tower learned of words is a better beginning than chance.
        let words = model.towers().params().get("text.embedding.weight");
        if let (Some(from), Some(to)) = (words, model.params().get("decoder.embedding.weight"))
            && from.tensor.size() == to.tensor.size()
            && fusion.head != LanguageHead::Tied
        {
            tch::no_grad(|| to.tensor.shallow_clone().f_copy_(&from.tensor))?;
        }
        Ok(Self::Fusion(Box::new(model)))
    }

    /// From a model directory.
    ///
    /// # Errors
    /// As the models' own.
    pub fn load(dir: &Path, device: Device) -> Result<Self> {
        Ok(if files::has(dir) {
            Self::Fusion(Box::new(FusionModel::load(dir, device)?))
        } else {
            Self::Towers(Box::new(Model::load(dir, device)?))
        })
    }

    /// Into a model directory.
    ///
    /// # Errors
    /// As the models' own.
    pub fn save(&self, dir: &Path) -> Result<()> {
        match self {
            Self::Towers(model) => Ok(model.save(dir)?),
            Self::Fusion(model) => Ok(model.save(dir)?),
        }
    }

    /// The towers.
    pub fn towers(&self) -> &Model {
        match self {
            Self::Towers(model) => model,
            Self::Fusion(model) => model.towers(),
        }
    }

    /// The fusion part with its towers.
    pub fn fusion(&self) -> Option<&FusionModel> {
        match self {
            Self::Towers(_) => None,
            Self::Fusion(model) => Some(model),
        }
    }

    /// Both, to be measured.
    pub fn models(&self) -> Models<'_> {
        Models { towers: self.towers(), fusion: self.fusion() }
    }

    /// Every parameter; those of the fusion part are named `fusion.…`.
    pub fn params(&self) -> Params {
        match self {
            Self::Towers(model) => Params::joined(&[("", model.params())]),
            Self::Fusion(model) => {
                Params::joined(&[("", model.towers().params()), ("fusion.", model.params())])
            }
        }
    }

    /// Follows `model`: the moving average of its weights, or the weights themselves where `ema` has none.
    ///
    /// # Errors
    /// libtorch's.
    pub fn follow(&self, model: &Self, ema: &Ema, step: u64) -> Result<()> {
        let (shadow, model) = (self.params(), model.params());
        // Early on the average is short, so that it does not remember the random start.
        let decay = ema.decay.min((step + 1) as f64 / (step + 10) as f64).max(0.0);
        for averaged in [true, false] {
            let (mut targets, mut sources) = (Vec::new(), Vec::new());
            for ((name, to), (_, from)) in shadow.iter().zip(model.iter()) {
                // What is frozen was copied when everything was; buffers are no weights and change.
                let moves = step == 0 || !from.trainable || from.tensor.requires_grad();
                if moves && averaged == ema.is_of(name) {
                    targets.push(&to.tensor);
                    sources.push(&from.tensor);
                }
            }
            optim::lerp_(&targets, &sources, if averaged { 1.0 - decay } else { 1.0 })?;
        }
        Ok(())
    }
}

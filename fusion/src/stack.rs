//! The fusion Transformer: blocks over a text that attend to a memory made of other modalities' tokens.

use crate::config::{LanguageHead, StackConfig};
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};
use unisono_nn::config::FinalNorm;
use unisono_nn::{
    Activation, Cache, CrossKv, Init, Linear, Mask, Norm, Pass, Positions, Precision, Scope, Transformer,
};

/// What stands between the last block and the scores.
#[derive(Debug)]
struct Scores {
    transform: Option<(Linear, Activation, Norm)>,
    out: Linear,
}

impl Scores {
    /// By its last layer `out`, or by some rows of that.
    fn of(&self, out: &Linear, hidden: &Tensor) -> Result<Tensor> {
        Ok(match &self.transform {
            Some((dense, activation, norm)) => {
                out.forward(&norm.forward(&dense.forward_activated(hidden, *activation)?)?)?
            }
            None => out.forward(hidden)?,
        })
    }
}

/// The fusion Transformer.
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    embedding: Tensor,
    position: Positions,
    blocks: Transformer,
    norm: Option<Norm>,
    scores: Option<Scores>,
    /// What it was prepared for.
    compute: Kind,
}

impl Stack {
    /// Defines the stack under `scope`.
    ///
    /// # Errors
    /// Impossible sizes, or names that are taken.
    pub fn new(scope: &Scope, config: &StackConfig) -> Result<Self> {
        config.validate("stack")?;
        let t = &config.transformer;
        let (width, vocab) = (t.width, config.vocab_size);
        let std = (width as f64).powf(-0.5);
        let embedding = scope.child("embedding").param("weight", &[vocab, width], Init::Normal(0.02))?;
        let norm = |scope: &Scope, name: &str| Norm::of(&scope.child(name), t, width);
        let head = scope.child("head");
        let bias = |scope: &Scope| scope.param("bias", &[vocab], Init::Const(0.0));
        let scores = match config.head {
            None => None,
            Some(LanguageHead::Tied) => {
                Some(Scores { transform: None, out: Linear::over(embedding.shallow_clone(), None) })
            }
            Some(LanguageHead::Own) => {
                Some(Scores { transform: None, out: Linear::new(&head, width, vocab, false, std)? })
            }
            Some(LanguageHead::Transform) => {
                let dense = Linear::new(&head.child("dense"), width, width, true, std)?;
                Some(Scores {
                    transform: Some((dense, t.activation, norm(&head, "norm")?)),
                    out: Linear::over(embedding.shallow_clone(), Some(bias(&head)?)),
                })
            }
        };
        Ok(Self {
            embedding,
            position: Positions::new(scope, t, config.context_length, 0.02)?,
            blocks: Transformer::decoder(scope, t, config.memory().as_ref())?,
            norm: if t.final_norm == FinalNorm::None { None } else { Some(norm(scope, "norm")?) },
            scores,
            compute: Kind::Float,
            config: config.clone(),
        })
    }

    /// The configuration.
    pub fn config(&self) -> &StackConfig {
        &self.config
    }

    /// Packs the weights for inference: later changes of the parameters are not seen, and no gradient flows.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.blocks.prepare(precision)?;
        self.compute = precision.compute(self.device());
        if let Some(scores) = &mut self.scores {
            if let Some((dense, _, _)) = &mut scores.transform {
                dense.prepare(precision)?;
            }
            scores.out.prepare(precision)?;
        }
        Ok(())
    }

    /// Where the weights lie.
    pub fn device(&self) -> Device {
        self.embedding.device()
    }

    /// A memory `[N, S, M]`, `mask` `[N, S]` bool (true = real; `None`: all), made ready for every block.
    ///
    /// # Errors
    /// Another width, or libtorch's.
    pub fn cross_kv<'a>(
        &self,
        memory: &Tensor,
        mask: Option<&Tensor>,
        pass: impl Into<Pass<'a>>,
    ) -> Result<CrossKv> {
        let (_, _, width) = memory.size3()?;
        if self.config.memory_width != Some(width) {
            return Err(Error::Shape(format!(
                "memory of width {width}, this stack attends to {}",
                self.config.memory_width.map_or("none".into(), |w| w.to_string())
            )));
        }
        Ok(self.blocks.cross_kv(memory, mask, &pass.into().or_in(self.compute))?)
    }

    /// An empty cache for `rows` texts of at most `capacity` tokens.
    ///
    /// # Errors
    /// No room.
    pub fn cache(&self, rows: i64, capacity: i64) -> Result<Cache> {
        Ok(self.blocks.cache(rows, capacity, self.device(), &Pass::EVAL.or_in(self.compute))?)
    }

    /// Token ids `[N·R, T]` int64, R texts about each item of the memory one after another, → what the last block gives, after the
    /// final norm, `[N·R, T, W]`. Without a memory the cross-attentions are skipped. With a cache the ids follow what it holds, and see nothing
    /// that comes after; without one the mask says what they see, where the configuration is not causal anyway.
    ///
    /// # Errors
    /// More tokens than positions, a number of texts that is no multiple of the memory's items, or libtorch's.
    pub fn forward<'a>(
        &self,
        ids: &Tensor,
        mask: &Mask,
        memory: Option<&CrossKv>,
        cache: Option<&mut Cache>,
        pass: impl Into<Pass<'a>>,
    ) -> Result<Tensor> {
        let (_, t) = ids.size2()?;
        let behind = cache.as_ref().map_or(0, |c| c.length());
        if behind + t > self.config.context_length {
            return Err(Error::Shape(format!(
                "text of {} tokens, this stack has {} positions",
                behind + t,
                self.config.context_length
            )));
        }
        let x = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let x = self.position.forward(x, behind)?;
        let x = self.blocks.decode(x, mask, memory, cache, &pass.into().or_in(self.compute))?;
        match &self.norm {
            Some(norm) => Ok(norm.forward(&x)?),
            None => Ok(x),
        }
    }

    /// What [`forward`](Self::forward) gave `[.., W]` → next-token scores `[.., V]`.
    ///
    /// # Errors
    /// A stack without a language head, or libtorch's.
    pub fn scores(&self, hidden: &Tensor) -> Result<Tensor> {
        let scores = self.head()?;
        let out = scores.of(&scores.out, hidden)?;
        debug_assert_eq!(out.kind(), Kind::Float);
        Ok(out)
    }

    /// [`scores`](Self::scores) of some tokens only, whose ids are `columns` `[K]` → `[…, K]`: what is never written costs nothing.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn scores_of(&self, hidden: &Tensor, columns: &Tensor) -> Result<Tensor> {
        let scores = self.head()?;
        scores.of(&scores.out.rows(columns)?, hidden)
    }

    fn head(&self) -> Result<&Scores> {
        self.scores.as_ref().ok_or_else(|| Error::Config("this stack has no language head".into()))
    }
}

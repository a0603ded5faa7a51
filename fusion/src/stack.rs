//! The fusion Transformer: blocks over a text that attend to a memory made of other modalities' tokens.

use crate::attention::{CrossAttention, KeyValues, See, SelfAttention};
use crate::config::{CrossPlace, LanguageHead, StackConfig};
use crate::{Error, Result};
use tch::{Device, Kind, Tensor};
use unisono_encoders::config::{Activation, FinalNorm, NormPlace};
use unisono_encoders::layers::{LayerNorm, Linear, Mlp};
use unisono_encoders::{Init, Mode, Precision, Scope};

/// A memory as the blocks see it: projected once, whatever the number of tokens and of texts that attend to it.
#[derive(Debug)]
pub struct Remembered {
    /// Keys and values of each block that has cross-attention.
    blocks: Vec<[Tensor; 2]>,
    /// `[N, 1, 1, S]` bool.
    mask: Option<Tensor>,
    items: i64,
}

impl Remembered {
    /// Number of items N.
    pub fn items(&self) -> i64 {
        self.items
    }

    /// The items `rows` `[n]` int64 of it.
    ///
    /// # Errors
    /// libtorch's.
    pub fn select(&self, rows: &Tensor) -> Result<Self> {
        let one = |kv: &[Tensor; 2]| -> Result<[Tensor; 2]> {
            Ok([kv[0].f_index_select(0, rows)?, kv[1].f_index_select(0, rows)?])
        };
        Ok(Self {
            blocks: self.blocks.iter().map(one).collect::<Result<_>>()?,
            mask: self.mask.as_ref().map(|m| m.f_index_select(0, rows)).transpose()?,
            items: rows.size()[0],
        })
    }
}

/// The keys and values of the tokens so far, of each block.
#[derive(Debug)]
pub struct Cache {
    blocks: Vec<KeyValues>,
    length: i64,
}

impl Cache {
    /// Number of tokens that it holds.
    pub fn length(&self) -> i64 {
        self.length
    }

    /// Number of texts.
    pub(crate) fn rows(&self) -> i64 {
        self.blocks.first().map_or(0, KeyValues::rows)
    }

    /// Row i becomes what row `rows[i]` was (`[n]` int64).
    ///
    /// # Errors
    /// libtorch's.
    pub fn reorder(&mut self, rows: &Tensor) -> Result<()> {
        let length = self.length;
        self.blocks.iter_mut().try_for_each(|b| b.reorder(rows, length))
    }
}

#[derive(Debug)]
struct Cross {
    norm: LayerNorm,
    attention: CrossAttention,
    /// With a norm over the memory and a feed-forward part of its own.
    own: Option<(LayerNorm, LayerNorm, Mlp)>,
}

#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attention: SelfAttention,
    cross: Option<Cross>,
    norm2: LayerNorm,
    mlp: Mlp,
    place: NormPlace,
    dropout: f64,
}

impl Block {
    fn new(scope: &Scope, c: &StackConfig, index: i64) -> Result<Self> {
        let t = &c.transformer;
        // Residual branches start small so that a deep stack starts near the identity (GPT-2's rule); a block here has three.
        let out_std = (t.width as f64).powf(-0.5) * (3.0 * t.depth as f64).powf(-0.5);
        let norm = |scope: &Scope, name: &str, width| LayerNorm::new(&scope.child(name), width, t.norm_eps);
        let cross = match c.memory_width {
            Some(memory) if index >= c.unimodal => {
                let scope = scope.child("cross");
                let own = match c.cross {
                    CrossPlace::Inside => None,
                    CrossPlace::After => Some((
                        norm(&scope, "memory_norm", memory)?,
                        norm(&scope, "norm2", t.width)?,
                        Mlp::new(&scope.child("mlp"), t, out_std)?,
                    )),
                };
                Some(Cross {
                    norm: norm(&scope, "norm", t.width)?,
                    attention: CrossAttention::new(&scope, t.width, memory, t.heads, out_std)?,
                    own,
                })
            }
            _ => None,
        };
        Ok(Self {
            norm1: norm(scope, "norm1", t.width)?,
            attention: SelfAttention::new(&scope.child("attention"), t.width, t.heads, out_std)?,
            cross,
            norm2: norm(scope, "norm2", t.width)?,
            mlp: Mlp::new(&scope.child("mlp"), t, out_std)?,
            place: t.norm,
            dropout: t.dropout,
        })
    }

    fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.attention.prepare(precision)?;
        if let Some(cross) = &mut self.cross {
            cross.attention.prepare(precision)?;
            if let Some((_, _, mlp)) = &mut cross.own {
                mlp.prepare(precision)?;
            }
        }
        Ok(self.mlp.prepare(precision)?)
    }

    fn remember(&self, memory: &Tensor) -> Result<Option<[Tensor; 2]>> {
        let Some(cross) = &self.cross else { return Ok(None) };
        match &cross.own {
            Some((norm, _, _)) => cross.attention.remember(&norm.forward(memory)?).map(Some),
            None => cross.attention.remember(memory).map(Some),
        }
    }

    /// `x` and a branch over it, joined as the configuration says.
    fn join(
        &self,
        x: Tensor,
        norm: &LayerNorm,
        mode: Mode,
        branch: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut y = match self.place {
            NormPlace::Pre => branch(&norm.forward(&x)?)?,
            NormPlace::Post => branch(&x)?,
        };
        if mode == Mode::Train && self.dropout > 0.0 {
            y = y.f_dropout(self.dropout, true)?;
        }
        // The branch is nobody else's: the sum takes its memory.
        let y = y.f_add_(&x)?;
        Ok(match self.place {
            NormPlace::Pre => y,
            NormPlace::Post => norm.forward(&y)?,
        })
    }

    fn forward(
        &self,
        x: Tensor,
        see: &See,
        memory: Option<(&[Tensor; 2], Option<&Tensor>)>,
        cache: Option<(&mut KeyValues, i64)>,
        mode: Mode,
    ) -> Result<Tensor> {
        let mlp = |m: &Mlp, x: &Tensor| Ok(m.forward(x)?);
        let mut x = self.join(x, &self.norm1, mode, |x| self.attention.forward(x, see, cache))?;
        let cross = self.cross.as_ref().zip(memory);
        if let Some((cross, (kv, mask))) = cross
            && cross.own.is_none()
        {
            x = self.join(x, &cross.norm, mode, |x| cross.attention.forward(x, kv, mask))?;
        }
        x = self.join(x, &self.norm2, mode, |x| mlp(&self.mlp, x))?;
        if let Some((cross, (kv, mask))) = cross
            && let Some((_, norm2, own)) = &cross.own
        {
            x = self.join(x, &cross.norm, mode, |x| cross.attention.forward(x, kv, mask))?;
            x = self.join(x, norm2, mode, |x| mlp(own, x))?;
        }
        Ok(x)
    }
}

/// What stands between the last block and the scores.
#[derive(Debug)]
struct Scores {
    transform: Option<(Linear, Activation, LayerNorm)>,
    out: Linear,
}

/// The fusion Transformer.
#[derive(Debug)]
pub struct Stack {
    config: StackConfig,
    embedding: Tensor,
    position: Tensor,
    input_norm: Option<LayerNorm>,
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
    scores: Option<Scores>,
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
        let norm = |scope: &Scope, name: &str| LayerNorm::new(&scope.child(name), width, t.norm_eps);
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
            position: scope.child("position").param(
                "weight",
                &[config.context_length, width],
                Init::Normal(0.02),
            )?,
            input_norm: if t.input_norm { Some(norm(scope, "input_norm")?) } else { None },
            blocks: (0..t.depth)
                .map(|i| Block::new(&scope.child(format!("blocks.{i}")), config, i))
                .collect::<Result<_>>()?,
            norm: if t.final_norm == FinalNorm::None { None } else { Some(norm(scope, "norm")?) },
            scores,
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
        self.blocks.iter_mut().try_for_each(|b| b.prepare(precision))?;
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
    pub fn remember(&self, memory: &Tensor, mask: Option<&Tensor>) -> Result<Remembered> {
        let (items, _, width) = memory.size3()?;
        if self.config.memory_width != Some(width) {
            return Err(Error::Shape(format!(
                "memory of width {width}, this stack attends to {}",
                self.config.memory_width.map_or("none".into(), |w| w.to_string())
            )));
        }
        let blocks = self.blocks.iter().filter_map(|b| b.remember(memory).transpose());
        Ok(Remembered {
            blocks: blocks.collect::<Result<_>>()?,
            mask: mask.map(|m| m.f_unsqueeze(1).and_then(|m| m.f_unsqueeze(1))).transpose()?,
            items,
        })
    }

    /// An empty cache for `rows` texts of at most `capacity` tokens.
    ///
    /// # Errors
    /// No room.
    pub fn cache(&self, rows: i64, capacity: i64) -> Result<Cache> {
        let t = &self.config.transformer;
        let shape = [rows, t.heads, capacity, t.width / t.heads];
        let blocks = self.blocks.iter().map(|_| KeyValues::new(shape, self.device()));
        Ok(Cache { blocks: blocks.collect::<Result<_>>()?, length: 0 })
    }

    /// Token ids `[N·R, T]` int64, R texts about each item of the memory one after another, → what the last block gives, after the
    /// final norm, `[N·R, T, W]`. Without a memory the cross-attentions are skipped. With a cache the ids follow what it holds.
    ///
    /// # Errors
    /// More tokens than positions, a number of texts that is no multiple of the memory's items, or libtorch's.
    pub fn forward(
        &self,
        ids: &Tensor,
        see: &See,
        memory: Option<&Remembered>,
        cache: Option<&mut Cache>,
        mode: Mode,
    ) -> Result<Tensor> {
        let (b, t) = ids.size2()?;
        let behind = cache.as_ref().map_or(0, |c| c.length);
        if behind + t > self.config.context_length {
            return Err(Error::Shape(format!(
                "text of {} tokens, this stack has {} positions",
                behind + t,
                self.config.context_length
            )));
        }
        if let Some(memory) = memory
            && (memory.items == 0 || b % memory.items != 0)
        {
            return Err(Error::Shape(format!("{b} texts about a memory of {} items", memory.items)));
        }
        let x = Tensor::f_embedding(&self.embedding, ids, -1, false, false)?;
        let mut x = x.f_add(&self.position.f_narrow(0, behind, t)?)?;
        if let Some(norm) = &self.input_norm {
            x = norm.forward(&x)?;
        }
        let mut remembered = memory.map(|m| (m.blocks.iter(), m.mask.as_ref()));
        let mut caches = cache.map(|c| {
            c.length += t;
            c.blocks.iter_mut()
        });
        for block in &self.blocks {
            let memory = match (&block.cross, &mut remembered) {
                (Some(_), Some((blocks, mask))) => blocks.next().map(|kv| (kv, *mask)),
                _ => None,
            };
            let cache = caches.as_mut().and_then(Iterator::next).map(|kv| (kv, behind));
            x = block.forward(x, see, memory, cache, mode)?;
        }
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
        let Some(scores) = &self.scores else {
            return Err(Error::Config("this stack has no language head".into()));
        };
        let out = match &scores.transform {
            Some((dense, activation, norm)) => {
                scores.out.forward(&norm.forward(&dense.forward_activated(hidden, *activation)?)?)?
            }
            None => scores.out.forward(hidden)?,
        };
        debug_assert_eq!(out.kind(), Kind::Float);
        Ok(out)
    }
}

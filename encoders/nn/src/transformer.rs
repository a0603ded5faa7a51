//! A stack of blocks.

use crate::block::{Block, Given};
use crate::config::{CrossConfig, TransformerConfig};
use crate::relative::Relative;
use crate::{Cache, Checkpoint, CrossKv, Error, Mask, Norm, Pass, Precision, Result, Rotary, Scope};
use tch::{Device, Tensor};

/// A norm on what comes in, where there is one, and the blocks. The final norm is its user's.
#[derive(Debug)]
pub struct Transformer {
    /// The place of its parameters, for traces.
    name: String,
    input_norm: Option<Norm>,
    blocks: Vec<Checkpoint<Block>>,
    causal: bool,
    relative: Option<Relative>,
    rotary: Option<Rotary>,
}

impl Transformer {
    /// A stack of `config.depth` blocks.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, config: &TransformerConfig) -> Result<Self> {
        Self::build(scope, config, |scope, i| Block::new(&scope, config, i))
    }

    /// A stack of blocks over a text, each with a residual branch more: attention to a memory, where `cross` says so.
    ///
    /// # Errors
    /// The names are taken.
    pub fn decoder(scope: &Scope, config: &TransformerConfig, cross: Option<&CrossConfig>) -> Result<Self> {
        Self::build(scope, config, |scope, i| Block::with_memory(&scope, config, i, cross))
    }

    fn build(
        scope: &Scope,
        config: &TransformerConfig,
        block: impl Fn(Scope, i64) -> Result<Block>,
    ) -> Result<Self> {
        Ok(Self {
            name: scope.name().to_owned(),
            input_norm: match config.input_norm {
                true => Some(Norm::of(&scope.child("input_norm"), config, config.width)?),
                false => None,
            },
            blocks: (0..config.depth)
                .map(|i| scope.child(format!("blocks.{i}")))
                .zip(0..)
                .map(|(scope, i)| Checkpoint::new(&scope, |scope| block(scope.clone(), i)))
                .collect::<Result<_>>()?,
            causal: config.causal,
            relative: Relative::new(scope, config)?,
            rotary: config.rotary.as_ref().map(|c| Rotary::new(c, config.width / config.heads)),
        })
    }

    /// Packs the blocks' weights for inference.
    ///
    /// # Errors
    /// A precision that the device does not have.
    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.blocks.iter().try_for_each(|block| block.layer().prepare(precision))
    }

    /// What tokens `[B, t, W]` attend to. `keys` `[B, t]` bool is true where a token is real; each row needs one real token.
    ///
    /// # Errors
    /// libtorch's.
    pub fn mask(&self, t: i64, keys: Option<&Tensor>) -> Result<Mask> {
        let mut mask = match keys {
            Some(keys) => Mask::keys(keys)?,
            None => Mask::None,
        };
        if self.causal {
            mask = mask.and_causal(t)?;
        }
        let Some(relative) = &self.relative else { return Ok(mask) };
        let bias = relative.bias(t)?;
        match mask {
            Mask::None => Ok(Mask::Pairs(bias)),
            Mask::Causal => Mask::Pairs(bias).and_causal(t),
            Mask::Pairs(seen) => {
                Ok(Mask::Pairs(bias.f_masked_fill(&seen.f_logical_not()?, f64::NEG_INFINITY)?))
            }
        }
    }

    /// `[B, T, W]` → `[B, T, W]`, without the final norm.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward(&self, x: Tensor, mask: &Mask, pass: &Pass) -> Result<Tensor> {
        self.run(x, mask, 1, None, None, pass)
    }

    /// [`forward`](Self::forward) over the frames of clips, `frames` of each one after another: blocks with messages let a clip's frames
    /// hear each other.
    ///
    /// # Errors
    /// libtorch's.
    pub fn forward_clips(&self, x: Tensor, mask: &Mask, frames: i64, pass: &Pass) -> Result<Tensor> {
        self.run(x, mask, frames, None, None, pass)
    }

    /// [`forward`](Self::forward) over texts `[N·R, T, W]`, R about each item of `memory` one after another; without one the
    /// cross-attentions are skipped. With a cache the tokens follow what it holds. Causal blocks are so whatever the mask.
    ///
    /// # Errors
    /// A number of texts that is no multiple of the memory's items, or libtorch's.
    pub fn decode(
        &self,
        x: Tensor,
        mask: &Mask,
        memory: Option<&CrossKv>,
        cache: Option<&mut Cache>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let (b, t, _) = x.size3()?;
        if let Some(memory) = memory
            && (memory.items == 0 || b % memory.items != 0)
        {
            return Err(Error::Input(format!("{b} texts about a memory of {} items", memory.items)));
        }
        match self.causal {
            true => self.run(x, &mask.and_causal(t)?, 1, memory, cache, pass),
            false => self.run(x, mask, 1, memory, cache, pass),
        }
    }

    fn run(
        &self,
        x: Tensor,
        mask: &Mask,
        frames: i64,
        memory: Option<&CrossKv>,
        mut cache: Option<&mut Cache>,
        pass: &Pass,
    ) -> Result<Tensor> {
        let (behind, t) = (cache.as_ref().map_or(0, |c| c.length()), x.size3()?.1);
        let rotation = self.rotary.as_ref().map(|r| r.places(behind, t, x.device())).transpose()?;
        let mut x = match &self.input_norm {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        let mut remembered = memory.map(|m| m.blocks.iter());
        for (i, block) in self.blocks.iter().enumerate() {
            let memory = match (block.layer().has_cross(), &mut remembered) {
                (true, Some(blocks)) => blocks.next().zip(memory).map(|(kv, m)| (kv, m.mask.as_ref())),
                _ => None,
            };
            let cache = cache.as_mut().and_then(|c| c.blocks.get_mut(i));
            let given = Given { mask, rotation: rotation.as_ref(), frames, memory, cache };
            x = match pass.checkpoint && given.cache.is_none() {
                true => again::forward(block, &x, given, pass)?,
                false => block.layer().forward(x, given, pass)?,
            };
            if let Some(trace) = pass.trace {
                trace(&format!("{}.blocks.{i}", self.name), &x)?;
            }
        }
        Ok(x)
    }

    /// A memory `[N, S, M]`, `mask` `[N, S]` bool (true = real; `None`: all), made ready for every block.
    ///
    /// # Errors
    /// Another width, or libtorch's.
    pub fn cross_kv(&self, memory: &Tensor, mask: Option<&Tensor>, pass: &Pass) -> Result<CrossKv> {
        let blocks = self.blocks.iter().filter_map(|b| b.layer().cross_kv(memory, pass).transpose());
        Ok(CrossKv {
            blocks: blocks.collect::<Result<_>>()?,
            mask: mask.map(|m| m.f_unsqueeze(1).and_then(|m| m.f_unsqueeze(1))).transpose()?,
            items: memory.size3()?.0,
        })
    }

    /// An empty cache for `rows` texts of at most `capacity` tokens, for passes that compute as this one.
    ///
    /// # Errors
    /// No room.
    pub fn cache(&self, rows: i64, capacity: i64, device: Device, pass: &Pass) -> Result<Cache> {
        let blocks = self.blocks.iter().map(|b| b.layer().attention().cache(rows, capacity, device, pass));
        Ok(Cache { blocks: blocks.collect::<Result<_>>()? })
    }
}

impl TransformerConfig {
    /// Floating-point operations of one sample of `t` tokens through these blocks, forward: two a multiply-add. Norms and activations are
    /// left out: a lower bound.
    pub fn flops(&self, t: i64) -> f64 {
        let (w, h, t) = (self.width as f64, self.hidden() as f64, t as f64);
        let kv = self.kv_heads.unwrap_or(self.heads) as f64 / self.heads as f64;
        let feed_forward = if self.gated { 3.0 } else { 2.0 };
        let linear = 2.0 * t * ((2.0 + 2.0 * kv) * w * w + feed_forward * w * h);
        self.depth as f64 * (linear + 4.0 * t * t * w)
    }
}

mod again;
#[cfg(test)]
mod tests;

//! What towers over a stem's grid share: a layer after the stem, learned tokens before the others, positions, blocks and a head.

use crate::Result;
use crate::config::{Pooling, TransformerConfig};
use crate::pool::Head;
use crate::towers::output::TowerOutput;
use tch::Tensor;
use unisono_nn::{Init, Linear, Pass, Positions, Precision, Scope, Transformer};

/// Everything behind the stem.
#[derive(Debug)]
pub(super) struct Trunk {
    embed: Option<Linear>,
    prefix: Option<Tensor>,
    pub(super) position: Positions,
    pub(super) transformer: Transformer,
    pub(super) head: Head,
}

impl Trunk {
    /// Under `scope`, with `places` for tokens that are not among the `learned` ones; `embed` is what comes between the stem and them.
    ///
    /// # Errors
    /// The names are taken.
    pub(super) fn new(
        scope: &Scope,
        c: &TransformerConfig,
        places: i64,
        learned: i64,
        pooling: &Pooling,
        embed: Option<Linear>,
    ) -> Result<Self> {
        Ok(Self {
            embed,
            prefix: match learned {
                0 => None,
                n => Some(scope.param("prefix", &[n, c.width], Init::Normal(0.02))?),
            },
            position: Positions::new(scope, c, places, 0.02)?,
            transformer: Transformer::new(scope, c)?,
            head: Head::new(scope, c, pooling, learned, false)?,
        })
    }

    /// Packs the weights for inference.
    pub(super) fn prepare(&mut self, precision: Precision) -> Result<()> {
        if let Some(embed) = &mut self.embed {
            embed.prepare_beside(precision)?;
        }
        self.head.prepare(precision)?;
        Ok(self.transformer.prepare(precision)?)
    }

    /// The stem's features `[B, T, C]` → `[B, T, W]`.
    pub(super) fn embed(&self, x: Tensor) -> Result<Tensor> {
        match &self.embed {
            Some(embed) => Ok(embed.forward(&x)?),
            None => Ok(x),
        }
    }

    /// Tokens `[B, T, W]` that have their positions and are all real, of clips of `frames` samples each.
    pub(super) fn whole(&self, x: Tensor, frames: i64, pass: &Pass) -> Result<TowerOutput> {
        let (b, _, width) = x.size3()?;
        let x = match &self.prefix {
            Some(prefix) => Tensor::f_cat(&[prefix.f_unsqueeze(0)?.f_expand([b, -1, width], false)?, x], 1)?,
            None => x,
        };
        let mask = self.transformer.mask(x.size()[1], None)?;
        let x = self.transformer.forward_clips(x, &mask, frames, pass)?;
        let (tokens, pooled) = self.head.forward(x, None, None)?;
        Ok(TowerOutput { tokens, mask: None, pooled, written: None })
    }
}

//! Cross-frame messages (X-CLIP, Ni et al. 2022).

use crate::config::TransformerConfig;
use crate::{Attention, AttentionConfig, LayerNorm, Linear, Mask, Pass, Precision, Result, Scope};
use tch::Tensor;

/// What each frame's class token has to say, after the frames of a clip have heard each other, is one more token that its patches attend
/// to.
#[derive(Debug)]
pub(crate) struct Messages {
    fc: Linear,
    norm: LayerNorm,
    attention: Attention,
}

impl Messages {
    pub fn new(scope: &Scope, c: &TransformerConfig) -> Result<Self> {
        let std = (c.width as f64).powf(-0.5);
        Ok(Self {
            fc: Linear::new(&scope.child("fc"), c.width, c.width, true, std)?,
            norm: LayerNorm::new(&scope.child("norm"), c.width, c.norm_eps)?,
            attention: Attention::new(&scope.child("attention"), &AttentionConfig::new(c.width, c.heads))?,
        })
    }

    pub fn prepare(&mut self, precision: Precision) -> Result<()> {
        self.fc.prepare(precision)?;
        self.attention.prepare(precision)
    }

    /// Clips of `frames` frames, one after another: `[B·F, T, W]` → `[B·F, 1, W]`.
    pub fn forward(&self, x: &Tensor, frames: i64, pass: &Pass) -> Result<Tensor> {
        let (rows, _, width) = x.size3()?;
        let message = self.fc.forward(&x.f_select(1, 0)?)?.f_reshape([rows / frames, frames, width])?;
        let normed = self.norm.forward(&message)?;
        let heard = self.attention.forward(&normed, &Mask::None, None, None, pass)?;
        Ok(message.f_add(&heard)?.f_reshape([rows, 1, width])?)
    }
}

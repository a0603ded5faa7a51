//! Video-specific prompts (X-CLIP, Ni et al. 2022): a text looks at the video that it is compared with, and its vector moves.

use crate::Result;
use crate::clips::Clips;
use crate::config::{PromptConfig, TransformerConfig};
use tch::Tensor;
use unisono_nn::{Attention, AttentionConfig, Init, LayerNorm, Linear, Mlp, Pass, Scope};

/// Cross-attention from texts to what is seen, then the feed-forward part, each a residual branch.
#[derive(Debug)]
struct Block {
    norm1: LayerNorm,
    attention: Attention,
    norm2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn new(scope: &Scope, c: &PromptConfig, dim: i64) -> Result<Self> {
        let std = (dim as f64).powf(-0.5);
        let norm = |name: &str| LayerNorm::new(&scope.child(name), dim, c.norm_eps);
        let blocks =
            TransformerConfig { activation: c.activation, ..TransformerConfig::new(dim, c.depth, c.heads) };
        Ok(Self {
            norm1: norm("norm1")?,
            attention: Attention::apart(scope, &AttentionConfig::new(dim, c.heads))?,
            norm2: norm("norm2")?,
            mlp: Mlp::new(&scope.child("mlp"), &blocks, std)?,
        })
    }

    /// `x` `[B, K, D]`, `seen` `[B, N, D]`.
    fn forward(&self, x: &Tensor, seen: &Tensor) -> Result<Tensor> {
        let pass = &Pass::EVAL;
        let kv = self.attention.cross_kv(seen, pass)?;
        let x = self.attention.forward_cross(&self.norm1.forward(x)?, &kv, None, pass)?.f_add(x)?;
        Ok(self.mlp.forward(&self.norm2.forward(&x)?, pass)?.f_add(&x)?)
    }
}

/// What lets texts look at a video.
#[derive(Debug)]
pub(crate) struct Prompts {
    token_norm: LayerNorm,
    projection: Linear,
    norm: LayerNorm,
    blocks: Vec<Block>,
    alpha: Tensor,
}

impl Prompts {
    /// For patches of this width and a shared space of this dimension.
    pub(crate) fn new(scope: &Scope, c: &PromptConfig, width: i64, dim: i64) -> Result<Self> {
        let std = (width as f64).powf(-0.5);
        Ok(Self {
            token_norm: LayerNorm::new(&scope.child("token_norm"), width, c.visual_norm_eps)?,
            projection: Linear::new(&scope.child("projection"), width, dim, false, std)?,
            norm: LayerNorm::new(&scope.child("norm"), dim, c.visual_norm_eps)?,
            blocks: (0..c.depth)
                .map(|i| Block::new(&scope.child(format!("blocks.{i}")), c, dim))
                .collect::<Result<_>>()?,
            alpha: scope.param("alpha", &[dim], Init::Const(0.1))?,
        })
    }

    /// Patches of all frames `[N, P, W]` → the mean patches of each clip in the shared space `[n, P, D]`.
    pub(crate) fn clip_patches(&self, patches: &Tensor, clips: &Clips) -> Result<Tensor> {
        let x = self.projection.forward(&self.token_norm.forward(patches)?)?;
        let (_, p, d) = x.size3()?;
        let (n, _) = clips.sizes();
        Ok(clips.mean(&clips.rows(&x.f_flatten(1, 2)?)?)?.f_view([n, p, d])?)
    }

    /// Projected texts `[K, D]`, not of length 1, and what is seen of n clips `[n, P, D]` → the texts as each clip changes them
    /// `[n, K, D]`.
    pub(crate) fn forward(&self, texts: &Tensor, seen: &Tensor) -> Result<Tensor> {
        let (n, (k, d)) = (seen.size()[0], texts.size2()?);
        let texts = texts.f_unsqueeze(0)?.f_expand([n, k, d], false)?;
        let seen = self.norm.forward(seen)?;
        let mut x = texts.shallow_clone();
        for block in &self.blocks {
            x = block.forward(&x, &seen)?;
        }
        Ok(texts.f_add(&x.f_mul(&self.alpha)?)?)
    }
}

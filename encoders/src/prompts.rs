//! Video-specific prompts (X-CLIP, Ni et al. 2022): a text looks at the video that it is compared with, and its vector moves.

use crate::clips::Clips;
use crate::config::{Activation, ModelConfig, TransformerConfig, within};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use tch::Tensor;
use unisono_nn::{Attention, AttentionConfig, Init, LayerNorm, Linear, Mlp, Scope};

/// The part that lets texts look at a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptConfig {
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads; divides `embed_dim`.
    pub heads: i64,
    /// Between the two feed-forward layers, the first of which is four times as wide as the shared space.
    #[serde(default)]
    pub activation: Activation,
    /// Added to the variance in the blocks' layer norms.
    pub norm_eps: f64,
    /// Added to the variance in the layer norms over what is seen.
    pub visual_norm_eps: f64,
}

impl PromptConfig {
    pub(crate) fn validate(&self, model: &ModelConfig) -> Result<()> {
        within("video.prompts.depth", self.depth, 1024)?;
        within("video.prompts.heads", self.heads, 1 << 12)?;
        if model.embed_dim % self.heads != 0 {
            return Err(Error::config(
                "video.prompts.heads",
                format!("{} does not divide embed_dim {}", self.heads, model.embed_dim),
            ));
        }
        for (key, eps) in [("norm_eps", self.norm_eps), ("visual_norm_eps", self.visual_norm_eps)] {
            if !(eps > 0.0 && eps < 1.0) {
                return Err(Error::config(
                    format!("video.prompts.{key}"),
                    format!("expected 0 to 1, found {eps}"),
                ));
            }
        }
        Ok(())
    }
}

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
        let kv = self.attention.cross_kv(seen)?;
        let x = self.attention.forward_cross(&self.norm1.forward(x)?, &kv, None)?.f_add(x)?;
        Ok(self.mlp.forward(&self.norm2.forward(&x)?)?.f_add(&x)?)
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
    pub(crate) fn see(&self, patches: &Tensor, clips: &Clips) -> Result<Tensor> {
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

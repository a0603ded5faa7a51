//! How blocks are configured: what the published families differ in.

mod adapter;
mod checks;

pub(crate) use adapter::Adapters;
pub use adapter::{Adaptable, AdapterConfig, AdapterKind};
pub use checks::{probability, within};
use serde::{Deserialize, Serialize};

/// A stack of Transformer blocks. What the published families differ in is configuration; the defaults are this project's own
/// choice: pre-norm, exact GELU, bidirectional, a final norm over the tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Width W of the residual stream.
    pub width: i64,
    /// Number of blocks.
    pub depth: i64,
    /// Attention heads; divides `width`.
    pub heads: i64,
    /// Heads of keys and values, each shared by as many heads of queries (Ainslie et al. 2023); absent: as many as `heads`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<i64>,
    /// Queries and keys are normed, each head by itself (Dehghani et al. 2023).
    #[serde(default, skip_serializing_if = "is_default")]
    pub qk_norm: bool,
    /// The linear layers of attention and feed-forward part have biases.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub bias: bool,
    /// Hidden width of the feed-forward part, in units of `width`.
    #[serde(default = "four")]
    pub mlp_ratio: f64,
    /// Dropout on each residual branch, while training.
    #[serde(default)]
    pub dropout: f64,
    /// Stochastic depth (Huang et al. 2016): the probability that the last block's branches are skipped for a sample,
    /// rising linearly from 0 at the first block.
    #[serde(default)]
    pub drop_path: f64,
    /// Between the two feed-forward layers.
    #[serde(default, skip_serializing_if = "is_default")]
    pub activation: Activation,
    /// The first feed-forward layer gives two halves, and the second takes `activation(first half) · second half`
    /// (Shazeer 2020; SwiGLU with `silu`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub gated: bool,
    /// Where the norms of a block stand.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm: NormPlace,
    /// What the norms are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub norm_kind: NormKind,
    /// Added to the variance in every norm.
    #[serde(default = "eps", skip_serializing_if = "is_eps")]
    pub norm_eps: f64,
    /// A layer norm before the first block (CLIP's images, BERT's embeddings).
    #[serde(default, skip_serializing_if = "is_default")]
    pub input_norm: bool,
    /// What the last layer norm is applied to.
    #[serde(default, skip_serializing_if = "is_default")]
    pub final_norm: FinalNorm,
    /// Each residual branch is multiplied by a learned vector that starts at this value (Touvron et al. 2021).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f64>,
    /// A token sees itself and those before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub causal: bool,
    /// A learned bias on attention scores by the distance of the two tokens (Raffel et al. 2020), one table for all blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relative: Option<RelativeConfig>,
    /// Queries and keys are turned by their places (Su et al. 2021); nothing is learned of places then, unless it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotary: Option<RotaryConfig>,
    /// In each block the frames of a clip exchange messages (X-CLIP, Ni et al. 2022). Image towers with a prefix token only; an image is
    /// a clip of one frame.
    #[serde(default, skip_serializing_if = "is_default")]
    pub messages: bool,
}

/// Buckets of distances for relative attention biases: half of them for each direction, in each the near half one distance a
/// bucket, the rest on a logarithmic scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelativeConfig {
    /// Number of buckets, both directions together; even.
    pub buckets: i64,
    /// From here on all distances share the last bucket.
    pub max_distance: i64,
}

/// Rotary positions: angles that grow with the place, each pair of features at a speed of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotaryConfig {
    /// The slowest pair turns about so many times more slowly than the first.
    #[serde(default = "ten_thousand")]
    pub base: f64,
    /// Share of a head's features that are turned, the first ones.
    #[serde(default = "whole")]
    pub share: f64,
    /// Tokens have learned position embeddings besides.
    #[serde(default, skip_serializing_if = "is_default")]
    pub learned: bool,
}

impl Default for RotaryConfig {
    fn default() -> Self {
        Self { base: ten_thousand(), share: whole(), learned: false }
    }
}

fn ten_thousand() -> f64 {
    10_000.0
}

fn whole() -> f64 {
    1.0
}

/// What a norm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormKind {
    /// Layer normalisation (Ba et al. 2016).
    #[default]
    Layer,
    /// Root-mean-square normalisation (Zhang & Sennrich 2019).
    Rms,
}

/// A memory that blocks attend to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrossConfig {
    /// Width of its tokens.
    pub width: i64,
    /// Where the cross-attention stands.
    pub place: CrossPlace,
    /// The first block that has one.
    pub first: i64,
}

/// Where a block's cross-attention stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CrossPlace {
    /// Between self-attention and the feed-forward part (Vaswani et al. 2017; BLIP, Whisper).
    #[default]
    Inside,
    /// After the feed-forward part, with a norm over the memory and a feed-forward part of its own (CoCa, Yu et al. 2022).
    After,
}

/// Where the norms of a block stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NormPlace {
    /// `x + f(norm(x))`.
    #[default]
    Pre,
    /// `norm(x + f(x))`.
    Post,
}

/// What the last norm is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinalNorm {
    /// Every token, before pooling.
    #[default]
    Tokens,
    /// The pooled vector; the tokens are given as the last block leaves them.
    Pooled,
    /// There is none.
    None,
}

fn four() -> f64 {
    4.0
}

fn eps() -> f64 {
    1e-5
}

fn is_eps(v: &f64) -> bool {
    *v == eps()
}

fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
}

fn yes() -> bool {
    true
}

/// A pointwise non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6) (Howard et al. 2017): mobile nets.
    Relu6,
    /// x Φ(x), exact.
    #[default]
    Gelu,
    /// The approximation of GELU by a hyperbolic tangent (Hendrycks & Gimpel 2016).
    GeluTanh,
    /// x σ(1.702 x), the approximation that OpenAI's CLIP was trained with.
    QuickGelu,
    /// x σ(x).
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

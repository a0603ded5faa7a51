//! How texts look at a video before they are compared with it.

use serde::{Deserialize, Serialize};
use unisono_nn::Activation;

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

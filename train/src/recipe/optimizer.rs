//! What a recipe says of its steps: the optimizer, exceptions from it, and when the state is saved.

use serde::{Deserialize, Serialize};

/// AdamW with linear warm-up and cosine decay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// Decay of the two moments.
    #[serde(default = "betas")]
    pub betas: [f64; 2],
    /// Added to the denominator.
    #[serde(default = "eps")]
    pub eps: f64,
    /// Decoupled weight decay of matrices; vectors, embeddings and positions have none unless a rule says so.
    #[serde(default)]
    pub weight_decay: f64,
    /// Steps of linear warm-up.
    #[serde(default)]
    pub warmup: u64,
    /// Learning rate at the end, as a share of the peak.
    #[serde(default)]
    pub final_lr: f64,
    /// Largest norm of the whole gradient; 0: no bound.
    #[serde(default = "one")]
    pub clip: f64,
    /// Decay of the moving average of the weights that is evaluated and saved; 0: the weights themselves.
    #[serde(default)]
    pub ema: f64,
}

fn one() -> f64 {
    1.0
}
fn betas() -> [f64; 2] {
    [0.9, 0.98]
}
fn eps() -> f64 {
    1e-8
}

/// An exception for the parameters whose names match.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// A name with `*` for any run of characters: `image.stem.*`.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Factor on the learning rate.
    #[serde(default = "one")]
    pub lr_scale: f64,
    /// Another weight decay.
    #[serde(default)]
    pub weight_decay: Option<f64>,
    /// Not optimised.
    #[serde(default)]
    pub freeze: bool,
}

/// Saving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Every so many steps, and at the end; 0: at the end only.
    pub every: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 500 }
    }
}

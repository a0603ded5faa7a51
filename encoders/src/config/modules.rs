//! What follows a text's pooling: the modules of sentence-transformers.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use unisono_nn::config::within;

/// A step from vector to vector.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ModuleConfig {
    /// A linear layer and an activation.
    Dense {
        /// Width of what comes out.
        width: i64,
        /// With a bias.
        #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
        bias: bool,
        /// After the linear layer.
        #[serde(default)]
        activation: DenseActivation,
        /// What comes in is added to what comes out; through a linear layer of its own where the widths differ.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        residual: bool,
    },
    /// Layer normalisation.
    LayerNorm {
        /// Added to the variance.
        eps: f64,
    },
    /// Length 1.
    Normalize,
}

/// Between a dense module and the next one, by the names of PyTorch's classes, with their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DenseActivation {
    /// Nothing.
    Identity,
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// max(x, 0).
    Relu,
    /// max(x, 0), at most 6.
    Relu6,
    /// x, below zero a hundredth of it.
    LeakyRelu,
    /// x, below zero exp(x) − 1.
    Elu,
    /// ELU with the two factors of Klambauer et al. 2017.
    Selu,
    /// x Φ(x), exact.
    Gelu,
    /// x σ(x).
    Silu,
    /// x tanh(softplus(x)).
    Mish,
    /// σ(x).
    Sigmoid,
    /// log(1 + exp(x)).
    Softplus,
    /// x / (1 + |x|).
    Softsign,
    /// x between −1 and 1.
    Hardtanh,
}

impl DenseActivation {
    /// All of them, by the names of PyTorch's classes.
    pub const NAMES: [(&'static str, Self); 14] = [
        ("Identity", Self::Identity),
        ("Tanh", Self::Tanh),
        ("ReLU", Self::Relu),
        ("ReLU6", Self::Relu6),
        ("LeakyReLU", Self::LeakyRelu),
        ("ELU", Self::Elu),
        ("SELU", Self::Selu),
        ("GELU", Self::Gelu),
        ("SiLU", Self::Silu),
        ("Mish", Self::Mish),
        ("Sigmoid", Self::Sigmoid),
        ("Softplus", Self::Softplus),
        ("Softsign", Self::Softsign),
        ("Hardtanh", Self::Hardtanh),
    ];
}

fn yes() -> bool {
    true
}

impl ModuleConfig {
    /// Width of what comes out of what is `width` wide.
    pub fn out_width(&self, width: i64) -> i64 {
        match self {
            Self::Dense { width, .. } => *width,
            Self::LayerNorm { .. } | Self::Normalize => width,
        }
    }

    /// Refuses what cannot be built; `at`: the key of this table.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub(super) fn validate(&self, at: &str) -> Result<()> {
        match self {
            Self::Dense { width, .. } => Ok(within(&format!("{at}.width"), *width, 1 << 16)?),
            Self::LayerNorm { eps } if !(1e-30..=1.0).contains(eps) => {
                Err(Error::config(format!("{at}.eps"), format!("expected 1e-30 to 1, found {eps}")))
            }
            Self::LayerNorm { .. } | Self::Normalize => Ok(()),
        }
    }
}

//! What a recipe says of adapters: `[adapter]`.

use serde::{Deserialize, Serialize};
use unisono_encoders::config::{AdapterConfig, AdapterKind};

/// Low-rank adapters on towers of checkpoints, whose own weights stay what they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterRecipe {
    /// `lora` (Hu et al. 2021) or `dora` (Liu et al. 2024).
    #[serde(default)]
    pub kind: AdapterKind,
    /// Width of what lies between an adapter's two matrices.
    #[serde(default = "eight")]
    pub rank: i64,
    /// Their product is multiplied by `alpha / rank`.
    #[serde(default = "sixteen")]
    pub alpha: f64,
    /// It is multiplied by `alpha / √rank` instead (rsLoRA, Kalajdzievski 2023).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rslora: bool,
    /// Probability that a number of what an adapter sees is dropped.
    #[serde(default)]
    pub dropout: f64,
    /// Which linear layers: names with `*` for any run of characters. Each block has `attention.q`, `.k`, `.v`, `.out` and `mlp.fc1`, `.fc2`.
    #[serde(rename = "match", default = "all")]
    pub layers: Vec<String>,
}

fn eight() -> i64 {
    8
}

fn sixteen() -> f64 {
    16.0
}

fn all() -> Vec<String> {
    ["*.attention.*", "*.mlp.*"].map(str::to_owned).into()
}

impl AdapterRecipe {
    /// As a model keeps it.
    pub(crate) fn config(&self) -> AdapterConfig {
        let Self { kind, rank, alpha, rslora, dropout, layers } = self.clone();
        let (towers, base, names) = Default::default();
        AdapterConfig { kind, rank, alpha, rslora, dropout, layers, towers, base, names }
    }
}

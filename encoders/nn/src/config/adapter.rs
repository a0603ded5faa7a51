//! What is said of adapters, and which layers can have one.

use super::{probability, within};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A kind of adapter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// The product of two narrow matrices is added to the weight (LoRA, Hu et al. 2021).
    #[default]
    Lora,
    /// Besides, the length of each of the weight's rows is learned by itself (DoRA, Liu et al. 2024).
    Dora,
}

/// Low-rank adapters on some of a model's linear layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    /// `lora` or `dora`.
    #[serde(default)]
    pub kind: AdapterKind,
    /// Width of what lies between the two matrices.
    pub rank: i64,
    /// Their product is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// It is multiplied by `alpha / √rank` instead (Kalajdzievski 2023).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rslora: bool,
    /// Probability that a number of what the adapter sees is dropped while training.
    #[serde(default)]
    pub dropout: f64,
    /// Which layers: names with `*` for any run of characters, as `text.blocks.*.attention.q`.
    #[serde(rename = "match")]
    pub layers: Vec<String>,
    /// Of these towers alone; empty: of all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub towers: Vec<String>,
    /// The model that they were put on: a folder or a hub id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What the layers are called in the library that wrote the model, `{l}` for a block's number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
}

impl AdapterConfig {
    /// The factor on the product.
    pub fn scale(&self) -> f64 {
        let rank = self.rank.max(1) as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Checks every value; `at`: the key of this table.
    ///
    /// # Errors
    /// The first impossible value, with its key.
    pub fn validate(&self, at: &str) -> Result<()> {
        within(&format!("{at}.rank"), self.rank, 1 << 12)?;
        probability(&format!("{at}.dropout"), self.dropout)?;
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            let message = format!("expected a positive number, found {}", self.alpha);
            return Err(Error::config(format!("{at}.alpha"), message));
        }
        if self.layers.is_empty() {
            let message = "expected names of layers, as \"*.attention.*\", found none";
            return Err(Error::config(format!("{at}.match"), message));
        }
        Ok(())
    }
}

/// A linear layer that can have an adapter, or a part of one that is several side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adaptable {
    /// Its name, `text.blocks.3.attention.q`.
    pub layer: String,
    /// The weight that it is of, `text.blocks.3.attention.qkv.weight`.
    pub weight: String,
    /// The first of its rows there.
    pub first: i64,
    /// How many rows it has.
    pub rows: i64,
    /// Whether it has an adapter.
    pub adapted: bool,
}

/// What is known of adapters while a model is built.
#[derive(Debug, Default)]
pub(crate) struct Adapters {
    pub config: Option<AdapterConfig>,
    pub layers: Vec<Adaptable>,
}

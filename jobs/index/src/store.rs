//! How an index looks for what is near: in which form it reads vectors, whether it walks a graph, and how much of what it finds is compared exactly.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use unisono_processors::Modality;

/// The form in which vectors are read by a search. The vectors themselves are kept besides, and the best of what is found is compared by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Store {
    /// As they are: four bytes a number.
    #[default]
    F32,
    /// bfloat16: two bytes a number.
    Bf16,
    /// A byte a number, by a scale for each vector.
    I8,
    /// A bit a number: its sign.
    B1,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16, Self::I8, Self::B1];

    /// `f32`, `bf16`, `i8`, `b1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::I8 => "i8",
            Self::B1 => "b1",
        }
    }

    /// Bytes that a search reads of each vector `[D]`.
    pub fn bytes(self, dim: usize) -> usize {
        match self {
            Self::F32 => dim.saturating_mul(4),
            Self::Bf16 => dim.saturating_mul(2),
            // Whole registers, and the scale.
            Self::I8 => dim.div_ceil(64).saturating_mul(64).saturating_add(4),
            Self::B1 => dim.div_ceil(64).saturating_mul(8),
        }
    }

    /// How many of the nearest in this form are compared exactly for `k` hits, unless a search says otherwise: what is rounded more takes more.
    pub(crate) fn candidates(self, k: usize) -> usize {
        match self {
            Self::F32 => k,
            Self::Bf16 => k.saturating_mul(2).saturating_add(16),
            Self::I8 => k.saturating_mul(4).saturating_add(32),
            Self::B1 => k.saturating_mul(32).saturating_add(256),
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Store {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|store| store.name() == text);
        named.ok_or_else(|| "expected f32, bf16, i8 or b1".to_owned())
    }
}

/// When vectors of a modality are linked into a graph, so that a search looks at few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Linked {
    /// Where a segment has [so many](GRAPH_ROWS) of a modality.
    #[default]
    Auto,
    /// Wherever there are several.
    Always,
    /// Nowhere: every vector is compared.
    Never,
}

/// Rows of one modality from which on a graph is worth its making.
pub const GRAPH_ROWS: usize = 200_000;

impl Linked {
    /// From how many rows on there is a graph.
    pub(crate) fn from(self) -> usize {
        match self {
            Self::Auto => GRAPH_ROWS,
            Self::Always => 2,
            Self::Never => usize::MAX,
        }
    }

    /// `auto`, `always`, `never`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl FromStr for Linked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Self::Auto, Self::Always, Self::Never].into_iter().find(|linked| linked.name() == text);
        named.ok_or_else(|| "expected auto, always or never".to_owned())
    }
}

/// How an index looks for what is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// In which form it reads vectors.
    #[serde(default)]
    pub store: Store,
    /// Whether it walks a graph.
    #[serde(default)]
    pub graph: Linked,
    /// How many of the nearest in that form, or in the graph, are compared exactly; absent: what form and graph need as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
}

impl Method {
    /// The one that compares every vector exactly, unless they are many.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// What one search asks beside its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Effort {
    /// In place of [`Method::candidates`].
    pub candidates: Option<usize>,
    /// Every vector is compared exactly, whatever the index's method.
    pub exact: bool,
}

/// What a method finds of the ten nearest, from one modality to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recalled {
    /// Modality of the queries.
    pub from: Modality,
    /// Modality of the items.
    pub to: Modality,
    /// Queries that were tried.
    pub queries: usize,
    /// Which share of the ten nearest it finds, as good ones counted too.
    pub share: f64,
}

impl Recalled {
    /// Below this a method leaves out too much.
    pub const ENOUGH: f64 = 0.98;
}

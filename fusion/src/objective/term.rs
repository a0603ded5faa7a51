//! A term of an objective: one thing to learn.

use super::{Caption, Contrastive, Match, Pair, Sigmoid};
use serde::{Deserialize, Serialize};

/// One thing to learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Term {
    /// InfoNCE over pairs of modalities.
    Contrastive(Contrastive),
    /// The sigmoid loss over pairs of modalities.
    Sigmoid(Sigmoid),
    /// Captions, token by token.
    Caption(Caption),
    /// Matching against hard negatives.
    Match(Match),
}

impl Term {
    /// As recipes name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Contrastive(_) => "contrastive",
            Self::Sigmoid(_) => "sigmoid",
            Self::Caption(_) => "caption",
            Self::Match(_) => "match",
        }
    }

    /// The factor on its loss.
    pub const fn weight(&self) -> f64 {
        match self {
            Self::Contrastive(t) => t.weight,
            Self::Sigmoid(t) => t.weight,
            Self::Caption(t) => t.weight,
            Self::Match(t) => t.weight,
        }
    }

    /// Whether it is of tokens that a fusion part attends to.
    pub const fn fuses(&self) -> bool {
        matches!(self, Self::Caption(_) | Self::Match(_))
    }

    pub(super) fn label_smoothing(&self) -> f64 {
        match self {
            Self::Contrastive(t) => t.label_smoothing,
            Self::Caption(t) => t.label_smoothing,
            Self::Sigmoid(_) | Self::Match(_) => 0.0,
        }
    }

    /// The pairs that it names.
    pub(super) fn named(&self) -> &[Pair] {
        match self {
            Self::Contrastive(t) => &t.pairs,
            Self::Sigmoid(t) => &t.pairs,
            Self::Caption(_) | Self::Match(_) => &[],
        }
    }

    /// The pairs that it is of: those that it names, or all.
    pub(super) fn pairs(&self) -> &[Pair] {
        match self.named() {
            _ if self.fuses() => &[],
            [] => &Pair::ALL,
            named => named,
        }
    }

    /// The name of its loss in logs: of an aligned pair, or its kind.
    pub(super) fn name(&self, pair: Option<Pair>) -> String {
        match (self, pair) {
            (Self::Contrastive(_), Some(pair)) => pair.to_string(),
            (_, Some(pair)) => format!("{pair}_{}", self.kind()),
            (_, None) => self.kind().to_owned(),
        }
    }
}

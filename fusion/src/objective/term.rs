//! A term of an objective: one thing to learn.

use super::{Caption, Contrastive, Distill, Match, Pair, Sigmoid, Structure};
use serde::{Deserialize, Serialize};
use unisono_encoders::Modality;

/// One thing to learn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Term {
    /// InfoNCE over pairs of modalities.
    Contrastive(Contrastive),
    /// The sigmoid loss over pairs of modalities.
    Sigmoid(Sigmoid),
    /// What a teacher says of pairs of modalities, and of each.
    Distill(Distill),
    /// The structure of frozen features.
    Structure(Structure),
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
            Self::Distill(_) => "distill",
            Self::Structure(_) => "structure",
            Self::Caption(_) => "caption",
            Self::Match(_) => "match",
        }
    }

    /// The factor on its loss.
    pub const fn weight(&self) -> f64 {
        match self {
            Self::Contrastive(t) => t.weight,
            Self::Sigmoid(t) => t.weight,
            Self::Distill(t) => t.weight,
            Self::Structure(t) => t.weight,
            Self::Caption(t) => t.weight,
            Self::Match(t) => t.weight,
        }
    }

    /// Whether it is of tokens that a fusion part attends to.
    pub const fn fuses(&self) -> bool {
        matches!(self, Self::Caption(_) | Self::Match(_))
    }

    /// Mined negatives of each record that join its batch.
    pub const fn negatives(&self) -> usize {
        match self {
            Self::Contrastive(t) if t.weight > 0.0 => t.negatives,
            _ => 0,
        }
    }

    /// Whether items are told from those of their own source only.
    pub(super) const fn by_source(&self) -> bool {
        match self {
            Self::Contrastive(t) => t.by_source,
            Self::Sigmoid(t) => t.by_source,
            Self::Distill(_) | Self::Structure(_) | Self::Caption(_) | Self::Match(_) => false,
        }
    }

    pub(super) fn label_smoothing(&self) -> f64 {
        match self {
            Self::Contrastive(t) => t.label_smoothing,
            Self::Caption(t) => t.label_smoothing,
            Self::Sigmoid(_) | Self::Distill(_) | Self::Structure(_) | Self::Match(_) => 0.0,
        }
    }

    /// Widths of beginnings of the vectors that it is of besides, each with its weight.
    pub(super) fn widths(&self) -> Vec<(i64, f64)> {
        let (dims, weights) = match self {
            Self::Contrastive(t) => (&t.dims, &t.dim_weights),
            Self::Sigmoid(t) => (&t.dims, &t.dim_weights),
            _ => return Vec::new(),
        };
        let weight = |i: usize| weights.get(i).copied().unwrap_or(1.0);
        dims.iter().enumerate().map(|(i, dim)| (*dim, weight(i))).collect()
    }

    /// The pairs that it names.
    pub(super) fn named(&self) -> &[Pair] {
        match self {
            Self::Contrastive(t) => &t.pairs,
            Self::Sigmoid(t) => &t.pairs,
            Self::Distill(t) => &t.pairs,
            Self::Structure(_) | Self::Caption(_) | Self::Match(_) => &[],
        }
    }

    /// The pairs that it is of: those that it names, or all.
    pub(super) fn pairs(&self) -> &[Pair] {
        match self.named() {
            _ if self.fuses() || matches!(self, Self::Structure(_)) => &[],
            [] => &Pair::ALL,
            named => named,
        }
    }

    /// The names of all losses that it may have.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for pair in self.pairs() {
            names.push(self.name(Some(*pair)));
            names.extend(self.widths().iter().map(|(width, _)| self.width_name(*pair, *width)));
        }
        match self {
            Self::Structure(t) => names.extend(t.of().iter().map(|m| self.of_modality(*m))),
            Self::Caption(_) | Self::Match(_) => names.push(self.name(None)),
            Self::Distill(t) if t.features > 0.0 => {
                names.extend(Modality::ALL.into_iter().filter(|m| t.names(*m)).map(|m| self.of_modality(m)));
            }
            Self::Contrastive(_) | Self::Sigmoid(_) | Self::Distill(_) => {}
        }
        names
    }

    /// The name of its loss in logs: of an aligned pair, or its kind.
    pub(super) fn name(&self, pair: Option<Pair>) -> String {
        match (self, pair) {
            (Self::Contrastive(_), Some(pair)) => pair.to_string(),
            (_, Some(pair)) => format!("{pair}_{}", self.kind()),
            (_, None) => self.kind().to_owned(),
        }
    }

    /// The name of its loss over the beginnings of vectors.
    pub(super) fn width_name(&self, pair: Pair, width: i64) -> String {
        format!("{}_{width}", self.name(Some(pair)))
    }

    /// The name of its loss over a single modality.
    pub(super) fn of_modality(&self, modality: Modality) -> String {
        format!("{modality}_{}", self.kind())
    }
}

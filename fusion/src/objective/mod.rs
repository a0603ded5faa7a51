//! What a model learns by: a list of terms, each with a weight, as a recipe's `[[objective]]` states them. A term is a file:
//!
//! | kind | learns | needs |
//! |---|---|---|
//! | [`contrastive`](Contrastive) | each item finds its own among the batch | two towers |
//! | [`sigmoid`](Sigmoid) | each pair of items belongs together or does not | two towers, a bias |
//! | [`caption`](Caption) | the next token of a text about what is seen or heard | a stack that writes |
//! | [`match`](Match) | true pairs told from hard negatives | a matching head |

mod caption;
mod contrastive;
mod fused;
mod items;
mod matching;
mod negatives;
mod pair;
mod sigmoid;

pub use caption::{Caption, caption_loss};
pub use contrastive::Contrastive;
pub use fused::TowerTokens;
pub use items::{Items, View};
pub use matching::{Match, MatchPairs, match_loss};
pub use negatives::hard_negatives;
pub use pair::Pair;
pub use sigmoid::Sigmoid;

use crate::{Error, FusionModel, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tch::Tensor;
use unisono_encoders::{Modality, Model};

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

fn one() -> f64 {
    1.0
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

    fn label_smoothing(&self) -> f64 {
        match self {
            Self::Contrastive(t) => t.label_smoothing,
            Self::Caption(t) => t.label_smoothing,
            Self::Sigmoid(_) | Self::Match(_) => 0.0,
        }
    }

    /// The pairs that it names.
    fn named(&self) -> &[Pair] {
        match self {
            Self::Contrastive(t) => &t.pairs,
            Self::Sigmoid(t) => &t.pairs,
            Self::Caption(_) | Self::Match(_) => &[],
        }
    }

    /// The pairs that it is of: those that it names, or all.
    fn pairs(&self) -> &[Pair] {
        match self.named() {
            _ if self.fuses() => &[],
            [] => &Pair::ALL,
            named => named,
        }
    }

    /// The name of its loss in logs: of an aligned pair, or its kind.
    fn name(&self, pair: Option<Pair>) -> String {
        match (self, pair) {
            (Self::Contrastive(_), Some(pair)) => pair.to_string(),
            (_, Some(pair)) => format!("{pair}_{}", self.kind()),
            (_, None) => self.kind().to_owned(),
        }
    }
}

/// What is learned: terms, whose losses are added, each with its weight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objective {
    /// The terms.
    pub terms: Vec<Term>,
}

/// What an objective sees of a batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Which items are no negatives of each other.
    pub items: &'a Items,
    /// Unit vectors by modality.
    pub views: &'a BTreeMap<Modality, View>,
    /// Tokens of the modalities that a fusion part attends to.
    pub tokens: &'a BTreeMap<Modality, TowerTokens>,
    /// The token ids of each item's text, where it has one.
    pub texts: Vec<Option<&'a [i64]>>,
    /// Texts go through a fusion part in this many parts of like length.
    pub buckets: usize,
    /// What random draws are a function of.
    pub seed: u64,
    /// The step, likewise.
    pub step: u64,
}

/// One loss of a batch.
#[derive(Debug)]
pub struct Part {
    /// Its name in logs: `text_image`, `caption`.
    pub name: String,
    /// A scalar, in nats, its weight not in it.
    pub loss: Tensor,
    /// The factor with which it is added.
    pub weight: f64,
}

/// The losses of a batch.
#[derive(Debug)]
pub struct Losses {
    /// Their weighted sum, a scalar; `None` where no term found anything to learn from.
    pub total: Option<Tensor>,
    /// Each by itself, in the order in which they were added.
    pub parts: Vec<Part>,
}

impl Objective {
    /// The terms that count.
    pub fn active(&self) -> impl Iterator<Item = &Term> {
        self.terms.iter().filter(|t| t.weight() > 0.0)
    }

    /// Whether a fusion part learns by it.
    pub fn fuses(&self) -> bool {
        self.active().any(Term::fuses)
    }

    /// Whether it tells true pairs from others.
    pub fn matches(&self) -> bool {
        self.active().any(|t| matches!(t, Term::Match(_)))
    }

    /// Refuses what no model could learn by.
    ///
    /// # Errors
    /// No term, a weight or a share out of range, a loss that is asked for twice.
    pub fn validate(&self) -> Result<()> {
        if self.active().next().is_none() {
            return refuse(
                "objective",
                "nothing to learn: give at least one [[objective]] with a weight above 0",
            );
        }
        let mut names = BTreeSet::new();
        for (i, term) in self.terms.iter().enumerate() {
            let at = |field: &str| format!("objective.{i}.{field}");
            let (weight, smoothing) = (term.weight(), term.label_smoothing());
            if !(weight.is_finite() && weight >= 0.0) {
                return refuse(&at("weight"), &format!("expected 0 or more, found {weight}"));
            }
            if !(0.0..1.0).contains(&smoothing) {
                return refuse(&at("label_smoothing"), &format!("expected 0 to below 1, found {smoothing}"));
            }
            let of_pairs = term.pairs().iter().map(|p| term.name(Some(*p)));
            for name in of_pairs.chain(term.fuses().then(|| term.name(None))) {
                if !names.insert(name.clone()) {
                    return refuse(
                        &format!("objective.{i}"),
                        &format!("{name} is learned by an earlier term of kind {:?} already", term.kind()),
                    );
                }
            }
        }
        Ok(())
    }

    /// Refuses what this model cannot learn by: a pair that is named, but has no tower or no bias.
    ///
    /// # Errors
    /// The term and what it lacks.
    pub fn check(&self, towers: &Model) -> Result<()> {
        let has = |term: &Term, pair: &Pair| {
            let (a, b) = pair.modalities();
            let table = ![a, b].contains(&Modality::Video) || towers.config().video.is_some();
            let bias = !matches!(term, Term::Sigmoid(_)) || towers.logit_bias(a, b).is_some();
            table && bias && towers.logit_scale(a, b).is_some()
        };
        for (i, term) in self.terms.iter().enumerate().filter(|(_, t)| t.weight() > 0.0 && !t.fuses()) {
            let there: Vec<Pair> = Pair::ALL.into_iter().filter(|pair| has(term, pair)).collect();
            let lacking = match (there.is_empty(), term.named().iter().find(|pair| !has(term, pair))) {
                (_, Some(pair)) => pair.to_string(),
                (true, None) => "all pairs".into(),
                (false, None) => continue,
            };
            let mut there = there.iter().map(Pair::to_string).collect::<Vec<_>>().join(", ");
            if there.is_empty() {
                there = "none".into();
            }
            let hint = match term {
                Term::Sigmoid(_) if !towers.config().logit_bias => {
                    "; a sigmoid needs model.logit_bias = true"
                }
                _ if lacking.contains("video") => "; videos are a pair's side with a [model.video] table",
                _ => "",
            };
            return refuse(
                &format!("objective.{i}.pairs"),
                &format!("{lacking}, and the pairs of this model are: {there}{hint}"),
            );
        }
        Ok(())
    }

    /// The losses of a batch: of aligned pairs in the order of terms and pairs, then of the fusion part.
    ///
    /// # Errors
    /// Rows beyond the batch, vectors of another count than rows, no item with a text and something to fuse it with, or libtorch's.
    pub fn losses(&self, towers: &Model, fusion: Option<&FusionModel>, batch: &Batch) -> Result<Losses> {
        items::check(batch.views, batch.items)?;
        let mut parts = Vec::new();
        for term in self.active() {
            for pair in term.pairs() {
                let (a, b) = pair.modalities();
                let (Some(x), Some(y), Some(scale)) =
                    (batch.views.get(&a), batch.views.get(&b), towers.logit_scale(a, b))
                else {
                    continue;
                };
                let loss = match (term, towers.logit_bias(a, b)) {
                    (Term::Contrastive(t), _) => t.loss(x, y, batch.items, scale)?,
                    (Term::Sigmoid(t), Some(bias)) => t.loss(x, y, batch.items, scale, bias)?,
                    _ => None,
                };
                let part = |loss| Part { name: term.name(Some(*pair)), loss, weight: term.weight() };
                parts.extend(loss.map(part));
            }
        }
        if let (Some(fusion), true) = (fusion, self.fuses()) {
            parts.extend(fused::losses(self, fusion, batch)?);
        }
        let mut total: Option<Tensor> = None;
        for part in &parts {
            let weighted = part.loss.f_mul_scalar(part.weight)?;
            total = Some(match total {
                Some(sum) => sum.f_add(&weighted)?,
                None => weighted,
            });
        }
        Ok(Losses { total, parts })
    }
}

fn refuse<T>(field: &str, message: &str) -> Result<T> {
    Err(Error::Config(format!("{field}: {message}")))
}

#[cfg(test)]
mod tests;

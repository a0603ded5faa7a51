//! An objective: the weighted sum of the losses of its terms.

use super::items::check;
use super::refuse::refuse;
use super::{Batch, Losses, Pair, Part, Term, fused};
use crate::{FusionModel, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tch::Tensor;
use unisono_encoders::{Modality, Model};

/// What is learned: terms, whose losses are added, each with its weight.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Objective {
    /// The terms.
    pub terms: Vec<Term>,
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
        check(batch.views, batch.items)?;
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
        let mut flops = 0.0;
        let terms: Vec<&Term> = self.active().filter(|t| t.fuses()).collect();
        if let (Some(fusion), false) = (fusion, terms.is_empty()) {
            let (of, more) = fused::losses(&terms, fusion, batch)?;
            parts.extend(of);
            flops = more;
        }
        let mut total: Option<Tensor> = None;
        for part in &parts {
            let weighted = part.loss.f_mul_scalar(part.weight)?;
            total = Some(match total {
                Some(sum) => sum.f_add(&weighted)?,
                None => weighted,
            });
        }
        Ok(Losses { total, parts, flops })
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

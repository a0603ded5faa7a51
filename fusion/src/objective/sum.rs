//! An objective: the weighted sum of the losses of its terms.

use super::items::{Twice, check, narrowed, twice};
use super::refuse::refuse;
use super::{Batch, Items, Losses, Pair, Part, Term, View, fused, geometry, widths};
use crate::{FusionModel, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tch::Tensor;
use unisono_encoders::{Modality, Model};

/// Steps between measurements of the space, as often as a run's metrics are written.
const MEASURED_EVERY: u64 = 10;

/// What a model has that terms are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Able {
    /// The modalities of its towers, and videos where it has a table for them.
    pub modalities: BTreeSet<Modality>,
    /// Whether it has a bias for each pair ([`Sigmoid`](super::Sigmoid)).
    pub bias: bool,
    /// The width of its space.
    pub width: i64,
}

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

    /// Mined negatives of each record that join its batch.
    pub fn negatives(&self) -> usize {
        self.terms.iter().map(Term::negatives).max().unwrap_or(0)
    }

    /// The modalities of which it wants two views of an item.
    pub fn twice(&self) -> BTreeSet<Modality> {
        self.active().flat_map(Term::pairs).filter_map(|pair| pair.within()).collect()
    }

    /// Whether the structure of frozen features is kept.
    pub fn keeps_structure(&self) -> bool {
        self.active().any(|t| matches!(t, Term::Structure(_)))
    }

    /// Whether a modality's vectors follow a teacher's themselves.
    pub fn follows(&self, modality: Modality) -> bool {
        let of = |t: &Term| matches!(t, Term::Distill(t) if t.features > 0.0 && t.names(modality));
        self.active().any(of)
    }

    /// Whether a teacher is followed.
    pub fn distills(&self) -> bool {
        self.active().any(|t| matches!(t, Term::Distill(_)))
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
        let counts: BTreeSet<usize> = self.terms.iter().map(Term::negatives).filter(|n| *n > 0).collect();
        if counts.len() > 1 {
            let message = format!(
                "the negatives of a batch are those of all terms: expected one number, found {counts:?}"
            );
            return refuse("objective: negatives", &message);
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
            match term {
                Term::Contrastive(t) => {
                    let beta = t.hard_negative_beta;
                    if !(0.0..=10.0).contains(&beta) {
                        return refuse(&at("hard_negative_beta"), &format!("expected 0 to 10, found {beta}"));
                    }
                    widths::check(&at, &t.dims, &t.dim_weights)?;
                    t.check_scale(&at)?;
                }
                Term::Sigmoid(t) => widths::check(&at, &t.dims, &t.dim_weights)?,
                Term::Distill(t) => t.validate(&at)?,
                Term::Structure(t) => t.validate(&at)?,
                Term::Caption(_) | Term::Match(_) => {}
            }
            let within = term.named().iter().find(|pair| pair.within().is_some());
            if let Some(pair) = within.filter(|_| !matches!(term, Term::Contrastive(_))) {
                let found = term.kind();
                let message = format!("{pair} is learned by a term of kind contrastive, found {found}");
                return refuse(&at("pairs"), &message);
            }
            for name in term.names() {
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
        let config = towers.config();
        self.check_able(&Able {
            modalities: towers.modalities().into_iter().collect(),
            bias: config.logit_bias,
            width: config.embed_dim,
        })
    }

    /// The same of a model that is not there yet.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_able(&self, able: &Able) -> Result<()> {
        let has = |term: &Term, pair: &Pair| {
            let (a, b) = pair.modalities();
            let kind = match pair.within() {
                Some(_) => matches!(term, Term::Contrastive(_)),
                None => !matches!(term, Term::Sigmoid(_)) || able.bias,
            };
            kind && [a, b].iter().all(|m| able.modalities.contains(m))
        };
        let width = able.width;
        for (i, term) in self.terms.iter().enumerate().filter(|(_, t)| t.weight() > 0.0) {
            if let Some((wide, _)) = term.widths().last().filter(|(dim, _)| *dim >= width) {
                let message = format!("expected widths below embed_dim, which is {width}, found {wide}");
                return refuse(&format!("objective.{i}.dims"), &message);
            }
            if term.pairs().is_empty() {
                continue;
            }
            let all = Pair::ALL.into_iter().chain(Pair::WITHIN);
            let there: Vec<Pair> = all.filter(|pair| has(term, pair)).collect();
            let any = term.pairs().iter().any(|pair| has(term, pair));
            let lacking = match (any, term.named().iter().find(|pair| !has(term, pair))) {
                (_, Some(pair)) => pair.to_string(),
                (false, None) => "all pairs".into(),
                (true, None) => continue,
            };
            let mut there = there.iter().map(Pair::to_string).collect::<Vec<_>>().join(", ");
            if there.is_empty() {
                there = "none".into();
            }
            let hint = match term {
                Term::Sigmoid(_) if !able.bias => "; a sigmoid needs model.logit_bias = true",
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
                parts.extend(aligned(term, *pair, towers, batch)?);
            }
            parts.extend(single(term, batch)?);
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
        let measures = if batch.step.wrapping_add(1).is_multiple_of(MEASURED_EVERY) {
            self.geometry(towers, batch)?
        } else {
            Vec::new()
        };
        Ok(Losses { total, parts, measures, flops })
    }

    /// Alignment of the pairs of aligned terms, and uniformity of their modalities.
    fn geometry(&self, towers: &Model, batch: &Batch) -> Result<Vec<(String, f64)>> {
        let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
        let pairs: BTreeSet<Pair> = self.active().flat_map(Term::pairs).copied().collect();
        for pair in pairs {
            let (a, b) = pair.modalities();
            if let (Some(modality), Some(view)) = (pair.within(), batch.views.get(&a)) {
                if let Some(Twice { vectors: [x, y], .. }) = twice(view, batch.items)? {
                    let rows: Vec<usize> = (0..x.size2()?.0).map(|row| row as usize).collect();
                    let [x, y] = [x, y].map(|vectors| View { vectors, rows: rows.clone() });
                    found.extend(geometry::alignment(&x, &y)?.map(|v| (format!("alignment/{pair}"), v)));
                }
                if seen.insert(modality) {
                    let value = geometry::uniformity(view)?;
                    found.extend(value.map(|value| (format!("uniformity/{modality}"), value)));
                }
                continue;
            }
            let (Some(x), Some(y), Some(_)) =
                (batch.views.get(&a), batch.views.get(&b), towers.logit_scale(a, b))
            else {
                continue;
            };
            found.extend(geometry::alignment(x, y)?.map(|value| (format!("alignment/{pair}"), value)));
            for (modality, view) in [(a, x), (b, y)] {
                if seen.insert(modality) {
                    let value = geometry::uniformity(view)?;
                    found.extend(value.map(|value| (format!("uniformity/{modality}"), value)));
                }
            }
        }
        Ok(found)
    }
}

/// The losses of a term over a pair of modalities: of the whole vectors, and of their beginnings.
fn aligned(term: &Term, pair: Pair, towers: &Model, batch: &Batch) -> Result<Vec<Part>> {
    let (a, b) = pair.modalities();
    if pair.within().is_some() {
        let (Some(view), Term::Contrastive(t)) = (batch.views.get(&a), term) else { return Ok(Vec::new()) };
        let part = |name, loss, weight| Part { name, loss, weight: term.weight() * weight };
        let loss = |view: &View| match t.by_source {
            true => apart(view, view, batch.items, &|view, _| t.within(view, batch.items)),
            false => t.within(view, batch.items),
        };
        let mut parts = Vec::new();
        parts.extend(loss(view)?.map(|loss| part(term.name(Some(pair)), loss, 1.0)));
        for (width, weight) in term.widths() {
            let found = loss(&widths::beginning(view, width)?)?;
            parts.extend(found.map(|loss| part(term.width_name(pair, width), loss, weight)));
        }
        return Ok(parts);
    }
    let (Some(x), Some(y), Some(scale)) =
        (batch.views.get(&a), batch.views.get(&b), towers.logit_scale(a, b))
    else {
        return Ok(Vec::new());
    };
    let whole = |x: &View, y: &View| match (term, towers.logit_bias(a, b)) {
        (Term::Contrastive(t), _) => t.loss(x, y, batch.items, scale),
        (Term::Sigmoid(t), Some(bias)) => t.loss(x, y, batch.items, scale, bias),
        (Term::Distill(t), _) if t.similarity > 0.0 => t.loss(((a, x), (b, y)), batch.items, scale),
        _ => Ok(None),
    };
    let loss = |x: &View, y: &View| match term.by_source() {
        true => apart(x, y, batch.items, &whole),
        false => whole(x, y),
    };
    let share = if let Term::Distill(t) = term { t.similarity } else { 1.0 };
    let mut parts = Vec::new();
    let part = |loss| Part { name: term.name(Some(pair)), loss, weight: term.weight() * share };
    parts.extend(loss(x, y)?.map(part));
    for (width, weight) in term.widths() {
        let found = loss(&widths::beginning(x, width)?, &widths::beginning(y, width)?)?;
        let part = |loss| Part { name: term.width_name(pair, width), loss, weight: term.weight() * weight };
        parts.extend(found.map(part));
    }
    Ok(parts)
}

/// A loss of the items of each source by themselves: the mean over all rows. A source of which fewer than two items are there tells nothing.
fn apart(
    x: &View,
    y: &View,
    items: &Items,
    whole: &dyn Fn(&View, &View) -> Result<Option<Tensor>>,
) -> Result<Option<Tensor>> {
    let all: Vec<usize> =
        x.rows.iter().chain(&y.rows).copied().collect::<BTreeSet<_>>().into_iter().collect();
    let (mut sum, mut count): (Option<Tensor>, usize) = (None, 0);
    for of in items.by_source(&all).into_values() {
        let (x, y) = (narrowed(x, &of)?, narrowed(y, &of)?);
        let Some(loss) = whole(&x, &y)? else { continue };
        let rows = x.rows.iter().filter(|row| y.rows.binary_search(row).is_ok()).count();
        let part = loss.f_mul_scalar(rows as f64)?;
        count += rows;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&part)?,
            None => part,
        });
    }
    Ok(sum.map(|sum| sum.f_div_scalar(count as f64)).transpose()?)
}

/// The losses of a term over single modalities.
fn single(term: &Term, batch: &Batch) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut part = |modality, loss: Option<Tensor>, share: f64| {
        let part = |loss| Part { name: term.of_modality(modality), loss, weight: term.weight() * share };
        parts.extend(loss.map(part));
    };
    match term {
        Term::Distill(t) => {
            for (modality, view) in t.modalities(batch.views, &batch.items.teachers) {
                let bridge = batch.bridges.and_then(|bridges| bridges.get(&modality));
                part(modality, t.distance((modality, view), batch.items, bridge)?, t.features);
            }
        }
        Term::Structure(t) => {
            if batch.items.features.is_empty() {
                return refuse(
                    "objective: structure",
                    "keeps the structure of frozen towers' features, and none are kept: give a [tower] with frozen = true and a new projection, and leave loader.keep_features on",
                );
            }
            for (modality, view) in t.of().iter().filter_map(|m| Some((*m, batch.views.get(m)?))) {
                part(modality, t.loss(modality, view, batch.items)?, 1.0);
            }
        }
        _ => {}
    }
    Ok(parts)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

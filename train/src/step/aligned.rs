//! The losses that look at the vectors of a whole batch which several processes share: every rank has all vectors, and makes the losses of them.
//!
//! As a rule each makes all of it, which is the same everywhere. With `world.local_loss` each makes the contrastive losses of its own rows against all columns, and
//! the gradients of the vectors are added up: the matrix of similarities is divided by the number of ranks, for a second exchange as large as the first.

use super::everyone::Everyone;
use super::{Step, total};
use crate::Result;
use crate::world::World;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};
use unisono_encoders::Modality;
use unisono_fusion::Objective;
use unisono_fusion::objective::{Batch, Items, Losses, Part, Term, View};
use unisono_torch_ext::autograd;

/// The vectors of all ranks as leaves, and which rows of them are this rank's.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) views: BTreeMap<Modality, View>,
    /// Of this rank's rows in their order.
    places: BTreeMap<Modality, Vec<i64>>,
}

/// What the losses of the vectors come to.
#[derive(Debug, Default)]
pub(super) struct Aligned {
    /// The weighted sum; the same number on every rank. `None`: no term found anything to learn from.
    pub(super) loss: Option<f64>,
    /// Each loss by itself, and how the space looks.
    pub(super) named: Vec<(String, f64)>,
    /// The gradients of this rank's vectors, by modality.
    pub(super) of_views: BTreeMap<Modality, Tensor>,
    /// What this rank adds to the gradients of parameters.
    pub(super) direct: Vec<Option<Tensor>>,
    pub(super) flops: f64,
}

impl Step<'_> {
    /// The losses of `whole`, and their gradients.
    pub(super) fn aligned(
        &self,
        everyone: &Everyone,
        whole: &Whole,
        params: &[&Tensor],
        step: u64,
        world: &World,
    ) -> Result<Aligned> {
        let local = self.recipe.world.local_loss;
        let terms = self.recipe.objective.active().filter(|t| !t.fuses()).cloned();
        let (own, all): (Vec<Term>, Vec<Term>) =
            terms.partition(|term| local && matches!(term, Term::Contrastive(_)));
        let mut made = Aligned { direct: params.iter().map(|_| None).collect(), ..Aligned::default() };
        // Of this rank's rows alone, and of everything, of which each rank counts its part.
        let shares = Items { own: Some(everyone.rows.clone()), ..everyone.items.clone() };
        let mut sum: Option<Tensor> = None;
        for (terms, items, share) in
            [(own, &shares, 1.0), (all, &everyone.items, if local { 1.0 / world.size() as f64 } else { 1.0 })]
        {
            if terms.is_empty() {
                continue;
            }
            let local = items.own.is_some();
            let losses = self.losses_of(&Objective { terms }, items, &whole.views, step)?;
            made.flops += losses.flops;
            let Some(of) = &losses.total else { continue };
            let value = of.double_value(&[]);
            let named = |p: &Part| (p.name.clone(), p.loss.double_value(&[]));
            let mut parts: Vec<(String, f64)> = losses.parts.iter().map(named).collect();
            let mut loss = value;
            if local {
                (loss, parts) = added(&world.gather(&(value, parts))?);
            }
            made.loss = Some(made.loss.unwrap_or(0.0) + loss);
            made.named.extend(parts);
            made.named.extend(losses.measures.iter().cloned());
            let part = of.f_mul_scalar(share)?;
            sum = Some(match sum.take() {
                Some(sum) => sum.f_add(&part)?,
                None => part,
            });
        }
        let Some(sum) = sum else { return Ok(made) };
        let views: Vec<&Tensor> = whole.views.values().map(|view| &view.vectors).collect();
        let inputs: Vec<&Tensor> = views.iter().copied().chain(params.iter().copied()).collect();
        let mut found = autograd::grad(&[&sum], &[None], &inputs, false, false)?;
        let direct = found.split_off(views.len());
        if local {
            found = world.sum(found, &views)?;
            made.direct = direct;
        } else if world.leads() {
            // It is the same on every rank: it counts once.
            made.direct = direct;
        }
        for (modality, gradient) in whole.views.keys().zip(found) {
            let (Some(gradient), Some(places)) = (gradient, whole.places.get(modality)) else { continue };
            let places = Tensor::f_from_slice(places)?.f_to_device(gradient.device())?;
            made.of_views.insert(*modality, gradient.f_index_select(0, &places)?);
        }
        Ok(made)
    }

    /// Refuses a step of which nobody can learn anything.
    pub(super) fn something(&self, aligned: &Aligned, fused: bool, step: u64) -> Result<()> {
        if aligned.loss.is_some() || fused {
            return Ok(());
        }
        let nothing = Losses { total: None, parts: Vec::new(), measures: Vec::new(), flops: 0.0 };
        total(&nothing, step).map(|_| ())
    }

    /// The vectors of all ranks, in the order of the whole batch's rows. `rows`: those of each rank by modality.
    pub(super) fn gathered(
        &self,
        mine: &BTreeMap<Modality, View>,
        rows: &[&BTreeMap<Modality, Vec<usize>>],
        world: &World,
    ) -> Result<Whole> {
        let (towers, mut whole) = (self.model.towers(), Whole::default());
        for modality in Modality::ALL {
            let rows: Vec<&[usize]> =
                rows.iter().map(|rows| rows.get(&modality).map_or(&[][..], Vec::as_slice)).collect();
            let counts: Vec<usize> = rows.iter().map(|rows| rows.len()).collect();
            if counts.iter().sum::<usize>() == 0 {
                continue;
            }
            let own = mine.get(&modality).map(|view| &view.vectors);
            let gathered = world.gather_rows(own, &counts, towers.config().embed_dim)?;
            let flat: Vec<usize> = rows.concat();
            let mut order: Vec<usize> = (0..flat.len()).collect();
            order.sort_by_key(|i| flat.get(*i).copied());
            // Where each of this rank's rows has come to stand; its own rows ascend, too.
            let first = gathered.first(world.rank());
            let mut places = vec![0; counts.get(world.rank()).copied().unwrap_or(0)];
            for (place, from) in order.iter().enumerate() {
                if let Some(slot) = from.checked_sub(first).and_then(|i| places.get_mut(i)) {
                    *slot = place as i64;
                }
            }
            let at: Vec<i64> = order.iter().map(|i| *i as i64).collect();
            let kind = own.map_or(Kind::Float, Tensor::kind);
            let vectors = gathered.rows.f_index_select(0, &Tensor::f_from_slice(&at)?)?;
            let vectors = vectors.f_to_device(towers.device())?.f_to_kind(kind)?;
            let vectors = vectors.f_detach()?.f_set_requires_grad(true)?;
            let rows = order.iter().filter_map(|i| flat.get(*i).copied()).collect();
            whole.views.insert(modality, View { vectors, rows });
            whole.places.insert(modality, places);
        }
        Ok(whole)
    }

    /// The losses of an objective that looks at vectors alone.
    fn losses_of(
        &self,
        objective: &Objective,
        items: &Items,
        views: &BTreeMap<Modality, View>,
        step: u64,
    ) -> Result<Losses> {
        let batch = Batch {
            items,
            views,
            tokens: &BTreeMap::new(),
            bridges: self.bridges,
            texts: items.labels.iter().map(|_| None).collect(),
            pass: self.pass(step, None),
            seed: self.recipe.seed,
            step,
        };
        Ok(objective.losses(self.model.towers(), None, &batch)?)
    }
}

/// The sums of what all ranks have: of the whole, and of each loss by its name, in the order in which they were first told.
pub(super) fn added(all: &[(f64, Vec<(String, f64)>)]) -> (f64, Vec<(String, f64)>) {
    let mut sums: Vec<(String, f64)> = Vec::new();
    for (name, share) in all.iter().flat_map(|(_, parts)| parts) {
        match sums.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => *sum += share,
            None => sums.push((name.clone(), *share)),
        }
    }
    (all.iter().map(|(whole, _)| whole).sum(), sums)
}

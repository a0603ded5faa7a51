//! A batch that several processes share. Each sends its samples through its towers; what comes out goes to all, every rank makes the losses of the whole
//! batch of it, and takes their gradients back through its own towers. So the sum of the ranks' gradients is that of the whole batch, whatever the objective is:
//! what one process makes of it. A fusion part reads its own rank's samples alone: its captions count by their tokens, its hard negatives are of the rank's.

use super::accumulated::none_has_pairs;
use super::aligned::{Whole, added};
use super::everyone::Everyone;
use super::joined::Joined;
use super::{Asked, Gradients, Step, add, finite};
use crate::batch::Forwarded;
use crate::clock::Clock;
use crate::data::Sample;
use crate::recipe::BatchMethod;
use crate::world::World;
use crate::{Result, batch};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use tch::Tensor;
use unisono_encoders::Modality;
use unisono_fusion::Objective;
use unisono_fusion::objective::Losses;
use unisono_torch_ext::autograd;

/// What a rank says of its part of a step.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Told {
    /// The rows of each modality's vectors in the whole batch.
    rows: BTreeMap<Modality, Vec<usize>>,
    /// The losses of its fusion part, its share of each.
    parts: Vec<(String, f64)>,
    /// Their weighted sum.
    loss: f64,
    /// Floating-point operations of its forward pass.
    flops: f64,
}

impl Step<'_> {
    /// The gradients that this rank adds to the whole batch's.
    pub(super) fn shared(
        &self,
        everyone: &Everyone,
        asked: Asked,
        cuts: &[Range<usize>],
        world: &World,
        clock: &mut Clock,
    ) -> Result<Gradients> {
        let Asked { samples, params, at } = asked;
        let step = at.0;
        let (once, statistics) = (self.method == BatchMethod::Whole, self.statistics()?);
        let run = |(i, cut): (usize, &Range<usize>)| self.own_part(everyone, i, cut, step, &[]);
        let parts = || cuts.iter().enumerate().map(run).collect::<Result<Vec<_>>>();
        let parts = if once { parts()? } else { tch::no_grad(parts)? };
        let (joined, mine) = Joined::of(&parts, cuts)?;
        let parts = if once {
            parts
        } else {
            super::cached::restore(&statistics)?;
            Vec::new()
        };
        self.seed(step, world.rank());
        let fused = self.fused(samples, &mine, step, world)?;
        let told = self.told(everyone, &mine, fused.as_ref())?;
        let all = world.gather(&told)?;
        clock.lap("forward");
        let rows: Vec<_> = all.iter().map(|told| &told.rows).collect();
        let looks = self.recipe.objective.active().any(|t| !t.fuses());
        let whole = if looks { self.gathered(&mine.views, &rows, world)? } else { Whole::default() };
        let aligned = self.aligned(everyone, &whole, params, step, world)?;
        let fusions: Vec<_> = all.into_iter().map(|told| (told.loss, told.parts)).collect();
        self.something(&aligned, fusions.iter().any(|(_, parts)| !parts.is_empty()), step)?;
        let (fusion, said) = added(&fusions);
        let loss = aligned.loss.unwrap_or(0.0) + fusion;
        // The same number on every rank: all stop, or none.
        finite(loss, "the loss", at, samples)?;
        clock.lap("forward");
        let leaves = joined.leaves(&mine);
        let (mut of_leaves, mut of) = (leaves.iter().map(|_| None).collect::<Vec<_>>(), aligned.direct);
        for (modality, gradient) in aligned.of_views {
            if let Some(leaf) = joined.view_at(modality).and_then(|at| of_leaves.get_mut(at)) {
                *leaf = Some(gradient);
            }
        }
        let (named, flops) = ([aligned.named, said].concat(), told.flops + aligned.flops);
        if let Some(Fused { total: Some(total), .. }) = &fused {
            let inputs: Vec<&Tensor> = leaves.iter().copied().chain(params.iter().copied()).collect();
            let mut found = autograd::grad(&[total], &[None], &inputs, false, false)?;
            add(&mut of, found.split_off(leaves.len()))?;
            add(&mut of_leaves, found)?;
        }
        drop((fused, whole));
        for (i, cut) in cuts.iter().enumerate() {
            let again = if once { None } else { Some(self.own_part(everyone, i, cut, step, &self.idle)?) };
            let Some(part) = again.as_ref().or(parts.get(i)) else { continue };
            let (outputs, grads) = joined.outputs(i, part, &of_leaves)?;
            if outputs.is_empty() {
                continue;
            }
            let grads: Vec<Option<&Tensor>> = grads.iter().map(Some).collect();
            add(&mut of, autograd::grad(&outputs, &grads, params, false, false)?)?;
        }
        clock.lap("backward");
        Ok(Gradients { loss, parts: named, of, flops })
    }

    /// Micro-batch `i` of this rank's samples through the towers. What is drawn is a function of a sample's row in the whole batch.
    fn own_part(
        &self,
        everyone: &Everyone,
        i: usize,
        cut: &Range<usize>,
        step: u64,
        without: &[Modality],
    ) -> Result<Forwarded> {
        let rows = everyone.rows.get(cut.clone()).unwrap_or_default();
        let rows: Vec<u64> = rows.iter().map(|row| *row as u64).collect();
        self.seed(step, i);
        let samples = everyone.own.get(cut.clone()).unwrap_or_default();
        self.forward(samples, &self.pass(step, Some(&rows)), without)
    }

    /// The losses of the fusion part over this rank's samples, as its share of the whole batch's.
    fn fused(&self, samples: &[Sample], mine: &Forwarded, step: u64, world: &World) -> Result<Option<Fused>> {
        let terms: Vec<_> = self.recipe.objective.active().filter(|t| t.fuses()).cloned().collect();
        if terms.is_empty() || self.model.fusion().is_none() {
            return Ok(None);
        }
        let (tokens, shown) = (self.tokens(samples), self.shown(samples));
        let all = world.gather(&(tokens, shown))?;
        let (of_tokens, of_shown) = all.iter().fold((0.0, 0.0), |(a, b), (t, s)| (a + t, b + s));
        if shown == 0.0 && of_shown > 0.0 {
            return Ok(Some(Fused::default()));
        }
        let losses = self.losses_over(&Objective { terms }, samples, mine, step)?;
        let share = |name: &str| match name {
            "caption" => tokens / of_tokens.max(1.0),
            _ => shown / of_shown.max(1.0),
        };
        let mut fused = Fused { flops: losses.flops, ..Fused::default() };
        for part in &losses.parts {
            let own = part.loss.f_mul_scalar(share(&part.name))?;
            fused.parts.push((part.name.clone(), own.double_value(&[])));
            let weighted = own.f_mul_scalar(part.weight)?;
            fused.total = Some(match fused.total.take() {
                Some(sum) => sum.f_add(&weighted)?,
                None => weighted,
            });
        }
        Ok(Some(fused))
    }

    /// Samples with a text and something to fuse it with.
    fn shown(&self, samples: &[Sample]) -> f64 {
        let memory = self.recipe.fusion.as_ref().map_or(&[][..], |f| &f.memory);
        let shown = |s: &&Sample| s.ids.is_some() && memory.iter().any(|m| s.shows(*m));
        samples.iter().filter(shown).count() as f64
    }

    /// What the others are told of this rank's part.
    fn told(&self, everyone: &Everyone, mine: &Forwarded, fused: Option<&Fused>) -> Result<Told> {
        let row = |own: &usize| everyone.rows.get(*own).copied();
        let rows = mine.views.iter().map(|(m, view)| (*m, view.rows.iter().filter_map(row).collect()));
        let loss = fused.and_then(|f| f.total.as_ref()).map_or(0.0, |total| total.double_value(&[]));
        let (parts, flops) = fused.map_or((Vec::new(), 0.0), |f| (f.parts.clone(), f.flops));
        Ok(Told { rows: rows.collect(), parts, loss, flops: mine.flops + flops })
    }

    /// The gradients that this rank adds where every micro-batch has a loss of its own.
    pub(super) fn shared_accumulated(
        &self,
        everyone: &Everyone,
        asked: Asked,
        micro: usize,
        world: &World,
        clock: &mut Clock,
    ) -> Result<Gradients> {
        let (own, tokens) = (asked.samples.len() as f64, self.tokens(asked.samples));
        let all = world.gather(&(own, tokens))?;
        let (samples, of_tokens) = all.iter().fold((0.0, 0.0), |(a, b), (s, t)| (a + s, b + t));
        let rows: Vec<u64> = everyone.rows.iter().map(|row| *row as u64).collect();
        let made = match asked.samples.is_empty() {
            true => Gradients { loss: 0.0, parts: Vec::new(), of: none(asked.params), flops: 0.0 },
            false => self.accumulated_of((asked, &rows), micro, (samples, of_tokens), clock)?,
        };
        let (loss, parts) = added(&world.gather(&(made.loss, made.parts))?);
        finite(loss, "the loss", asked.at, asked.samples)?;
        if parts.is_empty() {
            return Err(none_has_pairs(asked.at.0));
        }
        Ok(Gradients { loss, parts, of: made.of, flops: made.flops })
    }

    /// What the fusion terms of an objective make of samples that went through the towers.
    fn losses_over(
        &self,
        objective: &Objective,
        samples: &[Sample],
        forwarded: &Forwarded,
        step: u64,
    ) -> Result<Losses> {
        let items = batch::items(samples);
        let batch = self.batch(samples, &items, forwarded, step);
        Ok(objective.losses(self.model.towers(), self.model.fusion(), &batch)?)
    }
}

/// What a fusion part makes of a rank's samples.
#[derive(Debug, Default)]
struct Fused {
    total: Option<Tensor>,
    parts: Vec<(String, f64)>,
    flops: f64,
}

fn none(params: &[&Tensor]) -> Vec<Option<Tensor>> {
    params.iter().map(|_| None).collect()
}

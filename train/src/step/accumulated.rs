//! Accumulated gradients: every micro-batch has a loss of its own, and their mean counts. Losses that add over samples (captions, token by token)
//! are the whole batch's; a contrastive loss finds its negatives within its micro-batch only.

use super::{Asked, Gradients, Step, add, finite};
use crate::clock::Clock;
use crate::data::Sample;
use crate::{Error, Result};
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_torch_ext::autograd;

impl Step<'_> {
    /// The mean of the gradients of micro-batches of at most `micro` samples. Each takes samples from all over the batch, so that every source is in
    /// each of them.
    pub(super) fn accumulated(&self, asked: Asked, micro: usize, clock: &mut Clock) -> Result<Gradients> {
        let rows: Vec<u64> = (0..asked.samples.len() as u64).collect();
        let whole = (asked.samples.len() as f64, self.tokens(asked.samples));
        let made = self.accumulated_of((asked, &rows), micro, whole, clock)?;
        finite(made.loss, "the loss", asked.at, asked.samples)?;
        if made.parts.is_empty() {
            return Err(none_has_pairs(asked.at.0));
        }
        Ok(made)
    }

    /// The same of a part of a batch that has so many samples and tokens of captions, whose samples are these rows of it.
    pub(super) fn accumulated_of(
        &self,
        (asked, rows_of): (Asked, &[u64]),
        micro: usize,
        (samples_of, tokens_of): (f64, f64),
        clock: &mut Clock,
    ) -> Result<Gradients> {
        let Asked { samples, params, at } = asked;
        let (step, count) = (at.0, samples.len().div_ceil(micro.max(1)).max(1));
        let weights = Weights { samples: samples_of, tokens: tokens_of };
        let mut of: Vec<Option<Tensor>> = params.iter().map(|_| None).collect();
        let (mut loss, mut parts, mut flops) = (0.0, BTreeMap::<String, f64>::new(), 0.0);
        let mut order = Vec::new();
        for i in 0..count {
            let rows: Vec<usize> = (i..samples.len()).step_by(count).collect();
            let known: Vec<u64> = rows.iter().filter_map(|row| rows_of.get(*row).copied()).collect();
            let own: Vec<&Sample> = rows.iter().filter_map(|row| samples.get(*row)).collect();
            self.seed(step, i);
            let forwarded = self.forward(&own, &self.pass(step, Some(&known)), &[])?;
            let losses = self.losses(&own, &forwarded, step)?;
            flops += forwarded.flops + losses.flops;
            let share = |name: &str| weights.share(name, own.len() as f64, || self.tokens(&own));
            let mut total: Option<Tensor> = None;
            for part in &losses.parts {
                let share = share(&part.name);
                if !parts.contains_key(&part.name) {
                    order.push(part.name.clone());
                }
                *parts.entry(part.name.clone()).or_default() += share * part.loss.double_value(&[]);
                if part.weight * share == 0.0 {
                    continue;
                }
                let weighted = part.loss.f_mul_scalar(part.weight * share)?;
                total = Some(match total {
                    Some(sum) => sum.f_add(&weighted)?,
                    None => weighted,
                });
            }
            let Some(total) = total else { continue };
            loss += total.double_value(&[]);
            clock.lap("forward");
            add(&mut of, autograd::grad(&[&total], &[None], params, false, false)?)?;
            clock.lap("backward");
        }
        let parts = order.into_iter().map(|name| (parts.get(&name).copied().unwrap_or(0.0), name));
        Ok(Gradients { loss, parts: parts.map(|(loss, name)| (name, loss)).collect(), of, flops })
    }

    /// Tokens of captions that a fusion part writes about samples.
    pub(super) fn tokens<S: std::borrow::Borrow<Sample>>(&self, samples: &[S]) -> f64 {
        let Some(fusion) = self.model.fusion() else { return 0.0 };
        let most = fusion.writer().map_or(0, |w| w.config().context_length);
        let most = usize::try_from(most).unwrap_or(0);
        let memory = self.recipe.fusion.as_ref().map_or(&[][..], |f| &f.memory);
        let first = fusion.config().tokens.first;
        let written = |sample: &Sample| {
            let ids = sample.told().filter(|_| memory.iter().any(|m| sample.shows(*m)))?;
            let begins = usize::from(ids.len() > 1 && ids.first() == first.as_ref());
            Some((ids.len() - begins).min(most))
        };
        samples.iter().filter_map(|s| written(s.borrow())).sum::<usize>() as f64
    }
}

/// No micro-batch has anything to learn from.
pub(super) fn none_has_pairs(step: u64) -> Error {
    Error::setting("data", format!("no micro-batch of step {step} has two items of a pair of modalities"))
}

/// Of what the losses of a batch are means.
struct Weights {
    samples: f64,
    tokens: f64,
}

impl Weights {
    /// A micro-batch's share of the mean that a loss is: of the tokens of captions, otherwise of the samples.
    fn share(&self, name: &str, samples: f64, tokens: impl Fn() -> f64) -> f64 {
        match name {
            "caption" if self.tokens > 0.0 => tokens() / self.tokens,
            _ => samples / self.samples.max(1.0),
        }
    }
}

//! Cached gradients (GradCache; Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup"): micro-batches go
//! through the towers without a graph, the loss of the whole batch gives the gradients of what came out, and each micro-batch goes through
//! again with a graph that is let go before the next one's. What is drawn is a function of the sample, so both passes see the same, and so does
//! the whole batch at once: the gradient is its.

use super::joined::Joined;
use super::{Asked, Gradients, Step, add, finite, total};
use crate::Result;
use crate::batch::Forwarded;
use crate::clock::Clock;
use crate::data::Sample;
use std::ops::Range;
use tch::Tensor;
use unisono_encoders::Modality;
use unisono_torch_ext::autograd;

impl Step<'_> {
    /// The gradients of the whole batch's loss, the samples of a cut at a time. A fusion part reads all tokens at once: its activations, and the
    /// towers' tokens, are those of the whole batch.
    pub(super) fn cached(&self, asked: Asked, cuts: &[Range<usize>], clock: &mut Clock) -> Result<Gradients> {
        let Asked { samples, params, at } = asked;
        let step = at.0;
        let statistics = self.statistics()?;
        let seen = tch::no_grad(|| {
            let each = cuts.iter().enumerate();
            each.map(|(i, cut)| self.part(samples, i, cut, step, &[])).collect::<Result<Vec<_>>>()
        })?;
        // Both passes begin with the same running statistics, and the second one moves them.
        restore(&statistics)?;
        let flops: f64 = seen.iter().map(|part| part.flops).sum();
        let (joined, whole) = Joined::of(&seen, cuts)?;
        drop(seen);
        // Generators are where they would be had nothing been drawn.
        self.seed(step, 0);
        let losses = self.losses(samples, &whole, step)?;
        let total = total(&losses, step)?;
        let loss = total.double_value(&[]);
        finite(loss, "the loss", at, samples)?;
        let parts = losses.named();
        clock.lap("forward");
        let leaves = joined.leaves(&whole);
        let inputs: Vec<&Tensor> = leaves.iter().copied().chain(params.iter().copied()).collect();
        let mut of_leaves = autograd::grad(&[total], &[None], &inputs, false, false)?;
        let mut of = of_leaves.split_off(leaves.len());
        let flops = flops + losses.flops;
        // The loss's graph is not needed any more.
        drop((losses, whole));
        for (i, cut) in cuts.iter().enumerate() {
            let again = self.part(samples, i, cut, step, &self.idle)?;
            let (outputs, grads) = joined.outputs(i, &again, &of_leaves)?;
            if outputs.is_empty() {
                continue;
            }
            let grads: Vec<Option<&Tensor>> = grads.iter().map(Some).collect();
            add(&mut of, autograd::grad(&outputs, &grads, params, false, false)?)?;
        }
        clock.lap("backward");
        Ok(Gradients { loss, parts, of, flops })
    }

    /// Micro-batch `i` of a batch through the towers, which is this cut of it.
    pub(super) fn part(
        &self,
        samples: &[Sample],
        i: usize,
        cut: &Range<usize>,
        step: u64,
        without: &[Modality],
    ) -> Result<Forwarded> {
        let rows: Vec<u64> = cut.clone().map(|row| row as u64).collect();
        self.seed(step, i);
        let samples = samples.get(cut.clone()).unwrap_or_default();
        self.forward(samples, &self.pass(step, Some(&rows)), without)
    }

    /// The running statistics of batch norms, and copies of them.
    pub(super) fn statistics(&self) -> Result<Vec<(Tensor, Tensor)>> {
        let params = self.model.towers().params();
        let buffers = params.iter().filter(|(_, p)| !p.trainable).map(|(_, p)| &p.tensor);
        buffers.map(|t| Ok((t.shallow_clone(), t.f_detach_copy()?))).collect()
    }
}

/// Puts back what they were.
pub(super) fn restore(statistics: &[(Tensor, Tensor)]) -> Result<()> {
    tch::no_grad(|| {
        for (of, was) in statistics {
            of.shallow_clone().f_copy_(was)?;
        }
        Ok(())
    })
}

//! From a batch to gradients: the whole batch goes through the towers at once.

use crate::batch;
use crate::clock::Clock;
use crate::data::Sample;
use crate::{Error, Learner, Recipe, Result, features};
use tch::Tensor;
use unisono_encoders::{Modality, Model, Pass};
use unisono_fusion::objective::Batch;
use unisono_torch_ext::autograd;

/// How a batch becomes gradients.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    model: &'a Learner,
    recipe: &'a Recipe,
    /// The towers of which nothing is trained but a projection.
    still: Vec<Modality>,
}

/// What a step makes of a batch.
#[derive(Debug)]
pub(crate) struct Gradients {
    /// The whole loss, nats.
    pub(crate) loss: f64,
    /// Each loss by itself.
    pub(crate) parts: Vec<(String, f64)>,
    /// One for each parameter that is optimised, in the optimizer's order; `None` where the loss does not depend on it.
    pub(crate) of: Vec<Option<Tensor>>,
    /// Floating-point operations of the forward pass, a lower bound.
    pub(crate) flops: f64,
}

impl<'a> Step<'a> {
    /// For a run of `recipe`.
    ///
    /// # Errors
    /// A term of the objective that this model cannot learn by.
    pub(crate) fn new(model: &'a Learner, recipe: &'a Recipe) -> Result<Self> {
        recipe.objective.check(model.towers())?;
        Ok(Self { model, recipe, still: frozen(model.towers()) })
    }

    /// The gradients of `params` over the samples of step `step`. `saved`: the step of the last checkpoint, for messages.
    ///
    /// # Errors
    /// Nothing to learn from in the batch, a loss that is not finite, or libtorch's.
    pub(crate) fn gradients(
        &self,
        samples: &[Sample],
        params: &[&Tensor],
        (step, saved): (u64, u64),
        clock: &mut Clock,
    ) -> Result<Gradients> {
        let (recipe, towers) = (self.recipe, self.model.towers());
        // libtorch's generator (dropout, stochastic depth) starts anew each step: a function of (seed, step).
        tch::manual_seed(step_seed(recipe.seed, step));
        let pass = Pass {
            checkpoint: recipe.activation_checkpointing,
            patch_dropout: recipe.augment.patch_dropout,
            parts: recipe.loader.buckets,
            ..Pass::TRAIN
        };
        let fused = recipe.fusion.as_ref().map_or(&[][..], |f| &f.memory);
        let forwarded = batch::forward(towers, samples, &pass, fused, &self.still)?;
        let items = batch::items(samples);
        let batch = Batch {
            items: &items,
            views: &forwarded.views,
            tokens: &forwarded.tokens,
            texts: samples.iter().map(|s| s.ids.as_deref()).collect(),
            pass,
            seed: recipe.seed,
            step,
        };
        let losses = recipe.objective.losses(towers, self.model.fusion(), &batch)?;
        let Some(total) = &losses.total else {
            let found = format!("no pair of modalities at step {step} has two items");
            return Err(Error::setting("data", found));
        };
        let loss = total.double_value(&[]);
        finite(loss, "the loss", (step, saved), samples)?;
        let parts = losses.parts.iter().map(|p| (p.name.clone(), p.loss.double_value(&[]))).collect();
        clock.lap("forward");
        let of = autograd::grad(&[total], &[None], params, false, false)?;
        clock.lap("backward");
        Ok(Gradients { loss, parts, of, flops: forwarded.flops + losses.flops })
    }
}

/// The towers of which nothing is trained but a projection.
fn frozen(towers: &Model) -> Vec<Modality> {
    let params = towers.params().trainable();
    let trained = |m: &Modality| {
        let mut own = params.iter().filter(|(name, _)| features::of_trunk(name, *m));
        own.any(|(_, p)| p.requires_grad())
    };
    Modality::ALL.into_iter().filter(|m| !trained(m)).collect()
}

/// SplitMix64 of the two: neighbouring steps get unrelated streams.
fn step_seed(seed: u64, step: u64) -> i64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 1) as i64
}

/// The guard: a number that is none stops the run with its step, and the checkpoint before stays.
pub(crate) fn finite(
    value: f64,
    what: &'static str,
    (step, checkpoint): (u64, u64),
    batch: &[Sample],
) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    let batch = batch.iter().take(4).map(|s| s.id.as_str()).collect::<Vec<_>>().join(", ");
    Err(Error::NotFinite { step, what, value, checkpoint, batch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_steps_and_seeds_draw_apart() {
        let mut seen: Vec<i64> = (0..50).flat_map(|s| (0..50).map(move |t| step_seed(s, t))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert!(seen.len() == 2500 && seen[0] >= 0);
        // Written down once: another stream would silently change every training.
        assert_eq!(
            [step_seed(1, 0), step_seed(1, 1)],
            [5_225_608_189_600_411_232, 6_878_622_605_533_214_259]
        );
    }
}

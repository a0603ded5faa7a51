//! From a batch to gradients: all of it through the towers at once, or in micro-batches (`[batch]`).

mod accumulated;
mod aligned;
mod auto;
mod cached;
mod cuts;
mod everyone;
mod joined;
mod shared;
mod whole;

use crate::batch::{self, Forwarded, Run};
use crate::clock::Clock;
use crate::data::Sample;
use crate::recipe::{BatchMethod, Micro};
use crate::world::World;
use crate::{Error, Learner, Recipe, Result, features, mined};
use everyone::Everyone;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Range;
use tch::Tensor;
use unisono_encoders::{Draws, Modality, Model, Pass};
use unisono_fusion::objective::{Batch, Items, Losses};

/// How a batch becomes gradients.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    model: &'a Learner,
    recipe: &'a Recipe,
    method: BatchMethod,
    /// Samples of a micro-batch; `None`: not known yet, or not asked for.
    micro: Option<usize>,
    /// With a budget of tokens: samples of the largest micro-batch of the last step.
    largest: Option<usize>,
    /// The towers of which nothing is trained but a projection.
    still: Vec<Modality>,
    /// Those of which nothing is trained at all.
    idle: Vec<Modality>,
    notes: Vec<String>,
    /// What leads to a teacher's vectors of another width.
    bridges: Option<&'a BTreeMap<Modality, Tensor>>,
    /// Who shares each batch.
    world: World,
}

/// What a step makes of a batch.
#[derive(Debug)]
pub(crate) struct Gradients {
    /// The whole loss, nats.
    pub(crate) loss: f64,
    /// Each loss by itself, and at some steps how the space looks, as `alignment/text_image`.
    pub(crate) parts: Vec<(String, f64)>,
    /// One for each parameter that is optimised, in the optimizer's order; `None` where the loss does not depend on it.
    pub(crate) of: Vec<Option<Tensor>>,
    /// Floating-point operations of a forward pass, a lower bound; of this process's part.
    pub(crate) flops: f64,
}

/// What gradients are asked of.
#[derive(Debug, Clone, Copy)]
struct Asked<'b> {
    samples: &'b [Sample],
    params: &'b [&'b Tensor],
    /// The step, and that of the last checkpoint for messages.
    at: (u64, u64),
}

impl<'a> Step<'a> {
    /// For a run of `recipe`. `micro`: what `micro = "auto"` has come to in an earlier stretch of the run.
    ///
    /// # Errors
    /// A term of the objective that this model cannot learn by, or arithmetic that the device does not have.
    pub(crate) fn new(model: &'a Learner, recipe: &'a Recipe, micro: Option<usize>) -> Result<Self> {
        recipe.objective.check(model.towers())?;
        recipe.check_arithmetic(model.towers().device())?;
        let method = recipe.batch.method();
        let micro = match recipe.batch.micro {
            Some(Micro::Samples(n)) => Some(n),
            Some(Micro::Auto) => micro,
            None => None,
        };
        let (still, idle) = (frozen(model.towers(), features::of_trunk), idle(model.towers()));
        let mut notes = Vec::new();
        let learns = |(name, p): (&str, &unisono_nn::Param)| {
            let tower = name.split('.').next().unwrap_or_default();
            !p.trainable && name.ends_with("running_mean") && !still.iter().any(|m| m.name() == tower)
        };
        if method != BatchMethod::Whole && model.towers().params().iter().any(learns) {
            notes.push(
                "batch: batch norms take the statistics of a micro-batch: the gradient is not quite the whole batch's".to_owned(),
            );
        }
        Ok(Self {
            model,
            recipe,
            method,
            micro,
            largest: None,
            still,
            idle,
            notes,
            bridges: None,
            world: World::alone(),
        })
    }

    /// The same, with layers that lead to a teacher's vectors of another width, `[T, D]` each.
    pub(crate) fn with(self, bridges: &'a BTreeMap<Modality, Tensor>) -> Self {
        Self { bridges: Some(bridges), ..self }
    }

    /// The same, of a batch that these processes share.
    pub(crate) fn among(self, world: &World) -> Self {
        Self { world: world.clone(), ..self }
    }

    /// What `micro = "auto"` came to, for a checkpoint.
    pub(crate) fn micro(&self) -> Option<usize> {
        self.micro.filter(|_| self.recipe.batch.micro == Some(Micro::Auto))
    }

    /// Samples of a batch of `all` that go through the towers at once, at most.
    pub(crate) fn cut(&self, all: usize) -> usize {
        self.micro.or(self.largest).unwrap_or(all).min(all)
    }

    /// What should be known of how batches are cut, a line each; nothing twice.
    pub(crate) fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The gradients of `params` over the samples of step `at.0`. `at.1`: the step of the last checkpoint, for messages.
    ///
    /// # Errors
    /// Nothing to learn from in the batch, a loss that is not finite, or libtorch's.
    pub(crate) fn gradients(
        &mut self,
        samples: &[Sample],
        params: &[&Tensor],
        at: (u64, u64),
        clock: &mut Clock,
    ) -> Result<Gradients> {
        let world = self.world.clone();
        let everyone = if world.is_alone() { None } else { Some(Everyone::of(samples, &world)?) };
        let alone = everyone.is_none().then(|| mined::joined(samples));
        let samples = match (&everyone, &alone) {
            (Some(everyone), _) => everyone.own.as_slice(),
            (None, Some(joined)) => joined,
            (None, None) => samples,
        };
        let asked = Asked { samples, params, at };
        let cuts = self.cuts(asked)?;
        match (&everyone, self.method, &cuts) {
            (None, BatchMethod::Whole, _) => self.whole(asked, None, clock),
            (None, BatchMethod::Accumulate, Cuts::Micro(micro)) => self.accumulated(asked, *micro, clock),
            (None, ..) => self.cached(asked, &cuts.of(samples.len()), clock),
            (Some(everyone), BatchMethod::Accumulate, Cuts::Micro(micro)) => {
                self.shared_accumulated(everyone, asked, *micro, &world, clock)
            }
            (Some(everyone), ..) => self.shared(everyone, asked, &cuts.of(samples.len()), &world, clock),
        }
    }

    /// The running statistics of batch norms, of which each process has those of its part of the batches; nothing alone.
    pub(crate) fn statistics_of_all(&self) -> Vec<&Tensor> {
        if self.world.is_alone() {
            return Vec::new();
        }
        let own = |name: &str| name.ends_with("running_mean") || name.ends_with("running_var");
        let moved = |name: &str| !self.still.iter().any(|m| name.split('.').next() == Some(m.name()));
        let params = self.model.towers().params().iter();
        params.filter(|(name, p)| !p.trainable && own(name) && moved(name)).map(|(_, p)| &p.tensor).collect()
    }

    /// Where a batch is cut.
    fn cuts(&mut self, asked: Asked) -> Result<Cuts> {
        if self.method == BatchMethod::Whole {
            return Ok(Cuts::Micro(asked.samples.len().max(1)));
        }
        if let Some(most) = self.recipe.batch.tokens {
            let towers = self.model.towers();
            let cuts = cuts::by_tokens(asked.samples.iter().map(|s| cuts::tokens(towers, s)), most);
            self.largest = cuts.iter().map(ExactSizeIterator::len).max();
            return Ok(Cuts::Tokens(cuts));
        }
        if let Some(micro) = self.micro {
            return Ok(Cuts::Micro(micro));
        }
        let own = if asked.samples.is_empty() { usize::MAX } else { self.choose(asked)? };
        // The processes of a machine find different room: the smallest fits everywhere.
        let [least] = self.world.largest([-(own as f64)])?;
        let micro = if self.world.is_alone() { own } else { (-least) as usize };
        self.micro = Some(micro);
        Ok(Cuts::Micro(micro))
    }

    /// A training pass. `rows`: what each sample is known by, where draws are a function of the sample.
    fn pass<'r>(&self, step: u64, rows: Option<&'r [u64]>) -> Pass<'r> {
        let recipe = self.recipe;
        let seed = step_seed(recipe.seed, step) as u64;
        Pass {
            checkpoint: recipe.activation_checkpointing,
            patch_dropout: recipe.augment.patch_dropout,
            parts: recipe.loader.buckets,
            compute: recipe.compute(self.model.towers().device()),
            draws: rows.map(|rows| Draws { seed, rows }),
            ..Pass::TRAIN
        }
    }

    /// Samples through the towers, those that are not `without`.
    fn forward<S: Borrow<Sample>>(
        &self,
        samples: &[S],
        pass: &Pass,
        without: &[Modality],
    ) -> Result<Forwarded> {
        let fused = self.recipe.fusion.as_ref().map_or(&[][..], |f| &f.memory);
        let vectors = self.recipe.fusion.as_ref().is_some_and(|f| f.prefix > 0);
        batch::forward(
            self.model.towers(),
            samples,
            pass,
            &Run { fused, vectors, still: &self.still, without },
        )
    }

    /// What the objective makes of samples that went through the towers.
    fn losses<S: Borrow<Sample>>(&self, samples: &[S], forwarded: &Forwarded, step: u64) -> Result<Losses> {
        let items = batch::items(samples);
        let batch = self.batch(samples, &items, forwarded, step);
        Ok(self.recipe.objective.losses(self.model.towers(), self.model.fusion(), &batch)?)
    }

    /// What the objective sees of them.
    fn batch<'b, S: Borrow<Sample>>(
        &'b self,
        samples: &'b [S],
        items: &'b Items,
        forwarded: &'b Forwarded,
        step: u64,
    ) -> Batch<'b> {
        Batch {
            items,
            views: &forwarded.views,
            tokens: &forwarded.tokens,
            bridges: self.bridges,
            texts: samples.iter().map(|s| s.borrow().told()).collect(),
            // A fusion part draws from libtorch's generator.
            pass: self.pass(step, None),
            seed: self.recipe.seed,
            step,
        }
    }

    /// What is drawn without a look at the sample begins anew for each part of a step: a function of (seed, step, part).
    fn seed(&self, step: u64, part: usize) {
        tch::manual_seed(step_seed(self.recipe.seed, step).wrapping_add(part as i64) & i64::MAX);
    }
}

/// How a batch is cut into micro-batches.
enum Cuts {
    /// So many samples each.
    Micro(usize),
    /// By the tokens of their samples.
    Tokens(Vec<Range<usize>>),
}

impl Cuts {
    fn of(&self, samples: usize) -> Vec<Range<usize>> {
        match self {
            Self::Micro(micro) => cuts::even(samples, *micro),
            Self::Tokens(cuts) => cuts.clone(),
        }
    }
}

/// The loss of a step, of which there must be one.
fn total(losses: &Losses, step: u64) -> Result<&Tensor> {
    losses
        .total
        .as_ref()
        .ok_or_else(|| Error::setting("data", format!("no pair of modalities at step {step} has two items")))
}

/// The towers of which nothing is trained that `of` says is theirs.
pub(crate) fn frozen(towers: &Model, of: impl Fn(&str, Modality) -> bool) -> Vec<Modality> {
    let params = towers.params().trainable();
    let trained = |m: &Modality| params.iter().any(|(name, p)| of(name, *m) && p.requires_grad());
    Modality::ALL.into_iter().filter(|m| !trained(m)).collect()
}

/// The towers whose outputs no gradient goes through: they need not run a second time.
fn idle(towers: &Model) -> Vec<Modality> {
    let below = |name: &str, m: Modality| name.strip_prefix(m.name()).is_some_and(|r| r.starts_with('.'));
    let mut idle = frozen(towers, below);
    // A video is seen by the image tower, and heard by the audio tower.
    idle.retain(|m| towers.config().video.is_none() || *m == Modality::Text);
    idle
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

/// `sum` and another part's gradients.
fn add(sum: &mut [Option<Tensor>], more: Vec<Option<Tensor>>) -> Result<()> {
    for (sum, more) in sum.iter_mut().zip(more) {
        let Some(more) = more else { continue };
        *sum = Some(match sum.take() {
            // Not in place: what libtorch gives may share its memory.
            Some(sum) => tch::no_grad(|| sum.f_add(&more))?,
            None => more,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;

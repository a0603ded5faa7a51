//! What a training will cost, before any medium is decoded: parameters, memory, steps, arithmetic and time, from the recipe and a few steps over
//! made-up inputs of its shapes.

mod count;
pub(crate) mod made_up;
mod probe;
mod shares;
mod show;

pub use count::{FrozenBy, Tower};
pub use probe::{Memory, Probe};
pub use shares::Share;

use crate::bridges::Bridges;
use crate::optimizer::Optimizer;
use crate::{Learner, Recipe, Result, features, towers};
use made_up::MadeUp;
use serde::Serialize;
use unisono_torch_ext::{cuda, library, threads};

/// What a recipe comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Optimiser steps.
    pub steps: u64,
    /// Samples of a batch.
    pub batch: usize,
    /// Samples that go through the towers at once.
    pub micro: usize,
    /// `whole`, `cached` or `accumulate`.
    pub method: String,
    /// `fp32` or `bf16`.
    pub precision: String,
    /// Where it would run.
    pub device: String,
    /// libtorch's threads.
    pub threads: usize,
    /// Parameters by tower, and of what stands beside them.
    pub towers: Vec<Tower>,
    /// Why parameters are frozen, in the order of the rules.
    pub frozen: Vec<FrozenBy>,
    /// The sources and how often their records come.
    pub data: Vec<Share>,
    /// Bytes by kind.
    pub memory: Memory,
    /// What the timed steps took.
    pub probe: Probe,
    /// Floating-point operations of all steps, a lower bound.
    pub flops: f64,
    /// Seconds of all steps: the probe's median times their number. Reading data, features that are kept, evaluations and checkpoints come on top.
    pub seconds: f64,
    /// An estimate of what the processor takes in that time, watt hours.
    pub watt_hours: f64,
    /// The assumption behind it, watts.
    pub watts: f64,
    /// What was assumed, and what is not known, a line each.
    pub notes: Vec<String>,
}

/// Watts of a busy thread with its part of memory and power supply: what servers take at full load, over their threads, lies between 4 and 12.
const WATTS_A_THREAD: f64 = 8.0;

/// Plans a run of `recipe`: builds its model, and takes `timed` steps over made-up inputs. Of the data nothing is read but manifests and tables in
/// single files that are small enough to be read at once; media are not opened.
///
/// # Errors
/// Settings that cannot work, checkpoints that cannot be read, or libtorch's.
pub fn plan(recipe: &Recipe, timed: usize) -> Result<Plan> {
    let device = cuda::device(&recipe.device)?;
    let threads = threads::set((recipe.threads > 0).then_some(recipe.threads));
    library::keep_freed_memory();
    let shares::Known { shares: data, seen, mut notes } = shares::look(recipe)?;
    let made = MadeUp::of(recipe, seen)?;
    let model = Learner::new(towers::model(recipe, made.sampler(), device)?, recipe, &[])?;
    let trained = Bridges::of(recipe, &model)?.beside(&model);
    let rules = towers::rules(recipe, &trained);
    let optimizer = Optimizer::new(&trained, &recipe.optimizer, &rules)?;
    let kept = features::kept_towers(recipe, &model, made.sampler());
    let towers = count::towers(&model, &kept);
    let frozen = count::frozen(&model, &rules);
    let batch = made.samples(recipe, &model, &kept, &data)?;
    notes.extend(made.said(&model, &batch));
    let (probe, memory, more) = probe::run(recipe, &model, optimizer, &batch, timed, &kept, &data)?;
    notes.extend(more);
    let seconds = probe.seconds_per_step * recipe.steps as f64;
    let watts = WATTS_A_THREAD * threads as f64;
    Ok(Plan {
        steps: recipe.steps,
        batch: batch.len(),
        micro: probe.micro,
        method: format!("{:?}", recipe.batch.method()).to_lowercase(),
        precision: recipe.precision.on(device).to_string(),
        device: format!("{device:?}").to_lowercase(),
        threads,
        towers,
        frozen,
        data,
        memory,
        flops: probe.flops_per_step * recipe.steps as f64,
        probe,
        seconds,
        watt_hours: watts * seconds / 3600.0,
        watts,
        notes,
    })
}

#[cfg(test)]
mod tests;

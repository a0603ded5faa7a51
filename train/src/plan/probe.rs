//! A few steps over made-up inputs: what they take of time and memory.

use super::Share;
use crate::clock::Clock;
use crate::data::Sample;
use crate::optimizer::Optimizer;
use crate::step::Step;
use crate::{Learner, Recipe, Result, memory, schedule};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Instant;
use tch::{Device, Kind, Tensor};
use unisono_encoders::Modality;
use unisono_torch_ext::threads;

/// What the timed steps took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Probe {
    /// Steps that were timed, after one that was not.
    pub steps: usize,
    /// Their median, seconds.
    pub seconds_per_step: f64,
    /// Of each, seconds.
    pub seconds: Vec<f64>,
    /// Samples of a batch over the median.
    pub samples_per_second: f64,
    /// Floating-point operations of a step, a lower bound.
    pub flops_per_step: f64,
    /// Cores that were busy at a time, on average.
    pub cores: f64,
    /// Shares of `forward`, `backward` and `optimizer`.
    pub shares: BTreeMap<String, f64>,
    /// Samples that went through the towers at once.
    pub micro: usize,
}

/// Bytes by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All parameters and buffers.
    pub weights: u64,
    /// The weights that are evaluated and saved, a copy of them.
    pub average: u64,
    /// One number for each that is trained.
    pub gradients: u64,
    /// What the optimizer keeps.
    pub optimizer: u64,
    /// What a step took at most beside all that, as the system saw it; `None`: it does not say.
    pub activations: Option<u64>,
    /// Batches that wait for their step.
    pub loader: u64,
    /// What the loader may keep of decoded media.
    pub cache: u64,
    /// Kept features, on the disk and mapped from there.
    pub features: u64,
}

impl Memory {
    /// All but what lies on the disk.
    pub fn total(&self) -> u64 {
        let Self { weights, average, gradients, optimizer, activations, loader, cache, features: _ } = self;
        weights + average + gradients + optimizer + activations.unwrap_or(0) + loader + cache
    }
}

/// Steps over `batch`, the first of which is not timed. The model is not what it was afterwards.
pub(super) fn run(
    recipe: &Recipe,
    model: &Learner,
    mut optimizer: Optimizer,
    batch: &[Sample],
    timed: usize,
    kept: &[(Modality, u32)],
    data: &[Share],
) -> Result<(Probe, Memory, Vec<String>)> {
    let mut step = Step::new(model, recipe, None)?;
    let device = model.towers().device();
    let (mut seconds, mut flops, mut notes) = (Vec::new(), 0.0, Vec::new());
    memory::forget_peak();
    let before = memory::resident();
    let (mut clock, mut begun) = (Clock::start(), (Instant::now(), 0.0));
    for at in 0..=timed as u64 {
        if at == 1 {
            (clock, begun) = (Clock::start(), (Instant::now(), threads::processor_seconds()));
        }
        let start = Instant::now();
        let made = step.gradients(batch, &optimizer.params(), (at, 0), &mut clock)?;
        let lr = schedule::learning_rate(&recipe.optimizer, at, recipe.steps);
        optimizer.step(&made.of, lr)?;
        clock.lap("optimizer");
        // A GPU is waited for where the norm is read; on a CPU nothing is left to wait for.
        seconds.push(start.elapsed().as_secs_f64());
        flops = 3.0 * made.flops;
        notes.extend(step.notes());
    }
    let cores = (threads::processor_seconds() - begun.1) / begun.0.elapsed().as_secs_f64().max(1e-9);
    let peak = memory::peak().zip(before).map(|(peak, before)| peak.saturating_sub(before));
    let (mut sorted, micro) = (seconds.split_off(1), step.cut(batch.len()));
    let seconds = sorted.clone();
    sorted.sort_by(f64::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0).max(1e-9);
    let params = model.params();
    let bytes = |t: &Tensor| (t.numel() * t.kind().elt_size_in_bytes()) as u64;
    let weights = params.iter().map(|(_, p)| bytes(&p.tensor)).sum::<u64>();
    let gradients = optimizer.params().iter().map(|t| bytes(t)).sum::<u64>();
    let state = optimizer.state().iter().map(|(_, t)| bytes(t)).sum::<u64>();
    let activations = peak.filter(|_| device == Device::Cpu).map(|p| p.saturating_sub(gradients + state));
    let memory = Memory {
        weights,
        average: if recipe.optimizer.ema.decay > 0.0 { weights } else { 0 },
        gradients,
        optimizer: state,
        activations,
        loader: (recipe.loader.prefetch.max(1) as u64 + 1) * batch.iter().map(size).sum::<u64>(),
        // What runs over media decodes them; kept features need no cache.
        cache: match batch.iter().any(|s| !s.squares.is_empty() || s.mel.is_some()) {
            true => (recipe.loader.cache_mb as u64) << 20,
            false => 0,
        },
        features: features(model, kept, data),
    };
    let all: f64 = ["forward", "backward", "optimizer"].iter().filter_map(|p| clock.parts().get(*p)).sum();
    let shares = clock.parts().iter().map(|(part, s)| (part.clone(), s / all.max(1e-9)));
    let probe = Probe {
        steps: seconds.len(),
        seconds_per_step: median,
        samples_per_second: batch.len() as f64 / median,
        seconds,
        flops_per_step: flops,
        cores,
        shares: shares.collect(),
        micro,
    };
    Ok((probe, memory, notes))
}

/// Bytes of what a worker makes of a draw.
fn size(sample: &Sample) -> u64 {
    let floats = sample.pooled.values().map(Vec::len).sum::<usize>()
        + sample.mel.as_ref().map_or(0, Vec::len)
        + sample.track.as_ref().map_or(0, Vec::len);
    let pixels: usize = sample.squares.iter().map(|p| p.as_raw().len()).sum();
    let ids = sample.ids.as_ref().map_or(0, Vec::len) + sample.thinned.as_ref().map_or(0, Vec::len);
    (floats * Kind::Float.elt_size_in_bytes() + pixels + ids * Kind::Int64.elt_size_in_bytes()) as u64
}

/// A row for each record that is known, and view; texts and audio files of which a record has several count once.
fn features(model: &Learner, kept: &[(Modality, u32)], data: &[Share]) -> u64 {
    let records: usize = data.iter().filter_map(|share| share.records).sum();
    let row = |(m, views): &(Modality, u32)| {
        let width = model.towers().config().projection(*m).map_or(0, |(width, _)| width);
        u64::try_from(width).unwrap_or(0) * 4 * u64::from(*views)
    };
    records as u64 * kept.iter().map(row).sum::<u64>()
}

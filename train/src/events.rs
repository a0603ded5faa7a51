//! What a run is told, and what it tells.

use crate::energy::Energy;
use crate::tracking::EvalLine;
use crate::watched::Watched;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use unisono_datasets::{Fault, LoaderStats, Skip};

/// How a run is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Go on from `last/` when there is one.
    pub resume: bool,
    /// Begin again, whatever the directory holds.
    pub fresh: bool,
    /// When set, the run saves a checkpoint after the step in hand and returns.
    pub stop: Option<&'a AtomicBool>,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A line about what is being done.
    Note(String),
    /// A record that is left out, named once.
    Skipped(&'a Skip),
    /// Features of frozen towers are computed: so many are done, of so many.
    Features {
        /// Done.
        done: usize,
        /// To do.
        of: usize,
    },
    /// A step is done.
    Step(StepReport),
    /// An evaluation is done.
    Evaluated(&'a EvalLine),
    /// A checkpoint is written.
    Saved(u64),
}

/// A step's numbers.
#[derive(Debug, Clone, Copy)]
pub struct StepReport {
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub steps: u64,
    /// The whole loss, nats; of a step that was left out NaN.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Samples a second since this process began.
    pub samples_per_second: f64,
    /// Share of the time that the loop waited for data.
    pub data_wait: f64,
    /// Bytes that this process sent to the others in this step; 0 alone.
    pub sent_bytes: u64,
    /// Share of the time that the loop waited for the other processes.
    pub world_wait: f64,
}

/// A run's end, also written as `summary.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// Steps done.
    pub step: u64,
    /// Whether all steps are done, or the run was stopped.
    pub finished: bool,
    /// Best score, as the recipe's `best` says it, and its step.
    pub best: Option<(f64, u64)>,
    /// Wall seconds of the whole run.
    pub seconds: f64,
    /// Wall seconds by part: data_wait, forward, backward, optimizer, evaluate, checkpoint, start.
    pub parts: BTreeMap<String, f64>,
    /// Samples drawn.
    pub samples: u64,
    /// Steps that were left out, because a loss or a gradient was no finite number.
    #[serde(default)]
    pub left_out: u64,
    /// What the run took from the grid.
    #[serde(default)]
    pub energy: Energy,
    /// Numbers that are optimised.
    pub parameters: usize,
    /// What became of the abilities that were watched, by protocol.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canary: BTreeMap<String, Watched>,
    /// GFLOP/s of the steps (forward, backward, optimizer time).
    pub gflops: f64,
    /// GFLOP/s of this machine's matrix product.
    pub machine_gflops: f64,
    /// Threads of libtorch.
    pub threads: i32,
    /// Where the weights lay.
    pub device: String,
    /// Records that were left out, the first ten thousand of them.
    pub skipped: BTreeMap<String, String>,
    /// How many were left out, by source, stage and cause.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// Where the time of loading went.
    #[serde(default)]
    pub loading: Loading,
    /// What several processes cost each other; nothing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<Exchanged>,
}

/// What the processes of a run cost each other, as the first of them sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exchanged {
    /// Processes.
    pub processes: usize,
    /// Bytes that one sent a step, on average since it was started.
    pub bytes_a_step: f64,
    /// Share of the steps' time that it waited for the others.
    pub wait: f64,
}

/// Where the time of loading went.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Loading {
    /// Seconds of all workers.
    pub seconds: f64,
    /// The shares of it, 0 to 1: read, decode, augment, rest.
    pub shares: BTreeMap<String, f64>,
    /// Batches that were ready when one was asked for, on average.
    pub queue_depth: f64,
}

impl Loading {
    pub(crate) fn of(stats: &LoaderStats) -> Self {
        Self {
            seconds: stats.work.as_secs_f64(),
            shares: stats.shares().into_iter().map(|(name, share)| (name.to_owned(), share)).collect(),
            queue_depth: stats.depth(),
        }
    }
}

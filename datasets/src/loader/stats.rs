//! What a loader can say of itself.

use super::clock::Stage;
use std::time::Duration;

/// Where the time went so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoaderStats {
    /// Time the consumer waited for batches.
    pub wait: Duration,
    /// Time workers spent preparing samples, summed over workers.
    pub work: Duration,
    /// Batches delivered.
    pub batches: u64,
    /// Samples delivered.
    pub samples: u64,
    /// Samples left out, repetitions included.
    pub skipped: u64,
    /// Of the work, that of each [`Stage`].
    pub stages: [Duration; 3],
    /// Batches that were ready when one was asked for, summed over all that were.
    pub ready: u64,
}

/// Waiting for more than this share of the time is told.
const WAITS: f64 = 0.2;

impl LoaderStats {
    /// The share of `seconds` that was spent waiting for batches, 0 to 1.
    pub fn waiting(&self, seconds: f64) -> f64 {
        self.wait.as_secs_f64() / seconds.max(1e-9)
    }

    /// The time of the stages, and of the rest, as shares of the workers' time.
    pub fn shares(&self) -> [(&'static str, f64); 4] {
        let whole = self.work.as_secs_f64().max(1e-9);
        let of = |stage: Stage| (stage.name(), self.stages[stage as usize].as_secs_f64() / whole);
        let [read, decode, augment] = Stage::ALL.map(of);
        let rest = (1.0 - read.1 - decode.1 - augment.1).max(0.0);
        [read, decode, augment, ("rest", rest)]
    }

    /// Batches that were ready when one was asked for, on average.
    pub fn depth(&self) -> f64 {
        self.ready as f64 / self.batches.max(1) as f64
    }

    /// One line where whoever trains waited more than a fifth of the `seconds` for data; `None` where it did not.
    pub fn verdict(&self, seconds: f64, workers: usize) -> Option<String> {
        let waiting = self.waiting(seconds);
        if waiting <= WAITS || self.batches == 0 {
            return None;
        }
        let (stage, share) = self.shares().into_iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let advice = match stage {
            "read" => "keep the data on a nearer disk, or in larger shards read in blocks",
            "decode" => "store media nearer to the size that the model sees, or give loader.cache_mb more",
            _ => "augment less, or give it more cores",
        };
        let rate = self.samples as f64 / seconds.max(1e-9);
        Some(format!(
            "{:.0} % of the time was spent waiting for data ({rate:.0} samples/s from {workers} workers, {:.0} % of their time is {stage}): {advice}",
            100.0 * waiting,
            100.0 * share
        ))
    }
}

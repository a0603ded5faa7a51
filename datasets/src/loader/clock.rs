//! Where the time of loading goes.

use super::LoaderStats;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of the work on a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Its record is read from the source.
    Read,
    /// Its media are opened, decoded and processed.
    Decode,
    /// They are changed at random.
    Augment,
}

impl Stage {
    /// All, in the order of the work.
    pub const ALL: [Self; 3] = [Self::Read, Self::Decode, Self::Augment];

    /// In messages: `read`, `decode`, `augment`.
    pub fn name(self) -> &'static str {
        ["read", "decode", "augment"][self as usize]
    }
}

thread_local! {
    /// Of the sample that this thread works on.
    static SPENT: Cell<[Duration; 3]> = const { Cell::new([Duration::ZERO; 3]) };
}

/// Does a part of the work on a sample, its time counted as the stage's. Of stages within one another the inner's time is its own.
pub fn timed<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let before = SPENT.get();
    let start = Instant::now();
    let result = work();
    let whole = start.elapsed();
    let mut spent = SPENT.get();
    let inner: Duration = spent.iter().zip(before).map(|(now, then)| now.saturating_sub(then)).sum();
    spent[stage as usize] += whole.saturating_sub(inner);
    SPENT.set(spent);
    result
}

/// What the stages took since this was asked last.
pub(super) fn spent() -> [Duration; 3] {
    SPENT.replace([Duration::ZERO; 3])
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

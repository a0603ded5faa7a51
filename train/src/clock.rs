//! Where a run's time goes, and the means between two lines of its metrics.

use crate::tracking::TrainLine;
use std::collections::BTreeMap;
use std::time::Instant;
use unisono_encoders::{Modality, Model};

/// Wall time, split over the parts of the loop.
pub(crate) struct Clock {
    start: Instant,
    mark: Instant,
    here: BTreeMap<String, f64>,
    /// Seconds by part, of earlier stretches of the run too.
    parts: BTreeMap<String, f64>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = Instant::now();
        Self { start: now, mark: now, here: BTreeMap::new(), parts: BTreeMap::new() }
    }

    /// Goes on from what earlier stretches of the run took.
    pub(crate) fn resume(&mut self, parts: &BTreeMap<String, f64>) {
        self.parts.clone_from(parts);
    }

    /// What passed since the last lap belongs to `part`.
    pub(crate) fn lap(&mut self, part: &str) {
        let spent = self.mark.elapsed().as_secs_f64();
        self.mark = Instant::now();
        for sums in [&mut self.parts, &mut self.here] {
            *sums.entry(part.to_owned()).or_default() += spent;
        }
    }

    /// Seconds by part, of earlier stretches of the run too.
    pub(crate) fn parts(&self) -> &BTreeMap<String, f64> {
        &self.parts
    }

    /// Seconds of the arithmetic of the steps, of earlier stretches of the run too.
    pub(crate) fn busy(&self) -> f64 {
        ["forward", "backward", "optimizer"].iter().filter_map(|p| self.parts.get(*p)).sum()
    }

    /// Seconds since the start.
    pub(crate) fn total(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Seconds of the loop itself: without start, evaluations and checkpoints.
    pub(crate) fn loop_seconds(&self) -> f64 {
        ["data_wait", "forward", "backward", "exchange", "optimizer"]
            .iter()
            .filter_map(|p| self.here.get(*p))
            .sum::<f64>()
            .max(1e-9)
    }

    /// Share of the loop's seconds.
    pub(crate) fn share(&self, part: &str) -> f64 {
        self.here.get(part).copied().unwrap_or(0.0) / self.loop_seconds()
    }

    /// Samples a second of the loop.
    pub(crate) fn rate(&self, samples: u64) -> f64 {
        samples as f64 / self.loop_seconds()
    }
}

/// Sums over the steps since the last line of the metrics.
#[derive(Default)]
pub(crate) struct Window {
    steps: u64,
    samples: usize,
    loss: f64,
    norm: f64,
    lr: f64,
    pairs: BTreeMap<String, (f64, u64)>,
    /// Loop seconds and waiting at the window's start.
    mark: (f64, f64),
}

impl Window {
    pub(crate) fn add(&mut self, loss: f64, norm: f64, lr: f64, samples: usize, losses: &[(String, f64)]) {
        self.steps += 1;
        self.samples += samples;
        self.loss += loss;
        self.norm += norm;
        self.lr = lr;
        for (name, loss) in losses {
            let sum = self.pairs.entry(name.clone()).or_default();
            *sum = (sum.0 + loss, sum.1 + 1);
        }
    }

    /// Whether no step was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// The line of the metrics, and a new window.
    pub(crate) fn take(&mut self, (step, seconds): (u64, f64), model: &Model, clock: &Clock) -> TrainLine {
        let n = self.steps.max(1) as f64;
        let now = (clock.loop_seconds(), clock.share("data_wait") * clock.loop_seconds());
        let spent = (now.0 - self.mark.0).max(1e-9);
        let scale = |(a, b): (Modality, Modality)| {
            model.logit_scale(a, b).map(|s| (format!("{a}_{b}"), s.double_value(&[]).exp()))
        };
        // Names of measures have a part before them, losses' have none.
        let means = self.pairs.iter().map(|(k, (sum, n))| (k.clone(), sum / *n as f64));
        let (geometry, pairs) = means.partition(|(k, _)| k.contains('/'));
        let line = TrainLine {
            step,
            loss: self.loss / n,
            pairs,
            geometry,
            lr: self.lr,
            grad_norm: self.norm / n,
            grad_norms: BTreeMap::new(),
            logit_scales: Modality::PAIRS.into_iter().filter_map(scale).collect(),
            samples_per_second: self.samples as f64 / spent,
            data_wait: (now.1 - self.mark.1) / spent,
            sent_bytes: 0.0,
            world_wait: 0.0,
            energy_kwh: 0.0,
            seconds,
        };
        *self = Self { mark: now, ..Self::default() };
        line
    }
}

//! What the steps of a run send between its processes, and how long they wait for it: evaluations and checkpoints are not counted.

use crate::clock::Clock;
use crate::events::{Exchanged, StepReport};
use crate::tracking::TrainLine;
use crate::world::{Traffic, World};

/// Sums over the steps.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    steps: u64,
    all: Traffic,
    /// Of the last step.
    last: u64,
    /// Sums at the last line of the metrics.
    line: (u64, Traffic, f64),
    mark: Traffic,
}

impl Exchange {
    /// A step begins.
    pub(crate) fn begin(&mut self, world: &World) {
        self.mark = world.traffic();
    }

    /// It is done.
    pub(crate) fn end(&mut self, world: &World) {
        let now = world.traffic();
        self.last = now.bytes - self.mark.bytes;
        self.steps += 1;
        self.all.bytes += self.last;
        self.all.seconds += now.seconds - self.mark.seconds;
    }

    /// A step's numbers, with these.
    pub(crate) fn report(&self, clock: &Clock, report: StepReport) -> StepReport {
        let world_wait = self.all.seconds / clock.loop_seconds();
        StepReport { sent_bytes: self.last, world_wait, ..report }
    }

    /// A line of the metrics, with the means since the line before.
    pub(crate) fn line(&mut self, clock: &Clock, line: TrainLine) -> TrainLine {
        let (steps, before, spent) = self.line;
        let now = clock.loop_seconds();
        self.line = (self.steps, self.all, now);
        TrainLine {
            sent_bytes: (self.all.bytes - before.bytes) as f64 / (self.steps - steps).max(1) as f64,
            world_wait: (self.all.seconds - before.seconds) / (now - spent).max(1e-9),
            ..line
        }
    }

    /// The run's end.
    pub(crate) fn summary(&self, world: &World, clock: &Clock) -> Option<Exchanged> {
        (!world.is_alone()).then(|| Exchanged {
            processes: world.size(),
            bytes_a_step: self.all.bytes as f64 / self.steps.max(1) as f64,
            wait: self.all.seconds / clock.loop_seconds(),
        })
    }
}

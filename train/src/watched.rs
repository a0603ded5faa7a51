//! A watched ability: its figures over a run, and how they are told.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use unisono_eval::protocol::{Outcome, shown};

/// A watched ability's figures, all of one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// The primary metric of the protocol.
    pub metric: String,
    /// Before the first step.
    pub start: f64,
    /// When it was measured last.
    pub last: f64,
    /// The lowest so far.
    pub lowest: f64,
    /// The step of the lowest.
    pub at: u64,
    /// Whether the last one is lower than the first by more than the recipe tolerates.
    pub fell: bool,
}

/// What was found of the abilities: a line of the metrics.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CanaryLine {
    /// Steps done.
    pub step: u64,
    /// The figures by protocol.
    pub figures: BTreeMap<String, Watched>,
    /// What each protocol found.
    pub outcomes: BTreeMap<String, Outcome>,
    /// Seconds since the run began.
    pub seconds: f64,
}

impl Watched {
    pub(crate) fn see(&mut self, value: f64, step: u64, tolerance: f64) {
        self.last = value;
        if value < self.lowest {
            (self.lowest, self.at) = (value, step);
        }
        // As many digits as points are told with: a fall of exactly the tolerance is none.
        self.fell = 100.0 * (self.start - value) > tolerance + 1e-9;
    }

    /// `R@5 63.2 % → 58.1 %`.
    pub fn shown(&self) -> String {
        let (start, last) = (shown(&self.metric, self.start), shown(&self.metric, self.last));
        let number = last.strip_prefix(start.split_once(' ').map_or("", |(name, _)| name));
        format!("{start} → {}", number.unwrap_or(&last).trim_start())
    }
}

/// What is said of an ability that fell.
pub(crate) fn warning(name: &str, watched: &Watched, step: u64, tolerance: f64) -> String {
    format!(
        "warning: {name} fell: {} at step {step}, more than the {tolerance} points that canary.tolerance allows; a lower optimizer.lr, fewer layers in \
         adapter.match or more of them frozen keeps more, and `unisono model interpolate` blends the run with what it began from",
        watched.shown()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fall_is_told_beyond_the_tolerance() {
        let mut watched =
            Watched { metric: "r5".into(), start: 0.5, last: 0.5, lowest: 0.5, at: 0, fell: false };
        for (value, step, fell, lowest, at) in [
            (0.48, 10, false, 0.48, 10),
            (0.45, 20, true, 0.45, 20),
            (0.47, 30, true, 0.45, 20),
            (0.6, 40, false, 0.45, 20),
        ] {
            watched.see(value, step, 2.0);
            assert_eq!((watched.fell, watched.lowest, watched.at), (fell, lowest, at), "{step}");
        }
        watched.last = 0.45;
        assert_eq!(watched.shown(), "R@5 50.0 % → 45.0 %");
        let said = warning("photos", &watched, 20, 2.0);
        assert!(
            said.starts_with("warning: photos fell: R@5 50.0 % → 45.0 % at step 20") && !said.contains('\n')
        );
        watched.metric = "cider_d".into();
        assert_eq!(watched.shown(), "CIDEr-D 0.50 → 0.45");
    }
}

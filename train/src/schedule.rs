//! The learning rate over the steps.

use crate::recipe::{DecayShape, OptimizerConfig, Schedule};
use std::f64::consts::PI;

/// Linear warm-up from 0 to the peak, then what the schedule says, down to `final_lr` times the peak.
/// `step` counts from 0, the last one is `steps - 1`.
pub fn learning_rate(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    if step < config.warmup {
        return config.lr * (step + 1) as f64 / config.warmup as f64;
    }
    config.lr * (config.final_lr + (1.0 - config.final_lr) * left(config, step, steps))
}

/// How much of the way from `final_lr` to the peak is left after the warm-up, 1 to 0.
fn left(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    // How much of the fall that begins at `from` is done.
    let done = |from: u64| {
        let span = steps.saturating_sub(from).max(1) as f64;
        (step.saturating_sub(from) as f64 / span).min(1.0)
    };
    let cosine = |done: f64| 0.5 * (1.0 + (PI * done).cos());
    match config.schedule {
        Schedule::Constant => 1.0,
        Schedule::Cosine => cosine(done(config.warmup)),
        Schedule::Linear => 1.0 - done(config.warmup),
        Schedule::Wsd => {
            let falling = (config.decay_share() * steps as f64).round() as u64;
            let done = done(steps.saturating_sub(falling).max(config.warmup));
            match config.decay_shape.unwrap_or_default() {
                DecayShape::Linear => 1.0 - done,
                DecayShape::Cosine => cosine(done),
                DecayShape::Sqrt => 1.0 - done.sqrt(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(text: &str, steps: u64, at: &[u64]) -> Vec<f64> {
        let c: OptimizerConfig = toml::from_str(text).unwrap();
        at.iter().map(|s| learning_rate(&c, *s, steps)).collect()
    }

    fn near(a: &[f64], b: &[f64]) {
        assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9), "{a:?} {b:?}");
    }

    #[test]
    fn warms_up_and_decays() {
        let c: OptimizerConfig = toml::from_str("lr = 2.0\nwarmup = 4\nfinal_lr = 0.1").unwrap();
        let at = |s| learning_rate(&c, s, 104);
        assert_eq!((at(0), at(3), at(4)), (0.5, 2.0, 2.0));
        assert!((at(54) - 2.0 * (0.1 + 0.9 * 0.5)).abs() < 1e-12);
        assert!((at(104) - 0.2).abs() < 1e-12);
        assert!((4..104).all(|s| at(s + 1) <= at(s)));
    }

    #[test]
    fn straight_lines() {
        let head = "lr = 2.0\nwarmup = 4\n";
        near(&rates(&format!("{head}schedule = \"constant\""), 104, &[1, 4, 103]), &[1.0, 2.0, 2.0]);
        let linear = format!("{head}schedule = \"linear\"\nfinal_lr = 0.5");
        near(&rates(&linear, 104, &[4, 54, 104]), &[2.0, 1.5, 1.0]);
    }

    /// What follows the warm-up is `get_wsd_schedule` of `transformers` with 4 steps of warm-up, 76 stable and 20 of decay:
    /// ```python
    /// o = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    /// for shape in ("linear", "cosine", "1-sqrt"):
    ///     s = transformers.get_wsd_schedule(o, 4, 20, num_training_steps=100, min_lr_ratio=0.1, decay_type=shape)
    ///     print([round(s.lr_lambdas[0](t), 9) for t in (4, 79, 80, 85, 99)])
    /// ```
    #[test]
    fn stays_and_falls_as_transformers_has_it() {
        for (shape, expected) in [
            ("linear", [1.0, 1.0, 1.0, 0.775, 0.145]),
            ("cosine", [1.0, 1.0, 1.0, 0.868198052, 0.105540247]),
            ("sqrt", [1.0, 1.0, 1.0, 0.55, 0.122788509]),
        ] {
            let text = format!(
                "lr = 1.0\nwarmup = 4\nfinal_lr = 0.1\nschedule = \"wsd\"\ndecay_shape = \"{shape}\""
            );
            near(&rates(&text, 100, &[4, 79, 80, 85, 99]), &expected);
        }
        // No longer than what the warm-up leaves.
        let all = "lr = 1.0\nwarmup = 50\nschedule = \"wsd\"\ndecay_share = 1.0";
        near(&rates(all, 100, &[49, 50, 75]), &[1.0, 1.0, 0.5]);
    }
}

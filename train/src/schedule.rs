//! The learning rate over the steps.

use crate::recipe::OptimizerConfig;

/// Linear warm-up from 0 to the peak, then half a cosine down to `final_lr` times the peak.
/// `step` counts from 0, the last one is `steps - 1`.
pub fn learning_rate(config: &OptimizerConfig, step: u64, steps: u64) -> f64 {
    if step < config.warmup {
        return config.lr * (step + 1) as f64 / config.warmup as f64;
    }
    let span = steps.saturating_sub(config.warmup).max(1) as f64;
    let done = ((step - config.warmup) as f64 / span).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
    config.lr * (config.final_lr + (1.0 - config.final_lr) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warms_up_and_decays() {
        let c: OptimizerConfig = toml::from_str("lr = 2.0\nwarmup = 4\nfinal_lr = 0.1").unwrap();
        let at = |s| learning_rate(&c, s, 104);
        assert_eq!((at(0), at(3), at(4)), (0.5, 2.0, 2.0));
        assert!((at(54) - 2.0 * (0.1 + 0.9 * 0.5)).abs() < 1e-12);
        assert!((at(104) - 0.2).abs() < 1e-12);
        assert!((4..104).all(|s| at(s + 1) <= at(s)));
    }
}

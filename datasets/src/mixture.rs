//! How many records of each source a batch holds, where shares are no whole numbers.

use crate::{Error, Result};

/// Places after which the counts repeat: a share is met to a millionth.
const PLACES: usize = 1 << 20;

/// Batches of one size in which each share comes as near to its weight as whole numbers allow, at any step.
#[derive(Debug, Clone)]
pub(crate) struct Mixture {
    /// For each step of a period and each share, the draws before it.
    before: Vec<Vec<u64>>,
}

impl Mixture {
    /// Of `batch` places by `weights`, which need not add up to one: each place goes to the share that is owed it most, by the divisors of
    /// Sainte-Laguë, under which no share ever loses what it had.
    ///
    /// # Errors
    /// A weight that is no positive number, or so small that it never comes.
    pub(crate) fn new(weights: &[f64], batch: usize) -> Result<Self> {
        if let Some(wrong) = weights.iter().find(|w| !(w.is_finite() && **w > 0.0)) {
            return Err(Error::Options(format!("a weight must be a positive number, found {wrong}")));
        }
        let period = (PLACES / batch.max(1)).clamp(16, 1000);
        let mut counts = vec![0u64; weights.len()];
        let mut before = vec![counts.clone()];
        for _ in 0..period {
            for _ in 0..batch {
                let owed = |i: usize| weights[i] / (2 * counts[i] + 1) as f64;
                let next = (0..counts.len()).reduce(|a, b| if owed(b) > owed(a) { b } else { a });
                next.into_iter().for_each(|i| counts[i] += 1);
            }
            before.push(counts.clone());
        }
        if let Some(never) = counts.iter().position(|c| *c == 0) {
            let (weight, total, places) = (weights[never], weights.iter().sum::<f64>(), period * batch);
            return Err(Error::Options(format!(
                "a weight of {weight} among {total} gives less than one record in {places}: raise it, or leave the source out"
            )));
        }
        Ok(Self { before })
    }

    /// Draws of a share before a step.
    pub(crate) fn before(&self, share: usize, step: u64) -> u64 {
        let of = |row: u64| self.before.get(row as usize).and_then(|r| r.get(share)).copied().unwrap_or(0);
        let period = self.before.len() as u64 - 1;
        step / period * of(period) + of(step % period)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_batch_is_full_and_every_share_is_met(
            weights in prop::collection::vec(0.05f64..20.0, 1..7),
            batch in 1usize..70,
        ) {
            let mixture = Mixture::new(&weights, batch).unwrap();
            let total: f64 = weights.iter().sum();
            for step in 0..2500u64 {
                let counts = (0..weights.len()).map(|s| mixture.before(s, step + 1).checked_sub(mixture.before(s, step)));
                let counts: Option<Vec<u64>> = counts.collect();
                prop_assert_eq!(counts.map(|c| c.iter().sum()), Some(batch as u64));
                for (share, weight) in weights.iter().enumerate() {
                    let ideal = weight / total * batch as f64 * step as f64;
                    // Two places at any step, and what a period of a thousand rounds.
                    let slack = 2.0 + step as f64 / 500.0;
                    prop_assert!((mixture.before(share, step) as f64 - ideal).abs() <= slack);
                }
            }
        }
    }

    #[test]
    fn what_never_comes_is_refused() {
        assert!(Mixture::new(&[1.0, 0.0], 8).is_err());
        assert!(Mixture::new(&[1.0, f64::NAN], 8).is_err());
        let said = Mixture::new(&[1.0, 1e-9], 8).unwrap_err().to_string();
        assert!(said.contains("less than one record in 8000"), "{said}");
    }
}

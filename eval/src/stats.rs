//! Estimates with intervals: percentiles and the cluster bootstrap.

use std::{collections::HashMap, fmt};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A measured value with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The value over the whole sample.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Estimate {
    /// A value known without error, for instance a count.
    pub fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// A fraction in per cent: `27.1 [24.5, 29.8]`.
    pub fn percent(&self) -> String {
        Self { value: 100.0 * self.value, low: 100.0 * self.low, high: 100.0 * self.high }.to_string()
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} [{:.1}, {:.1}]", self.value, self.low, self.high)
    }
}

/// The `p`-quantile, 0 ≤ `p` ≤ 1, of ascending values, linear between neighbours (type 7 of Hyndman & Fan, 1996).
///
/// `None` for an empty slice.
pub fn percentile(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let at = p.clamp(0.0, 1.0) * last as f64;
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (at - at.floor()) * (sorted[above] - sorted[below]))
}

/// Units that are drawn together: queries that share a label are not independent of each other, so the bootstrap
/// draws labels, not queries.
#[derive(Debug, Clone)]
pub struct Clusters {
    of: Vec<usize>,
    count: usize,
}

impl Clusters {
    /// Groups items by equal keys, numbered by first appearance.
    pub fn by_key<'a>(keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut number = HashMap::new();
        let of = keys
            .into_iter()
            .map(|key| {
                let next = number.len();
                *number.entry(key).or_insert(next)
            })
            .collect();
        Self { of, count: number.len() }
    }

    /// Number of clusters.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The cluster of each item.
    pub fn of(&self) -> &[usize] {
        &self.of
    }
}

/// The percentile bootstrap (Efron & Tibshirani, 1993, ch. 13), seeded: the same input gives the same interval on any
/// number of threads.
///
/// With a handful of clusters, or when every query hits or misses, the interval is too narrow: percentile bootstrap
/// cannot show a spread that the sample does not have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
    /// Coverage asked for, 0 to 1.
    pub level: f64,
}

impl Default for Bootstrap {
    /// 2,000 resamples, 95 %.
    fn default() -> Self {
        Self { resamples: 2000, seed: 0, level: 0.95 }
    }
}

impl Bootstrap {
    /// Estimates `N` statistics of one sample from shared resamples.
    ///
    /// `statistics` receives how often each cluster was drawn (all ones for the sample itself).
    ///
    /// # Errors
    /// No cluster, no resample, or a level outside 0 to 1.
    pub fn estimate<const N: usize>(
        &self,
        clusters: usize,
        statistics: impl Fn(&[u32]) -> [f64; N] + Sync,
    ) -> Result<[Estimate; N]> {
        if clusters == 0 {
            return Err(Error::Empty { what: "bootstrap" });
        }
        if self.resamples == 0 {
            let found = self.resamples.to_string();
            return Err(Error::Setting { what: "bootstrap resamples", found, expected: "take 1000 or more" });
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            let found = self.level.to_string();
            return Err(Error::Setting {
                what: "bootstrap level",
                found,
                expected: "take a number between 0 and 1",
            });
        }
        let values = statistics(&vec![1; clusters]);
        let drawn: Vec<[f64; N]> = (0..self.resamples as u64)
            .into_par_iter()
            .map_init(
                || vec![0u32; clusters],
                |weights, resample| {
                    // One stream a resample, so that the order in which threads take them changes nothing.
                    let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
                    rng.set_stream(resample);
                    weights.fill(0);
                    for _ in 0..clusters {
                        weights[rng.random_range(0..clusters)] += 1;
                    }
                    statistics(weights)
                },
            )
            .collect();
        let tail = (1.0 - self.level) / 2.0;
        Ok(std::array::from_fn(|n| {
            let mut column: Vec<f64> = drawn.iter().map(|row| row[n]).collect();
            column.sort_by(f64::total_cmp);
            let value = values[n];
            let low = percentile(&column, tail).unwrap_or(value);
            let high = percentile(&column, 1.0 - tail).unwrap_or(value);
            Estimate { value, low, high }
        }))
    }

    /// The mean of `values`, resampled by cluster.
    ///
    /// # Errors
    /// As [`Bootstrap::estimate`], or when values and clusters differ in number.
    pub fn mean(&self, values: &[f64], clusters: &Clusters) -> Result<Estimate> {
        let sums = ClusterSums::new(values, clusters)?;
        let [estimate] = self.estimate(clusters.count(), |weights| [sums.mean(weights)])?;
        Ok(estimate)
    }
}

/// Per-cluster sums: a resampled mean then costs one pass over clusters, not over items.
pub(crate) struct ClusterSums {
    sums: Vec<(f64, f64)>,
}

impl ClusterSums {
    pub(crate) fn new(values: &[f64], clusters: &Clusters) -> Result<Self> {
        if values.len() != clusters.of.len() {
            let (expected, found) = (values.len(), clusters.of.len());
            return Err(Error::Count { what: "clusters", expected, found });
        }
        let mut sums = vec![(0.0, 0.0); clusters.count];
        for (&value, &cluster) in values.iter().zip(&clusters.of) {
            sums[cluster].0 += value;
            sums[cluster].1 += 1.0;
        }
        Ok(Self { sums })
    }

    pub(crate) fn mean(&self, weights: &[u32]) -> f64 {
        let (sum, count) = self.sums.iter().zip(weights).fold((0.0, 0.0), |(s, n), (&(sum, count), &w)| {
            (s + f64::from(w) * sum, n + f64::from(w) * count)
        });
        sum / count
    }
}

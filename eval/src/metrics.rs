//! Retrieval metrics with intervals and chance.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result, chance,
    retrieval::{QueryRank, Ranks},
    stats::{Bootstrap, ClusterSums, Clusters, Estimate},
};

/// What one protocol measured: `from` queries the gallery of `to`.
///
/// Recalls and chances are fractions, 0 to 1. R@k is the share of queries with *a* relevant item among the first k
/// (also called hit rate), the usual meaning in image-text retrieval; ties count as [`QueryRank`] says.
/// Intervals are percentile bootstrap over the queries' labels ([`Clusters`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetrievalMetrics {
    /// Modality of the queries: `text`, `image`, `audio`…
    pub from: String,
    /// Modality of the gallery.
    pub to: String,
    /// Queries scored.
    pub queries: usize,
    /// Queries left out because their gallery holds no relevant item.
    pub left_out: usize,
    /// Gallery size; the mean over queries when each meets only a part.
    pub gallery: f64,
    /// Mean number of relevant items a query has.
    pub relevant: f64,
    /// R@1 of random order, exact.
    pub chance_r1: f64,
    /// R@5 of random order, exact.
    pub chance_r5: f64,
    /// R@10 of random order, exact.
    pub chance_r10: f64,
    /// Recall at 1.
    pub r1: Estimate,
    /// Recall at 5.
    pub r5: Estimate,
    /// Recall at 10.
    pub r10: Estimate,
    /// Median rank of the first relevant item, 1 is best.
    pub median_rank: Estimate,
    /// Mean reciprocal rank.
    pub mrr: Estimate,
}

impl RetrievalMetrics {
    /// Summarises ranks. `query_keys` are those given to [`crate::retrieval::ranks`]: queries that share a key are
    /// resampled together.
    ///
    /// # Errors
    /// No rank at all, a rank whose query has no key, or bootstrap settings out of range.
    pub fn new(
        from: &str,
        to: &str,
        ranks: &Ranks,
        query_keys: &[&str],
        bootstrap: &Bootstrap,
    ) -> Result<Self> {
        let outcomes = &ranks.queries;
        if outcomes.is_empty() {
            return Err(Error::Empty { what: "retrieval metrics" });
        }
        let keys: Vec<&str> = outcomes.iter().filter_map(|o| query_keys.get(o.query).copied()).collect();
        if keys.len() != outcomes.len() {
            let (expected, found) = (outcomes.len() + ranks.left_out.len(), query_keys.len());
            return Err(Error::Count { what: "query keys", expected, found });
        }
        let clusters = Clusters::by_key(keys);
        let sums = |value: fn(&QueryRank) -> f64| {
            ClusterSums::new(&outcomes.iter().map(value).collect::<Vec<_>>(), &clusters)
        };
        let (hit1, hit5, hit10) = (sums(|o| o.hit(1))?, sums(|o| o.hit(5))?, sums(|o| o.hit(10))?);
        let reciprocal = sums(QueryRank::reciprocal)?;
        let mut by_rank: Vec<(f64, usize)> =
            outcomes.iter().map(|o| o.rank).zip(clusters.of().iter().copied()).collect();
        by_rank.sort_by(|a, b| a.0.total_cmp(&b.0));
        let [r1, r5, r10, mrr, median_rank] = bootstrap.estimate(clusters.count(), |weights| {
            let means = [&hit1, &hit5, &hit10, &reciprocal].map(|sums| sums.mean(weights));
            [means[0], means[1], means[2], means[3], weighted_median(&by_rank, weights)]
        })?;
        let mean = |value: &dyn Fn(&QueryRank) -> f64| {
            outcomes.iter().map(value).sum::<f64>() / outcomes.len() as f64
        };
        let chance_at = |k| mean(&|o| chance::recall_at(k, o.gallery, o.relevant));
        Ok(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            queries: outcomes.len(),
            left_out: ranks.left_out.len(),
            gallery: mean(&|o| o.gallery as f64),
            relevant: mean(&|o| o.relevant as f64),
            chance_r1: chance_at(1),
            chance_r5: chance_at(5),
            chance_r10: chance_at(10),
            r1,
            r5,
            r10,
            median_rank,
            mrr,
        })
    }

    /// Recall at 1, 5 and 10 with their `k`.
    pub fn recalls(&self) -> [(usize, Estimate, f64); 3] {
        [(1, self.r1, self.chance_r1), (5, self.r5, self.chance_r5), (10, self.r10, self.chance_r10)]
    }
}

/// The median of `(value, cluster)` pairs in ascending order, each counted as often as its cluster was drawn; the mean
/// of the two middle values when their number is even.
fn weighted_median(sorted: &[(f64, usize)], weights: &[u32]) -> f64 {
    let total: u64 = sorted.iter().map(|&(_, cluster)| u64::from(weights[cluster])).sum();
    let (lower, upper) = (total.saturating_sub(1) / 2, total / 2);
    let (mut seen, mut low) = (0, None);
    for &(value, cluster) in sorted {
        seen += u64::from(weights[cluster]);
        if low.is_none() && seen > lower {
            low = Some(value);
        }
        if seen > upper {
            return (low.unwrap_or(value) + value) / 2.0;
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_median_is_that_of_the_list_written_out(
            values in proptest::collection::vec((0..9u8, 0..4usize), 1..12), weights in proptest::collection::vec(0..4u32, 4),
        ) {
            let mut sorted: Vec<(f64, usize)> = values.iter().map(|&(v, c)| (f64::from(v), c)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let list: Vec<f64> = sorted.iter().flat_map(|&(v, c)| vec![v; weights[c] as usize]).collect();
            let found = weighted_median(&sorted, &weights);
            match list.len() {
                0 => prop_assert!(found.is_nan()),
                n => prop_assert_eq!(found, (list[(n - 1) / 2] + list[n / 2]) / 2.0),
            }
        }
    }
}

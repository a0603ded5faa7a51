//! Exact search: every vector is compared, on all cores.

use crate::vectors::similarity;
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Ordering;

/// Values a thread takes at once: large enough to make the hand-over free, small enough to share the work evenly.
const BLOCK: usize = 1 << 16;

/// A row found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hit {
    /// Its row.
    pub index: usize,
    /// Its similarity to the query: the cosine, when both have length 1.
    pub score: f32,
}

impl Eq for Hit {}

impl Ord for Hit {
    /// Best first: the higher score, and of equal scores the lower row. A total order, so what is found depends neither on
    /// the number of threads nor on who was first.
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Hit {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `k` rows of `vectors` `[N, D]` most similar to `query` `[D]` among those that `keep` allows, best first, ties by row.
///
/// A vector is read once and nothing is written but the best `k` of each thread, so that memory's bandwidth is the limit:
/// 1,000,000 × 128 floats took 12.9 ms (39.8 GB/s) on two cores of an AMD EPYC, where summing the same memory ran at 38–40 GB/s.
pub fn top(vectors: &[f32], query: &[f32], k: usize, keep: impl Fn(usize) -> bool + Sync) -> Vec<Hit> {
    top_where(vectors, query, k, keep, |_| true)
}

/// [`top`] among those that `admit` allows, too, which is only asked of rows that are better than what a thread has found so far: it may take long.
pub fn top_where(
    vectors: &[f32],
    query: &[f32],
    k: usize,
    keep: impl Fn(usize) -> bool + Sync,
    admit: impl Fn(usize) -> bool + Sync,
) -> Vec<Hit> {
    let dim = query.len();
    if dim == 0 {
        return Vec::new();
    }
    let score = |_: usize, row: usize| similarity(query, &vectors[row * dim..(row + 1) * dim]);
    let found = top_scored(vectors.len() / dim, (BLOCK / dim).max(1), 1, k, score, keep, admit);
    found.into_iter().next().unwrap_or_default()
}

/// The `k` best of so many rows for each of so many queries, by `score(query, row)`, among those that `keep` and `admit` allow. A thread takes `block` rows
/// at a time and scores them for every query before it goes on, so that they are read once.
pub(crate) fn top_scored(
    rows: usize,
    block: usize,
    queries: usize,
    k: usize,
    score: impl Fn(usize, usize) -> f32 + Sync,
    keep: impl Fn(usize) -> bool + Sync,
    admit: impl Fn(usize) -> bool + Sync,
) -> Vec<Vec<Hit>> {
    if k == 0 || queries == 0 {
        return vec![Vec::new(); queries];
    }
    let begin = || (vec![Best::new(k); queries], Vec::with_capacity(block));
    let best = (0..rows.div_ceil(block))
        .into_par_iter()
        .fold(begin, |(mut best, mut kept), number| {
            kept.clear();
            kept.extend((number * block..rows.min((number + 1) * block)).filter(|row| keep(*row)));
            for (query, best) in best.iter_mut().enumerate() {
                for index in kept.iter().copied() {
                    let hit = Hit { index, score: score(query, index) };
                    if best.takes(&hit) && admit(index) {
                        best.offer(hit);
                    }
                }
            }
            (best, kept)
        })
        .map(|(best, _)| best)
        .reduce(
            || vec![Best::new(k); queries],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| a.take(b));
                a
            },
        );
    best.into_iter().map(Best::sorted).collect()
}

/// The best `k` of what was offered. Hits that may be among them gather, and now and then those that are not go: for many, less work than a heap.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    k: usize,
    hits: Vec<Hit>,
    /// The worst of the best when it was looked at last: what comes behind it is not among them.
    worst: Option<Hit>,
}

impl Best {
    /// Hits that gather beyond `k` at least.
    const ROOM: usize = 32;

    pub(crate) fn new(k: usize) -> Self {
        Self { k, hits: Vec::new(), worst: None }
    }

    /// Whether a hit may be among them.
    #[inline]
    pub(crate) fn takes(&self, hit: &Hit) -> bool {
        self.worst.as_ref().is_none_or(|worst| hit < worst)
    }

    #[inline]
    pub(crate) fn offer(&mut self, hit: Hit) {
        if self.takes(&hit) {
            self.hits.push(hit);
            if self.hits.len() >= self.k + self.k.max(Self::ROOM) {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if let Some(last) = self.k.checked_sub(1).filter(|last| *last < self.hits.len()) {
            let (_, worst, _) = self.hits.select_nth_unstable(last);
            self.worst = Some(*worst);
        }
        self.hits.truncate(self.k);
    }

    /// With what another one has.
    pub(crate) fn take(&mut self, other: Self) {
        other.hits.into_iter().for_each(|hit| self.offer(hit));
    }

    /// No lower score would be among them.
    pub(crate) fn least(&self) -> f32 {
        self.worst.map_or(f32::NEG_INFINITY, |worst| worst.score)
    }

    /// Best first.
    pub(crate) fn sorted(mut self) -> Vec<Hit> {
        self.cut();
        self.hits.sort_unstable();
        self.hits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(vectors: &[f32], query: &[f32], k: usize, keep: impl Fn(usize) -> bool) -> Vec<Hit> {
        let scores = vectors.chunks_exact(query.len()).map(|v| similarity(query, v)).enumerate();
        let mut all: Vec<(usize, f32)> = scores.filter(|(i, _)| keep(*i)).collect();
        all.sort_by(|a, b| b.1.partial_cmp(&a.1).unwrap().then(a.0.cmp(&b.0)));
        all.truncate(k);
        all.into_iter().map(|(index, score)| Hit { index, score }).collect()
    }

    proptest! {
        #[test]
        fn equals_a_sort(
            // Few distinct values make many ties.
            values in prop::collection::vec(-2i8..=2, 0..600),
            dim in 1usize..9,
            k in 0usize..30,
            modulus in 1usize..4,
        ) {
            let n = values.len() / dim * dim;
            let vectors: Vec<f32> = values[..n].iter().map(|v| f32::from(*v)).collect();
            let query: Vec<f32> = (0..dim).map(|i| (i % 3) as f32 - 1.0).collect();
            let keep = |i: usize| i.is_multiple_of(modulus);
            prop_assert_eq!(top(&vectors, &query, k, keep), naive(&vectors, &query, k, keep));
            let both = |i: usize| keep(i) && i % 3 != 1;
            let found = top_where(&vectors, &query, k, keep, |i| i % 3 != 1);
            prop_assert_eq!(found, naive(&vectors, &query, k, both));
        }
    }

    #[test]
    fn many_blocks_and_many_ties() {
        let dim = 128;
        let vectors: Vec<f32> = (0..5000 * dim).map(|i| ((i / dim * 7919) % 97) as f32).collect();
        let query = vec![1.0; dim];
        assert_eq!(top(&vectors, &query, 100, |_| true), naive(&vectors, &query, 100, |_| true));
        assert_eq!(top(&vectors, &query, 9000, |_| true).len(), 5000);
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        assert!(top(&[], &[1.0], 3, |_| true).is_empty());
        assert!(top(&[1.0], &[], 3, |_| true).is_empty());
        assert!(top(&[1.0, 2.0], &[1.0], 3, |_| false).is_empty());
    }
}

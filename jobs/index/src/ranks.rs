//! Finding by words, and putting several orders into one.

use crate::words::terms;
use crate::{Error, Filter, Hit, Index, Result};
use std::collections::{BTreeMap, HashMap};
use unisono_processors::Modality;

/// How soon a word that comes again counts no more, and how much a long text is held back: BM25's usual numbers (Robertson and Zaragoza, 2009).
const K1: f64 = 1.2;
const B: f64 = 0.75;
/// What ranks are counted from when orders are put together (Cormack, Clarke and Büttcher, SIGIR 2009).
const FIRST: f64 = 60.0;

impl<I: Sync> Index<I> {
    /// The `k` items whose texts, captions, labels, file names and keys have most of the words of `query`, best first, by BM25, among those that a filter
    /// lets through, without these rows. Words count by how rare they are among all rows, removed ones with the others until the index is compacted.
    ///
    /// # Errors
    /// A query without a word; a segment that was written without its words.
    pub fn search_words(
        &self,
        query: &str,
        k: usize,
        filter: &Filter,
        without: &[usize],
    ) -> Result<Vec<Hit>> {
        let mut asked: BTreeMap<String, f64> = BTreeMap::new();
        terms(query, &mut |term| *asked.entry(term.to_owned()).or_default() += 1.0);
        if asked.is_empty() {
            return Err(Error::Query(format!(
                "{query:?} has no word to look for: expected letters or digits"
            )));
        }
        let (mut rows, mut total) = (0usize, 0u64);
        let mut segments = Vec::new();
        for segment in self.segments() {
            let words = segment.words().ok_or_else(|| {
                let message = "it was written without an index of words; `unisono index compact` makes one";
                Error::format(self.folder(), message)
            })?;
            rows += segment.rows();
            total += words.total();
            let found: Vec<_> = asked.keys().map(|term| words.rows(term)).collect();
            segments.push((segment, words, found));
        }
        let mean = (total as f64 / rows.max(1) as f64).max(1.0);
        let weights: Vec<f64> = asked
            .values()
            .enumerate()
            .map(|(n, often)| {
                let has: usize = segments.iter().filter_map(|(_, _, found)| found.get(n)).map(Vec::len).sum();
                // How rare it is; never below zero.
                often * (1.0 + (rows as f64 - has as f64 + 0.5) / (has as f64 + 0.5)).ln()
            })
            .collect();
        let (mut hits, mut before) = (Vec::new(), 0);
        for (segment, words, found) in segments {
            let mut scores: HashMap<usize, f64> = HashMap::new();
            for (weight, found) in weights.iter().zip(found) {
                for (row, often) in found {
                    let (often, long) = (f64::from(often), f64::from(words.count(row)) / mean);
                    *scores.entry(row).or_default() +=
                        weight * often * (K1 + 1.0) / (often + K1 * (1.0 - B + B * long));
                }
            }
            let mut own: Vec<Hit> = scores
                .into_iter()
                .map(|(row, score)| Hit { index: before + row, score: score as f32 })
                .collect();
            own.sort_unstable();
            let passes = |hit: &Hit| {
                !without.contains(&hit.index)
                    && segment.is_found(hit.index - before)
                    && self.passes(hit.index, filter)
            };
            hits.extend(own.into_iter().filter(passes).take(k));
            before += segment.len();
        }
        hits.sort();
        hits.truncate(k);
        Ok(hits)
    }
}

impl<I> Index<I> {
    /// One order of what is meant, by a query of modality `from`, and of what has its words: each hit counts by how rare it is, in nats. BM25 adds up the logarithms of
    /// how rare words are; beside it stands the logarithm of how few random pairs score as high as the cosine. What is not among `meant` is as rare as the last of
    /// them. The `k` best; none where how random pairs score is not known of all of them.
    pub fn fuse(&self, from: Modality, meant: &[Hit], said: &[Hit], k: usize) -> Option<Vec<Hit>> {
        let rarity = |hit: &Hit| Some((hit.index, -self.chance(from, hit)?.ln()));
        let mut sums: BTreeMap<usize, f64> = meant.iter().map(rarity).collect::<Option<_>>()?;
        let least = sums.values().copied().reduce(f64::min)?;
        for hit in said {
            *sums.entry(hit.index).or_insert(least) += f64::from(hit.score);
        }
        Some(best(sums, k))
    }
}

fn best(sums: BTreeMap<usize, f64>, k: usize) -> Vec<Hit> {
    let mut hits: Vec<Hit> =
        sums.into_iter().map(|(index, score)| Hit { index, score: score as f32 }).collect();
    hits.sort();
    hits.truncate(k);
    hits
}

/// One order of several: each hit counts by its places in them, `1 / (60 + place)` added up, whatever its scores there are. The `k` best.
pub fn fuse(orders: &[Vec<Hit>], k: usize) -> Vec<Hit> {
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for order in orders {
        for (place, hit) in order.iter().enumerate() {
            *sums.entry(hit.index).or_default() += 1.0 / (FIRST + 1.0 + place as f64);
        }
    }
    best(sums, k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_and_scores_do_not() {
        let order = |rows: &[usize]| -> Vec<Hit> {
            rows.iter().map(|row| Hit { index: *row, score: *row as f32 * 1e6 }).collect()
        };
        let fused = fuse(&[order(&[4, 7, 9]), order(&[7, 1])], 3);
        assert_eq!(fused.iter().map(|hit| hit.index).collect::<Vec<_>>(), [7, 4, 1]);
        assert!((fused[0].score - (1.0 / 61.0 + 1.0 / 62.0)).abs() < 1e-6);
        assert_eq!(fuse(&[order(&[3, 2])], 9).len(), 2);
        assert!(fuse(&[], 9).is_empty());
    }
}

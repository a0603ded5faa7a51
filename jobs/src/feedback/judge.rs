//! How well a model finds what votes say is right.

use super::votes::Voted;
use crate::{Embedder, Error, Index, Modality, Result, similarity};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Hits that are looked at.
const TOP: usize = 10;

/// What was found of what is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Judged {
    /// Queries with something right in the index.
    pub queries: usize,
    /// Of a query's right hits the share among its first ten, in the mean over queries.
    pub recall: f64,
    /// One over the place of the first right hit, zero beyond the tenth, in the mean.
    pub mrr: f64,
    /// Of pairs of a right and a wrong hit of one query the share in which the right one is nearer; none where there are no such pairs.
    pub order: Option<f64>,
}

impl Judged {
    /// Whether this is more than `before`: by recall, where that is equal by order, then by the first place.
    pub fn is_better_than(&self, before: &Self) -> bool {
        let key = |of: &Self| [of.recall, of.order.unwrap_or(0.0), of.mrr];
        key(self) > key(before)
    }
}

/// Searches an index with its model's queries for what these votes are on. Votes on what the index does not hold are passed over.
///
/// # Errors
/// The model's; no query has anything right in the index.
pub fn judge(index: &Index, embedder: &Embedder, votes: &BTreeMap<String, Voted>) -> Result<Judged> {
    let wanted: HashSet<&str> = votes
        .values()
        .flat_map(|voted| voted.up.iter().chain(&voted.down))
        .map(|item| item.id.as_str())
        .collect();
    let mut rows: HashMap<String, (usize, Modality)> = HashMap::new();
    for row in index.rows().filter(|row| index.vector(*row).is_some()) {
        if let Some(item) = index.item(row).filter(|item| wanted.contains(item.id.as_str())) {
            rows.entry(item.id).or_insert((row, item.modality));
        }
    }
    let (mut queries, mut recall, mut mrr, mut right, mut pairs) = (0usize, 0.0, 0.0, 0.0, 0usize);
    for (query, Voted { up, down }) in votes {
        let known = |items: &[crate::Item]| -> Vec<(usize, Modality)> {
            items.iter().filter_map(|item| rows.get(&item.id).copied()).collect()
        };
        let (up, down) = (known(up), known(down));
        if up.is_empty() {
            continue;
        }
        let vector = embedder.texts(&[query.as_str()])?.data;
        let mut modalities: Vec<Modality> = up.iter().map(|(_, modality)| *modality).collect();
        modalities.sort_unstable();
        modalities.dedup();
        let hits = index.search(&vector, TOP, &modalities)?;
        let is_right = |row: usize| up.iter().any(|(right, _)| *right == row);
        let found = hits.iter().filter(|hit| is_right(hit.index)).count();
        queries += 1;
        recall += found as f64 / up.len().min(TOP) as f64;
        mrr += hits.iter().position(|hit| is_right(hit.index)).map_or(0.0, |at| 1.0 / (at + 1) as f64);
        let score = |row: usize| index.vector(row).map_or(f32::NEG_INFINITY, |v| similarity(&vector, v));
        for (a, _) in &up {
            for (b, _) in &down {
                let (a, b) = (score(*a), score(*b));
                right += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
                pairs += 1;
            }
        }
    }
    if queries == 0 {
        let message = "of the queries that votes judge by none has a right hit in it";
        return Err(Error::format(index.folder(), message));
    }
    let (n, order) = (queries as f64, (pairs > 0).then(|| right / pairs as f64));
    Ok(Judged { queries, recall: recall / n, mrr: mrr / n, order })
}

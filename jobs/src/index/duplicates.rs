//! Items of an index that are nearly the same.

use super::Index;
use crate::{Flow, Item, Modality, Progress, Result};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use unisono_datasets::sample::UnionFind;
use unisono_index::{Filter, Key};

/// Items that look for their like at a time.
const ROUND: usize = 256;
/// Neighbours that are asked for at first: more where all of them are near.
const FIRST: usize = 16;

/// What counts as nearly the same.
#[derive(Debug, Clone)]
pub struct Likeness {
    /// The least cosine of two items of one modality.
    pub cosine: f32,
    /// Which items are looked at.
    pub filter: Filter,
}

/// Items that hang together: each is near another of them, or holds the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alike {
    /// What they are.
    pub modality: Modality,
    /// In the order of the index, so that the first is the one to keep as a rule.
    pub items: Vec<Like>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Like {
    /// The item.
    #[serde(flatten)]
    pub item: Item,
    /// Its greatest cosine with another one of them; 1 where it holds the same.
    pub cosine: f32,
    /// Whether it holds the bytes that another one holds.
    pub copy: bool,
}

/// Groups of items that are nearly the same, the largest first. Neighbours are looked for as the index's searches are: exactly, or by its form and graph.
///
/// # Errors
/// Vectors that no search can work with; [`Error::Interrupted`](crate::Error::Interrupted).
pub fn duplicates(
    index: &Index,
    what: &Likeness,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Vec<Alike>> {
    let rows: Vec<usize> = index.rows().filter(|row| index.passes(*row, &what.filter)).collect();
    let place: HashMap<usize, usize> = rows.iter().enumerate().map(|(place, row)| (*row, place)).collect();
    let (mut sets, mut best) = (UnionFind::new(rows.len()), vec![0f32; rows.len()]);
    let mut of: BTreeMap<Modality, Vec<(usize, &[f32])>> = BTreeMap::new();
    let mut contents: HashMap<Key, usize> = HashMap::new();
    let mut copies = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some((_, segment, within)) = index.find(*row) else { continue };
        match index.vector(*row) {
            Some(vector) => {
                contents.entry(segment.facts(within).content).or_insert(at);
                of.entry(segment.modality(within)).or_default().push((at, vector));
            }
            None => copies.push((at, segment.facts(within).content)),
        }
    }
    let mut copied = vec![false; rows.len()];
    for (at, content) in copies {
        if let Some(first) = contents.get(&content) {
            sets.union(*first, at);
            (best[at], best[*first], copied[at]) = (1.0, 1.0, true);
        }
    }
    let (mut done, total) = (0, of.values().map(Vec::len).sum());
    for (modality, all) in &of {
        for some in all.chunks(ROUND) {
            progress(Progress { stage: "compare vectors", done, total, skipped: 0 }).check()?;
            done += some.len();
            near(index, *modality, some, what.cosine, FIRST, &mut |a, row, score| {
                let Some(b) = place.get(&row).filter(|b| **b != a) else { return };
                sets.union(a, *b);
                (best[a], best[*b]) = (best[a].max(score), best[*b].max(score));
            })?;
        }
    }
    let mut groups = Vec::new();
    for members in sets.sets().into_values().filter(|members| members.len() > 1) {
        let like = |at: &usize| {
            Some(Like { item: index.item(*rows.get(*at)?)?, cosine: best[*at].min(1.0), copy: copied[*at] })
        };
        let items: Vec<Like> = members.iter().filter_map(like).collect();
        if let Some(first) = items.first() {
            groups.push(Alike { modality: first.item.modality, items });
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.items.len()));
    Ok(groups)
}

/// Tells of every neighbour of these items that is near: where as many as were asked for are, of more.
fn near(
    index: &Index,
    modality: Modality,
    items: &[(usize, &[f32])],
    cosine: f32,
    k: usize,
    found: &mut dyn FnMut(usize, usize, f32),
) -> Result<()> {
    let queries: Vec<&[f32]> = items.iter().map(|(_, vector)| *vector).collect();
    let mut more = Vec::new();
    for (item, hits) in items.iter().zip(index.search_all(&queries, k, &[modality])?) {
        let close = hits.iter().filter(|hit| hit.score >= cosine);
        if hits.len() == k && close.clone().count() == k && k < index.len() {
            more.push(*item);
            continue;
        }
        close.for_each(|hit| found(item.0, hit.index, hit.score));
    }
    if more.is_empty() {
        return Ok(());
    }
    near(index, modality, &more, cosine, k.saturating_mul(4).min(index.len()), found)
}

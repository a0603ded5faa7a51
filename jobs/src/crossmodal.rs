//! How well the modalities of one collection find each other: a look at the model and the data together.

use crate::{Item, Items, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use unisono_encoders::Modality;
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::retrieval::{Embeddings, Right, ranks_of, words_mark};
use unisono_eval::stats::Bootstrap;

/// Queries a direction at most: a check at build time, not an evaluation.
const QUERIES: usize = 500;

/// Recall of one direction, fractions from 0 to 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recall {
    /// Modality of the queries.
    pub from: Modality,
    /// Modality of the gallery.
    pub to: Modality,
    /// Queries asked, evenly spread.
    pub queries: usize,
    /// Items of the gallery.
    pub gallery: usize,
    /// Share of queries with a right item first.
    pub r1: f64,
    /// … among the first five.
    pub r5: f64,
    /// … among the first ten.
    pub r10: f64,
    /// R@10 of random order.
    pub chance_r10: f64,
}

/// `[N, D]` row-major.
struct Rows<'a> {
    dim: usize,
    data: &'a [f32],
}

/// Recall between every two modalities that share labels (or ids, or captions), both ways; empty when none do.
///
/// # Errors
/// Vectors that are not finite.
pub fn recalls(items: &Items, dim: usize, vectors: &[f32]) -> Result<Vec<Recall>> {
    // Of one modality nothing is held.
    if items.counts().len() < 2 {
        return Ok(Vec::new());
    }
    let all: Vec<Item> = items.iter().collect();
    let (items, marks) = (&all[..], marks(&all));
    let vectors = Rows { dim, data: vectors };
    let mut found = Vec::new();
    for from in Modality::ALL {
        for to in Modality::ALL {
            if from != to {
                found.extend(direction(items, &marks, &vectors, from, to)?);
            }
        }
    }
    Ok(found)
}

/// What each item is known by: its key, and the words of its caption or of itself; a file has those of every item that names it.
fn marks(items: &[Item]) -> Vec<Vec<String>> {
    let own = |item: &Item| -> Vec<String> {
        let words = item.text.iter().map(|text| words_mark(item.lang.as_deref().unwrap_or_default(), text));
        std::iter::once(item.key().to_owned()).chain(words).collect()
    };
    let place = |item: &Item| item.blob.as_ref().map(|blob| (blob.clone(), item.span.to_string()));
    let mut of_file: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for item in items {
        if let Some(place) = place(item) {
            of_file.entry(place).or_default().extend(own(item));
        }
    }
    let all = |item: &Item| place(item).and_then(|place| of_file.get(&place));
    items
        .iter()
        .map(|item| all(item).map_or_else(|| own(item), |all| all.iter().cloned().collect()))
        .collect()
}

fn direction(
    items: &[Item],
    marks: &[Vec<String>],
    vectors: &Rows,
    from: Modality,
    to: Modality,
) -> Result<Option<Recall>> {
    let gallery: Vec<usize> = of(items, to).collect();
    let known: HashSet<&String> = gallery.iter().flat_map(|i| &marks[*i]).collect();
    let answered = |i: &usize| marks[*i].iter().any(|mark| known.contains(mark));
    let mut queries: Vec<usize> = of(items, from).filter(answered).collect();
    if queries.is_empty() {
        return Ok(None);
    }
    let step = queries.len().div_ceil(QUERIES);
    queries = queries.into_iter().step_by(step).collect();
    let (query_rows, gallery_rows) = (rows(vectors, &queries), rows(vectors, &gallery));
    let marked = |of: &[usize]| of.iter().map(|i| marks[*i].as_slice()).collect::<Vec<_>>();
    let outcome = ranks_of(
        &Embeddings::new(vectors.dim, &query_rows)?,
        &Embeddings::new(vectors.dim, &gallery_rows)?,
        &Right::by_marks(&marked(&queries), &marked(&gallery)),
        None,
    )?;
    let query_keys: Vec<&str> = queries.iter().map(|i| items[*i].key()).collect();
    let m = RetrievalMetrics::new(from.name(), to.name(), &outcome, &query_keys, &Bootstrap::default())?;
    let (r1, r5, r10) = (m.r1.value, m.r5.value, m.r10.value);
    let (queries, gallery, chance_r10) = (m.queries, gallery.len(), m.chance_r10);
    Ok(Some(Recall { from, to, queries, gallery, r1, r5, r10, chance_r10 }))
}

fn of(items: &[Item], modality: Modality) -> impl Iterator<Item = usize> {
    items.iter().enumerate().filter(move |(_, item)| item.modality == modality).map(|(i, _)| i)
}

fn rows(vectors: &Rows, which: &[usize]) -> Vec<f32> {
    let d = vectors.dim;
    which.iter().flat_map(|i| vectors.data[i * d..(i + 1) * d].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_by_label() {
        let item = |modality, label: &str| Item {
            modality,
            label: Some(label.into()),
            ..Item::text(format!("{label}/{modality}"), label)
        };
        let items = [item(Modality::Text, "a"), item(Modality::Image, "a"), item(Modality::Image, "b")];
        let vectors = [1.0, 0.0, 0.6, 0.8, 0.8, 0.6];
        let got = recalls(&items.into(), 2, &vectors).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(
            (got[0].from, got[0].to, got[0].queries, got[0].gallery),
            (Modality::Text, Modality::Image, 1, 2)
        );
        assert_eq!((got[0].r1, got[0].r5), (0.0, 1.0));
        // The image without a text is no query; the other one finds its only text.
        assert_eq!((got[1].queries, got[1].gallery, got[1].r1), (1, 1, 1.0));
        // The same words of two records: both images are right for both.
        let said = |modality, id: &str| Item { modality, ..Item::text(id, "a square") };
        let items = [Modality::Text, Modality::Text, Modality::Image, Modality::Image];
        let items: Items = items.into_iter().zip(["a", "b", "a", "b"]).map(|(m, id)| said(m, id)).collect();
        let got = recalls(&items, 2, &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]).unwrap();
        assert!(got.iter().all(|r| r.queries == 2 && r.r1 == 1.0), "{got:?}");
        let alike = [Item::text("a", "a"), Item::text("b", "b")].into();
        assert!(recalls(&alike, 1, &[1.0, 1.0]).unwrap().is_empty());
    }
}

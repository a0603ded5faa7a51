//! Random pairs of an index's items, to know what their scores are worth.

use crate::chance::Chance;
use crate::{Index, Item, similarity};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;
use std::collections::BTreeMap;
use unisono_processors::Modality;

/// Items of a modality that are looked at, evenly spread.
const ITEMS: usize = 2000;
/// Pairs of two modalities at most.
const PAIRS: usize = 200_000;

/// A row that may be a partner: its vector, and what pairs are known by.
struct Seen<'a> {
    vector: &'a [f32],
    item: Option<Item>,
}

impl<B: Sync> Index<B> {
    /// How random pairs score, of every two modalities of its items. `asked` `[P, D]` are texts as queries ask them: where they are given, they are the
    /// texts that ask. Pairs that belong together, by label, id or file, are no random pairs.
    pub fn measure(&self, asked: &[f32]) -> Vec<Chance> {
        let mut of: BTreeMap<Modality, Vec<Seen>> = BTreeMap::new();
        for (modality, count) in &self.header().modalities {
            let step = count.div_ceil(ITEMS).max(1);
            let rows = self.rows().filter(|row| {
                self.find(*row).is_some_and(|(_, s, r)| s.is_found(r) && s.modality(r) == *modality)
            });
            let rows: Vec<usize> = rows.step_by(step).collect();
            let seen = rows
                .par_iter()
                .filter_map(|row| Some(Seen { vector: self.vector(*row)?, item: self.item(*row) }));
            of.insert(*modality, seen.collect());
        }
        let asked: Vec<Seen> =
            asked.chunks_exact(self.header().dim.max(1)).map(|vector| Seen { vector, item: None }).collect();
        let mut found = Vec::new();
        for from in Modality::ALL {
            let queries = match from {
                Modality::Text if !asked.is_empty() => Some(&asked),
                _ => of.get(&from),
            };
            for (to, items) in &of {
                let scores = queries.map(|queries| pairs(queries, items));
                found.extend(scores.and_then(|scores| Chance::of(from, *to, scores)));
            }
        }
        found
    }
}

/// Scores of random pairs: of all of them, where these are not too many.
fn pairs(queries: &[Seen], items: &[Seen]) -> Vec<f32> {
    let all = queries.len().saturating_mul(items.len());
    let score = |(a, b): (usize, usize)| {
        let (query, item) = (queries.get(a)?, items.get(b)?);
        (!together(query, item)).then(|| similarity(query.vector, item.vector))
    };
    if all <= PAIRS {
        return (0..all).into_par_iter().filter_map(|n| score((n / items.len(), n % items.len()))).collect();
    }
    // The same pairs whenever it is measured: of one number, since which they are does not matter.
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut draw = |n: usize| (rng.next_u64() % n as u64) as usize;
    let drawn: Vec<(usize, usize)> = (0..PAIRS).map(|_| (draw(queries.len()), draw(items.len()))).collect();
    drawn.into_par_iter().filter_map(score).collect()
}

fn together(a: &Seen, b: &Seen) -> bool {
    let (Some(x), Some(y)) = (&a.item, &b.item) else { return false };
    std::ptr::eq(a.vector, b.vector) || x.key() == y.key() || (x.blob.is_some() && x.blob == y.blob)
}

//! What an index's method finds of what comparing all finds.

use crate::{Effort, Index, Recalled, Result, Segment};
use rayon::prelude::*;
use std::collections::HashSet;
use unisono_processors::Modality;

/// Queries of each modality that are tried, evenly spread.
const QUERIES: usize = 128;
/// How many each looks for.
const K: usize = 10;

impl<B: Sync> Index<B> {
    /// What its method finds, of every two modalities of its items. `asked` `[P, D]` are texts as queries ask them: where they are given, they are the texts
    /// that ask. Nothing where it compares all.
    ///
    /// # Errors
    /// Vectors that no search can work with.
    pub fn recall(&self, asked: &[f32]) -> Result<Vec<Recalled>> {
        let mut found = Vec::new();
        if self.segments().iter().all(Segment::is_exact) {
            return Ok(found);
        }
        let dim = self.header().dim.max(1);
        let asked: Vec<&[f32]> = asked.chunks_exact(dim).collect();
        for from in Modality::ALL {
            let own: Vec<&[f32]> = match from {
                Modality::Text if !asked.is_empty() => spread(&asked).collect(),
                _ => self.vectors_of(from),
            };
            for to in self.header().modalities.keys().copied() {
                if own.is_empty() {
                    continue;
                }
                let as_it_is = Effort { exact: false, ..self.effort() };
                let near = self.search_all_as(&own, K, &[to], as_it_is)?;
                let exact = self.search_all_as(&own, K, &[to], Effort { exact: true, ..as_it_is })?;
                let (mut right, mut all) = (0, 0);
                for (near, exact) in near.iter().zip(&exact) {
                    let rows: HashSet<usize> = exact.iter().map(|hit| hit.index).collect();
                    let least = exact.last().map_or(f32::INFINITY, |hit| hit.score);
                    right +=
                        near.iter().filter(|hit| rows.contains(&hit.index) || hit.score >= least).count();
                    all += exact.len();
                }
                let share = if all == 0 { 1.0 } else { right as f64 / all as f64 };
                found.push(Recalled { from, to, queries: own.len(), share });
            }
        }
        Ok(found)
    }

    /// Vectors of a modality.
    fn vectors_of(&self, modality: Modality) -> Vec<&[f32]> {
        let rows: Vec<usize> = (0..self.segments().iter().map(Segment::len).sum())
            .into_par_iter()
            .filter(|row| {
                self.find(*row).is_some_and(|(_, s, at)| s.is_found(at) && s.modality(at) == modality)
            })
            .collect();
        spread(&rows).filter_map(|row| self.vector(row)).collect()
    }
}

fn spread<T: Copy>(all: &[T]) -> impl Iterator<Item = T> {
    all.iter().copied().step_by(all.len().div_ceil(QUERIES).max(1))
}

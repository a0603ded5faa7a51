//! Searching an index.

use crate::near::Ask;
use crate::{Effort, Error, Filter, Hit, Index, Result, similarity};
use rayon::prelude::*;
use unisono_processors::Modality;

impl<B: Sync> Index<B> {
    /// The `k` items most similar to `query` `[D]`, best first, among those of `modalities` (empty: all).
    ///
    /// # Errors
    /// A query of another width, or one that is not finite.
    pub fn search(&self, query: &[f32], k: usize, modalities: &[Modality]) -> Result<Vec<Hit>> {
        self.search_where(query, k, &Filter::of(modalities), &[])
    }

    /// [`search`](Self::search) among those that a filter lets through, without these rows. Filtering happens while it searches: there are `k` hits
    /// wherever so many items pass.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_where(
        &self,
        query: &[f32],
        k: usize,
        filter: &Filter,
        without: &[usize],
    ) -> Result<Vec<Hit>> {
        self.check_query(query)?;
        let all = without.is_empty() && filter.is_of_modalities();
        let ask = self.ask(k, &filter.modalities, all, self.effort());
        let (mut hits, mut before) = (Vec::new(), 0);
        for segment in self.segments() {
            let keep = |row: usize| filter.keeps(segment, row);
            let admit = |row: usize| {
                let known = !without.contains(&(before + row));
                known
                    && (!filter.reads()
                        || segment.item(row).is_some_and(|item| filter.admits(&self.moved(item))))
            };
            let found = segment.search(query, &ask, keep, admit).into_iter();
            hits.extend(found.map(|hit| Hit { index: before + hit.index, ..hit }));
            before += segment.len();
        }
        hits.sort();
        hits.truncate(k);
        Ok(hits)
    }

    fn check_query(&self, query: &[f32]) -> Result<()> {
        if query.len() != self.header().dim {
            let (found, expected) = (query.len(), self.header().dim);
            return Err(Error::Query(format!(
                "the query has {found} numbers, the index's embeddings {expected}"
            )));
        }
        if query.iter().any(|v| !v.is_finite()) {
            return Err(Error::Query("the query's embedding is not finite".into()));
        }
        Ok(())
    }

    fn ask<'a>(&self, k: usize, modalities: &'a [Modality], all: bool, effort: Effort) -> Ask<'a> {
        Ask { k, candidates: effort.candidates, exact: effort.exact, modalities, all }
    }

    /// [`search`](Self::search) of several queries at once, which takes less time than one after another: what is compared with all is read once.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_all(&self, queries: &[&[f32]], k: usize, modalities: &[Modality]) -> Result<Vec<Vec<Hit>>> {
        self.search_all_as(queries, k, modalities, self.effort())
    }

    pub(crate) fn search_all_as(
        &self,
        queries: &[&[f32]],
        k: usize,
        modalities: &[Modality],
        effort: Effort,
    ) -> Result<Vec<Vec<Hit>>> {
        queries.iter().try_for_each(|query| self.check_query(query))?;
        let (filter, ask) = (Filter::of(modalities), self.ask(k, modalities, true, effort));
        let (mut all, mut before) = (vec![Vec::new(); queries.len()], 0);
        for segment in self.segments() {
            let found = segment.search_all(queries, &ask, |row| filter.keeps(segment, row));
            for (hits, found) in all.iter_mut().zip(found) {
                hits.extend(found.into_iter().map(|hit| Hit { index: before + hit.index, ..hit }));
            }
            before += segment.len();
        }
        for hits in &mut all {
            hits.sort();
            hits.truncate(k);
        }
        Ok(all)
    }

    /// [`search_where`](Self::search_where) in the order of chance: of modalities whose scores lie apart, each hit counts as much as it is rare among
    /// random pairs with a query of modality `from`. Where the index knows no such pairs, items of that modality come last, by their scores.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    pub fn search_by_chance(
        &self,
        query: &[f32],
        from: Modality,
        k: usize,
        filter: &Filter,
        without: &[usize],
    ) -> Result<Vec<Hit>> {
        let mut hits = Vec::new();
        for modality in self.header().modalities.keys().copied() {
            if filter.modalities.is_empty() || filter.modalities.contains(&modality) {
                let alone = Filter { modalities: vec![modality], ..filter.clone() };
                let found = self.search_where(query, k, &alone, without)?;
                hits.extend(found.into_iter().map(|hit| (self.chance(from, &hit).unwrap_or(2.0), hit)));
            }
        }
        hits.sort_by(|(a, x), (b, y)| a.total_cmp(b).then(x.cmp(y)));
        hits.truncate(k);
        Ok(hits.into_iter().map(|(_, hit)| hit).collect())
    }

    /// Whether a row's item is there and passes a filter.
    pub fn passes(&self, row: usize, filter: &Filter) -> bool {
        let Some((_, segment, at)) = self.find(row) else { return false };
        let admits = || !filter.reads() || self.item(row).is_some_and(|item| filter.admits(&item));
        !segment.is_removed(at) && filter.keeps(segment, at) && admits()
    }

    /// The first row with a vector whose item has this id.
    pub fn row_of(&self, id: &str) -> Option<usize> {
        let mut before = 0;
        for segment in self.segments() {
            let named = |row: &usize| {
                segment.is_found(*row) && segment.item(*row).is_some_and(|item| self.moved(item).id == id)
            };
            if let Some(row) = (0..segment.rows()).into_par_iter().find_first(named) {
                return Some(before + row);
            }
            before += segment.len();
        }
        None
    }
}

/// One query of several vectors `[D]`, each with its weight: their weighted sum, of length 1 again. A weight below zero leads away from its vector.
///
/// # Errors
/// No vector, vectors of several widths, or a sum that points nowhere.
pub fn combine(parts: &[(Vec<f32>, f32)]) -> Result<Vec<f32>> {
    let Some((first, _)) = parts.first() else { return Err(Error::Query("nothing to search with".into())) };
    let mut sum = vec![0f32; first.len()];
    for (vector, weight) in parts {
        if vector.len() != sum.len() {
            let (found, expected) = (vector.len(), sum.len());
            return Err(Error::Query(format!(
                "queries of {expected} and of {found} numbers cannot be combined"
            )));
        }
        sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += weight * value);
    }
    let length = similarity(&sum, &sum).sqrt();
    if !length.is_finite() || length < 1e-6 {
        return Err(Error::Query(
            "the queries together point nowhere: they cancel each other out; give other weights".into(),
        ));
    }
    sum.iter_mut().for_each(|value| *value /= length);
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_added_and_taken_away() {
        let (x, y) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        assert_eq!(combine(&[(x.clone(), 1.0)]).unwrap(), x);
        let found = combine(&[(x.clone(), 3.0), (y.clone(), -4.0)]).unwrap();
        assert!((found[0] - 0.6).abs() < 1e-6 && (found[1] + 0.8).abs() < 1e-6, "{found:?}");
        let said = combine(&[(x.clone(), 1.0), (x.clone(), -1.0)]).unwrap_err().to_string();
        assert!(said.contains("point nowhere"), "{said}");
        assert!(combine(&[(x, 1.0), (vec![1.0], 1.0)]).is_err() && combine(&[]).is_err());
    }
}

//! Searching a segment: what its form or its graph says is near, compared exactly.

use crate::codes::Rows;
use crate::search::{Best, top_scored, top_where};
use crate::together::top_together;
use crate::{Hit, Segment, Store, similarity};
use rayon::prelude::*;
use unisono_processors::Modality;

/// Nearest that a walk through a graph keeps in sight at least.
const BEAM: usize = 128;
/// Bytes of rows that a thread takes at once.
const BLOCK: usize = 1 << 17;
/// How many more than wanted are found where many queries are compared at once, whose sums are rounded otherwise.
const SPARE: usize = 16;

/// What is looked for in a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// How many.
    pub(crate) k: usize,
    /// How many of the nearest by form or graph are compared exactly; none: as many as these need as a rule.
    pub(crate) candidates: Option<usize>,
    /// Whether every vector is compared.
    pub(crate) exact: bool,
    /// Of these modalities; empty: of all.
    pub(crate) modalities: &'a [Modality],
    /// Whether all of these pass that were not removed: then nobody asks of each.
    pub(crate) all: bool,
}

impl Segment {
    /// The `k` rows most similar to `query` `[D]`, best first, among those that are found and that `keep` and `admit` allow; `admit` may take long.
    pub(crate) fn search(
        &self,
        query: &[f32],
        ask: &Ask,
        keep: impl Fn(usize) -> bool + Sync,
        admit: impl Fn(usize) -> bool + Sync,
    ) -> Vec<Hit> {
        let keep = |row: usize| !self.is_removed(row) && keep(row);
        if ask.exact || self.is_exact() {
            return top_where(self.vectors(), query, ask.k, keep, admit);
        }
        let rows = self.coded();
        let asked = rows.ask(query);
        let (mut near, mut walked) = (Vec::new(), Vec::new());
        let wanted = |m: &Modality| ask.modalities.is_empty() || ask.modalities.contains(m);
        if let Some(graph) = self.graph() {
            let many = ask.candidates.unwrap_or(rows.store().candidates(ask.k).max(BEAM)).max(ask.k);
            let each = |row: usize| keep(row) && admit(row);
            let passes: Option<&dyn Fn(usize) -> bool> =
                if ask.all && self.removed().is_none() { None } else { Some(&each) };
            for modality in graph.modalities().filter(wanted) {
                if let Some(found) = graph.search(modality, rows, &asked, many, passes) {
                    near.extend(found);
                    walked.push(modality);
                }
            }
        }
        if !Modality::ALL.iter().filter(|m| wanted(m)).all(|m| walked.contains(m)) {
            let many = ask.candidates.unwrap_or(rows.store().candidates(ask.k)).max(ask.k);
            let others =
                |row: usize| keep(row) && (walked.is_empty() || !walked.contains(&self.modality(row)));
            let score = |_: usize, row: usize| rows.score(&asked, row);
            near.extend(
                top_scored(self.rows(), self.block(rows), 1, many, score, others, admit)
                    .into_iter()
                    .flatten(),
            );
        }
        self.compared(query, near, ask.k)
    }

    /// [`search`](Self::search) of several queries at once: where every row is compared each is read once for all of them.
    pub(crate) fn search_all(
        &self,
        queries: &[&[f32]],
        ask: &Ask,
        keep: impl Fn(usize) -> bool + Sync,
    ) -> Vec<Vec<Hit>> {
        if !ask.exact && self.graph().is_some() {
            return queries.par_iter().map(|query| self.search(query, ask, &keep, |_| true)).collect();
        }
        let keep = |row: usize| !self.is_removed(row) && keep(row);
        let values = self.vectors();
        let exact = Rows::Floats { values, dim: values.len().checked_div(self.rows()).unwrap_or(0) };
        let rows = if ask.exact { exact } else { self.coded() };
        let many = ask.candidates.unwrap_or(rows.store().candidates(ask.k)).max(ask.k);
        let asked: Vec<_> = queries.iter().map(|query| rows.ask(query)).collect();
        let floats = rows.store() == Store::F32;
        let deep = if floats { ask.k + ask.k / 4 + SPARE } else { many };
        if let Some(near) = top_together(rows, self.rows(), self.block(rows), &asked, deep, keep) {
            return queries
                .par_iter()
                .zip(near)
                .map(|(query, near)| {
                    let last = near.last().filter(|_| floats && near.len() == deep).map(|hit| hit.score);
                    let found = self.compared(query, near, ask.k);
                    // What was left out scored below the last that was not: if roundings could make it a hit, all are compared.
                    let sure = last.zip(found.last()).is_none_or(|(last, worst)| {
                        worst.score - last
                            > query.len() as f32 * f32::EPSILON * similarity(query, query).sqrt()
                    });
                    if sure { found } else { top_where(values, query, ask.k, keep, |_| true) }
                })
                .collect();
        }
        let score = |query: usize, row: usize| {
            asked.get(query).map_or(f32::NEG_INFINITY, |asked| rows.score(asked, row))
        };
        let near = top_scored(self.rows(), self.block(rows), queries.len(), many, score, keep, |_| true);
        queries.iter().zip(near).map(|(query, near)| self.compared(query, near, ask.k)).collect()
    }

    fn block(&self, rows: Rows) -> usize {
        let width = self.vectors().len().checked_div(self.rows()).unwrap_or(0);
        (BLOCK / rows.store().bytes(width).max(1)).max(1)
    }

    /// The best `k` of rows by their vectors.
    fn compared(&self, query: &[f32], near: Vec<Hit>, k: usize) -> Vec<Hit> {
        let mut best = Best::new(k);
        for Hit { index, .. } in near {
            if let Some(vector) = self.vector(index) {
                best.offer(Hit { index, score: similarity(query, vector) });
            }
        }
        best.sorted()
    }
}

//! The ranking engine: scores come in blocks from a closure, so similarities and controls are ranked by one code.

use std::{collections::HashMap, ops::Range};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{QueryRank, Right};
use crate::{Error, Result, chance};

/// One value for every query and one for every gallery item; a query meets only items of its own value.
pub type Within<'a> = Option<(&'a [&'a str], &'a [&'a str])>;

/// Every query's outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranks {
    /// Outcomes in the order of the queries.
    pub queries: Vec<QueryRank>,
    /// Indices of queries whose gallery holds no relevant item: counted, not scored.
    pub left_out: Vec<usize>,
}

/// Scores in flight for one block of queries: 4 Mi values are 16 MiB a thread.
const BLOCK_SCORES: usize = 4 << 20;
/// More rows a block no longer speed the matrix product up, and leave threads without work on small sets.
const BLOCK_ROWS: usize = 64;

/// Who is ranked against whom, with groups as numbers: comparing strings for every pair would cost more than scoring.
pub(crate) struct Pool<'a> {
    right: &'a Right,
    within: Option<Numbered>,
    skip_self: bool,
}

struct Numbered {
    queries: Vec<Option<u32>>,
    gallery: Vec<u32>,
}

impl Numbered {
    fn new(queries: &[&str], gallery: &[&str]) -> Self {
        let mut number = HashMap::new();
        let gallery = gallery
            .iter()
            .map(|&key| {
                let next = number.len() as u32;
                *number.entry(key).or_insert(next)
            })
            .collect();
        Self { queries: queries.iter().map(|key| number.get(key).copied()).collect(), gallery }
    }
}

/// What a thread needs for one block after another.
#[derive(Default)]
struct Room {
    scores: Vec<f32>,
    /// Which items of the gallery are right for the query at hand.
    right: Vec<bool>,
}

impl<'a> Pool<'a> {
    pub(crate) fn new(
        queries: usize,
        gallery: usize,
        right: &'a Right,
        within: Within,
        skip_self: bool,
    ) -> Result<Self> {
        let check = |what, expected, found| match expected == found {
            true => Ok(()),
            false => Err(Error::Count { what, expected, found }),
        };
        let (asking, answering) = right.sizes();
        check("query keys", queries, asking)?;
        check("gallery keys", gallery, answering)?;
        if let Some((of_queries, of_gallery)) = within {
            check("query groups", queries, of_queries.len())?;
            check("gallery groups", gallery, of_gallery.len())?;
        }
        let within = within.map(|(of_queries, of_gallery)| Numbered::new(of_queries, of_gallery));
        Ok(Self { right, within, skip_self })
    }

    /// Whether `item` stands in `query`'s gallery.
    fn meets(&self, query: usize, item: usize) -> bool {
        let same_group = match &self.within {
            Some(within) => within.queries[query] == Some(within.gallery[item]),
            None => true,
        };
        same_group && !(self.skip_self && query == item)
    }

    /// `is_right` is all false before and after.
    fn rank(&self, query: usize, scores: &[f32], is_right: &mut [bool]) -> Option<QueryRank> {
        self.right.answers(query).next()?;
        self.right.answers(query).for_each(|item| is_right[item] = true);
        let outcome = self.rank_marked(query, scores, is_right);
        self.right.answers(query).for_each(|item| is_right[item] = false);
        outcome
    }

    fn rank_marked(&self, query: usize, scores: &[f32], is_right: &[bool]) -> Option<QueryRank> {
        let (mut gallery, mut relevant) = (0, 0);
        let (mut right, mut wrong): (Option<usize>, Option<usize>) = (None, None);
        for item in (0..scores.len()).filter(|&item| self.meets(query, item)) {
            gallery += 1;
            relevant += usize::from(is_right[item]);
            let best = if is_right[item] { &mut right } else { &mut wrong };
            if best.is_none_or(|best| scores[item] > scores[best]) {
                *best = Some(item);
            }
        }
        let right = right?;
        let bar = scores[right];
        let (mut above, mut tied, mut tied_relevant) = (0, 0, 0);
        for item in (0..scores.len()).filter(|&item| scores[item] >= bar && self.meets(query, item)) {
            match is_right[item] {
                true => tied_relevant += 1,
                false if scores[item] > bar => above += 1,
                false => tied += 1,
            }
        }
        Some(QueryRank {
            query,
            rank: above as f64 + chance::first_position(tied + tied_relevant, tied_relevant),
            above,
            tied,
            tied_relevant,
            gallery,
            relevant,
            best_relevant: right,
            relevant_score: bar,
            best_wrong: wrong,
            wrong_score: wrong.map(|item| scores[item]),
        })
    }
}

/// Ranks every query; `score` fills `[rows, gallery]` for a block of queries, higher is nearer, all finite.
pub(crate) fn rank_all(pool: &Pool, score: impl Fn(Range<usize>, &mut [f32]) + Sync) -> Result<Ranks> {
    let (queries, gallery) = pool.right.sizes();
    let rows = (BLOCK_SCORES / gallery.max(1)).clamp(1, BLOCK_ROWS);
    let outcomes: Vec<Option<QueryRank>> = (0..queries.div_ceil(rows))
        .into_par_iter()
        .map_init(Room::default, |room, block| {
            let range = block * rows..((block + 1) * rows).min(queries);
            room.scores.resize(range.len() * gallery, 0.0);
            room.right.resize(gallery, false);
            score(range.clone(), &mut room.scores);
            range
                .clone()
                .map(|query| {
                    let row = (query - range.start) * gallery;
                    pool.rank(query, &room.scores[row..row + gallery], &mut room.right)
                })
                .collect::<Vec<_>>()
        })
        .flatten_iter()
        .collect();
    let left_out: Vec<usize> =
        outcomes.iter().enumerate().filter(|(_, o)| o.is_none()).map(|(query, _)| query).collect();
    let queries: Vec<QueryRank> = outcomes.into_iter().flatten().collect();
    if queries.is_empty() {
        let first = pool.right.first().to_owned();
        return Err(Error::NoRelevant { queries: left_out.len(), gallery, first });
    }
    Ok(Ranks { queries, left_out })
}

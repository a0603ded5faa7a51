//! One query's outcome, fair to ties.

use serde::{Deserialize, Serialize};

use crate::chance;

/// Where a query's first relevant item stands in its gallery.
///
/// **Ties.** When wrong items score exactly as the best relevant one, every order of them is equally likely, and rank,
/// hit and reciprocal rank are the exact expectation over those orders. A model that gives every item one score thus
/// measures exactly chance, neither 100 % (optimistic ties) nor 0 % (pessimistic ties); and the duration control, whose
/// captions of equal length tie by nature, is not talked down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueryRank {
    /// Index of the query.
    pub query: usize,
    /// Expected 1-based rank of the first relevant item.
    pub rank: f64,
    /// Wrong items that score strictly higher than the best relevant one.
    pub above: usize,
    /// Wrong items that score the same.
    pub tied: usize,
    /// Relevant items that score the same, the best one included.
    pub tied_relevant: usize,
    /// Items in this query's gallery.
    pub gallery: usize,
    /// Relevant ones among them.
    pub relevant: usize,
    /// Index of the best relevant item.
    pub best_relevant: usize,
    /// Its score.
    pub relevant_score: f32,
    /// Index of the best wrong item; `None` when everything is relevant.
    pub best_wrong: Option<usize>,
    /// Its score.
    pub wrong_score: Option<f32>,
}

impl QueryRank {
    /// Probability that a relevant item stands among the first `k`: 0 or 1 unless ties straddle position `k`.
    pub fn hit(&self, k: usize) -> f64 {
        chance::recall_at(k.saturating_sub(self.above), self.tied + self.tied_relevant, self.tied_relevant)
    }

    /// Expected reciprocal rank.
    pub fn reciprocal(&self) -> f64 {
        let among = self.tied + self.tied_relevant;
        let (mut none_yet, mut expected) = (1.0, 0.0);
        for position in 1..=self.tied + 1 {
            let here = self.tied_relevant as f64 / (among - (position - 1)) as f64;
            expected += none_yet * here / (self.above + position) as f64;
            none_yet *= 1.0 - here;
        }
        expected
    }
}

//! Exact search of many queries at once: each row is read once for [`WIDE`] of them.

use crate::Hit;
use crate::codes::tile::{Panel, ROWS, Scores, WIDE, bytes, floats, is_there, passing};
use crate::codes::{Asked, Rows};
use crate::search::Best;
use rayon::prelude::*;
use std::array::from_fn;

/// Queries below which one after another is as good.
const FEW: usize = 4;

/// The `k` best of so many rows for each of these queries, among those that `keep` allows, by scores that may be rounded otherwise than
/// [`Rows::score`]'s: as [`top_scored`](crate::search::top_scored) finds them, in a fraction of the time. None where rows of this form have no such way, or this processor.
pub(crate) fn top_together(
    rows: Rows,
    count: usize,
    block: usize,
    asked: &[Asked],
    k: usize,
    keep: impl Fn(usize) -> bool + Sync,
) -> Option<Vec<Vec<Hit>>> {
    if !is_there() || asked.len() < FEW || k == 0 {
        return None;
    }
    let panels: Vec<Panel> = asked.chunks(WIDE).map(panel).collect::<Option<_>>()?;
    let begin = || State {
        best: vec![Best::new(k); asked.len()],
        least: vec![[f32::NEG_INFINITY; WIDE]; panels.len()],
        kept: Vec::with_capacity(block),
        wide: vec![0.0; if rows.is_narrow() { ROWS * rows.dim() } else { 0 }],
    };
    let found = (0..count.div_ceil(block))
        .into_par_iter()
        .fold(begin, |mut state, number| {
            state.kept.clear();
            state.kept.extend((number * block..count.min((number + 1) * block)).filter(|row| keep(*row)));
            for (panel, queries) in panels.iter().zip((0..asked.len()).step_by(WIDE)) {
                state.look(rows, panel, queries);
            }
            state
        })
        .map(|state| state.best)
        .reduce(
            || vec![Best::new(k); asked.len()],
            |mut all, some| {
                all.iter_mut().zip(some).for_each(|(a, b)| a.take(b));
                all
            },
        );
    Some(found.into_iter().map(Best::sorted).collect())
}

/// Queries side by side.
fn panel(asked: &[Asked]) -> Option<Panel> {
    match asked.first()? {
        Asked::Floats(_) => {
            let queries = asked.iter().map(|a| if let Asked::Floats(v) = a { Some(&v[..]) } else { None });
            Some(Panel::of_floats(&queries.collect::<Option<Vec<_>>>()?))
        }
        Asked::Bytes { .. } => {
            let queries = asked.iter().map(|asked| match asked {
                Asked::Bytes { codes, scale, zero } => Some((&codes[..], *scale, *zero)),
                _ => None,
            });
            Some(Panel::of_bytes(&queries.collect::<Option<Vec<_>>>()?))
        }
        // Of bits a dot product is a few instructions.
        Asked::Bits(_) => None,
    }
}

/// What a thread has found.
struct State {
    best: Vec<Best>,
    /// The least score that each query still takes.
    least: Vec<[f32; WIDE]>,
    /// Rows that are looked at.
    kept: Vec<usize>,
    /// Rows of fewer bytes as floats.
    wide: Vec<f32>,
}

impl State {
    /// Compares the rows that are kept with the queries of a panel, from number `first` on.
    fn look(&mut self, rows: Rows, panel: &Panel, first: usize) {
        let Self { best, least, kept, wide } = self;
        let (Some(best), Some(least)) = (best.get_mut(first..), least.get_mut(first / WIDE)) else { return };
        let mut scores: Scores = [[0.0; WIDE]; ROWS];
        for some in kept.chunks(ROWS) {
            // A tile is always full: what is missing is the last once more, and not looked at.
            let row = |n: usize| some[n.min(some.len() - 1)];
            match panel {
                Panel::Bytes { .. } => {
                    bytes(
                        from_fn(|n| rows.bytes(row(n))),
                        from_fn(|n| rows.scale(row(n))),
                        panel,
                        &mut scores,
                    );
                }
                Panel::Floats { .. } if wide.is_empty() => {
                    floats(from_fn(|n| rows.floats(row(n))), panel, &mut scores);
                }
                Panel::Floats { .. } => {
                    let dim = wide.len() / ROWS;
                    wide.chunks_exact_mut(dim).enumerate().for_each(|(n, wide)| rows.widen(row(n), wide));
                    floats(from_fn(|n| &wide[n * dim..(n + 1) * dim]), panel, &mut scores);
                }
            }
            for (index, scores) in some.iter().zip(&scores) {
                let mut mask = passing(scores, least);
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let Some(best) = best.get_mut(lane) else { break };
                    best.offer(Hit { index: *index, score: scores[lane] });
                    least[lane] = best.least();
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "tests/together.rs"]
mod tests;

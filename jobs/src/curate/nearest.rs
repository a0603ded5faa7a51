//! Exact search of many vectors for many: products of matrices, a block at a time.

use crate::{Flow, Progress, Result, similarity};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use tch::{Device, Tensor};
use unisono_encoders::to_vec;

/// Numbers of a product at a time: 256 MB.
const PRODUCT: usize = 64 << 20;
/// Rows that ask at a time.
const ROWS: usize = 256;

/// Rows `[N, D]`, those of one record together.
#[derive(Debug, Default)]
pub(super) struct Block {
    dim: usize,
    data: Vec<f32>,
    /// The record of each.
    records: Vec<usize>,
}

impl Block {
    /// Another row; its record is the last one's, or one that had none yet and a greater number.
    pub(super) fn push(&mut self, record: usize, row: &[f32]) {
        self.dim = row.len();
        self.data.extend_from_slice(row);
        self.records.push(record);
    }

    /// No row.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// The rows of a record.
    fn of(&self, record: usize) -> impl Iterator<Item = &[f32]> + Clone {
        let start = self.records.partition_point(|other| *other < record);
        let end = self.records.partition_point(|other| *other <= record);
        (start..end).map(|row| self.row(row))
    }

    /// Whether any two rows of two records have at least this cosine.
    pub(super) fn near(&self, a: usize, b: usize, cosine: f32) -> bool {
        self.of(a).any(|a| self.of(b).any(|b| similarity(a, b) >= cosine))
    }

    fn tensor(&self, rows: std::ops::Range<usize>, device: Device) -> Result<Tensor> {
        let data = &self.data[rows.start * self.dim..rows.end * self.dim];
        let shape = [rows.len() as i64, self.dim as i64];
        let made = || Tensor::f_from_slice(data)?.f_reshape(shape)?.f_to_device(device);
        made().map_err(|e| unisono_encoders::Error::from(e).into())
    }
}

/// How similar a record is to every record of a gallery.
pub(super) struct Near<'a> {
    gallery: &'a [usize],
    /// Of each row of the gallery.
    scores: &'a [f32],
}

impl Near<'_> {
    /// To the record of this number, where it is there.
    pub(super) fn of(&self, record: usize) -> Option<f32> {
        let start = self.gallery.partition_point(|other| *other < record);
        let end = self.gallery.partition_point(|other| *other <= record);
        self.scores[start..end].iter().copied().max_by(f32::total_cmp)
    }

    /// The `k` records that are most similar, of those that are at most so similar and allowed; the best first, of equal ones the first.
    pub(super) fn best(&self, k: usize, most: f32, allowed: impl Fn(usize) -> bool) -> Vec<(usize, f32)> {
        let mut best: BinaryHeap<Found> = BinaryHeap::with_capacity(k + 1);
        let mut at = 0;
        for rows in self.gallery.chunk_by(|a, b| a == b) {
            let scores = &self.scores[at..at + rows.len()];
            at += rows.len();
            let Some(score) = scores.iter().copied().max_by(f32::total_cmp) else { continue };
            let found = Found { score, record: rows[0] };
            let enough = best.len() >= k && best.peek().is_none_or(|worst| found >= *worst);
            if score > most || enough || !allowed(found.record) {
                continue;
            }
            best.push(found);
            if best.len() > k {
                best.pop();
            }
        }
        best.into_sorted_vec().into_iter().map(|found| (found.record, found.score)).collect()
    }
}

/// A record; the better is the lesser.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    score: f32,
    record: usize,
}

impl Eq for Found {}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.record.cmp(&other.record))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares every row of `queries` with every row of `gallery`. For each record that asks, in order, `judge` is told how similar the gallery is, of several
/// rows the greatest; what it makes of that goes to `take`.
///
/// # Errors
/// libtorch's; [`Error::Interrupted`](crate::Error::Interrupted).
pub(super) fn nearest<T: Send>(
    queries: &Block,
    gallery: &Block,
    device: Device,
    progress: &mut dyn FnMut(Progress) -> Flow,
    judge: &(dyn Fn(usize, &Near) -> T + Sync),
    take: &mut dyn FnMut(usize, T),
) -> Result<()> {
    let (total, wide) = (queries.records.len(), gallery.records.len());
    let most = (PRODUCT / wide.max(1)).clamp(1, ROWS);
    let all = gallery.tensor(0..wide, device)?;
    let mut start = 0;
    while start < total {
        // A record's rows are not parted.
        let last = queries.records[(start + most).min(total) - 1];
        let end = queries.records.partition_point(|record| *record <= last);
        let part = queries.tensor(start..end, device)?;
        let product = || part.f_matmul(&all.f_transpose(0, 1)?);
        let scores = to_vec(&product().map_err(unisono_encoders::Error::from)?)?;
        let mut asking: Vec<(usize, std::ops::Range<usize>)> = Vec::new();
        for (row, record) in queries.records[start..end].iter().enumerate() {
            match asking.last_mut().filter(|(last, _)| last == record) {
                Some((_, rows)) => rows.end = row + 1,
                None => asking.push((*record, row..row + 1)),
            }
        }
        let one = |(record, rows): &(usize, std::ops::Range<usize>)| {
            let row = |row: usize| &scores[row * wide..(row + 1) * wide];
            let judged = |scores: &[f32]| judge(*record, &Near { gallery: &gallery.records, scores });
            if rows.len() == 1 {
                return judged(row(rows.start));
            }
            let mut greatest = row(rows.start).to_vec();
            for other in rows.clone().skip(1) {
                greatest.iter_mut().zip(row(other)).for_each(|(a, b)| *a = a.max(*b));
            }
            judged(&greatest)
        };
        let judged: Vec<T> = asking.par_iter().map(one).collect();
        asking.iter().zip(judged).for_each(|((record, _), judged)| take(*record, judged));
        start = end;
        progress(Progress { stage: "compare vectors", done: start, total, skipped: 0 }).check()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(rows: &[(usize, Vec<f32>)]) -> Block {
        let mut block = Block::default();
        rows.iter().for_each(|(record, row)| block.push(*record, row));
        block
    }

    fn rows() -> impl Strategy<Value = Vec<(usize, Vec<f32>)>> {
        // Few values make many ties.
        let row = prop::collection::vec((-2i8..=2).prop_map(f32::from), 3);
        prop::collection::vec((0usize..40, row), 1..60).prop_map(|mut rows| {
            rows.sort_by_key(|(record, _)| *record);
            rows
        })
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_sort(asking in rows(), there in rows(), k in 1usize..9, most in 0f32..12.0) {
            let (queries, gallery) = (block(&asking), block(&there));
            let mut found = Vec::new();
            let judge = |record: usize, near: &Near| (near.of(record), near.best(k, most, |other| other % 3 != record % 3));
            nearest(&queries, &gallery, Device::Cpu, &mut |_| Flow::Continue, &judge, &mut |record, got| found.push((record, got))).unwrap();
            let mut records: Vec<usize> = asking.iter().map(|(record, _)| *record).collect();
            records.dedup();
            prop_assert_eq!(found.iter().map(|(record, _)| *record).collect::<Vec<_>>(), records);
            for (record, (own, best)) in found {
                let score = |other: usize| {
                    let of = |rows: &[(usize, Vec<f32>)], record| rows.iter().filter(move |(r, _)| *r == record).map(|(_, row)| row.clone()).collect::<Vec<_>>();
                    let pairs = of(&asking, record).into_iter().flat_map(|a| of(&there, other).into_iter().map(move |b| similarity(&a, &b)));
                    pairs.max_by(f32::total_cmp)
                };
                prop_assert_eq!(own, score(record));
                let mut all: Vec<(usize, f32)> = (0..40).filter(|other| other % 3 != record % 3).filter_map(|other| Some((other, score(other)?))).collect();
                all.retain(|(_, score)| *score <= most);
                all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                all.truncate(k);
                prop_assert_eq!(best, all);
            }
        }
    }

    #[test]
    fn rows_of_two_records_are_compared() {
        let texts = block(&[(1, vec![1.0, 0.0]), (1, vec![0.0, 1.0]), (4, vec![0.6, 0.8])]);
        assert!(texts.near(1, 4, 0.8) && !texts.near(1, 4, 0.81) && !texts.near(1, 2, -1.0));
    }
}

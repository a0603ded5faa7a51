//! Recalls, ranks and chance of whole protocols against loops over a table of scores: several right answers, ties, everything in between.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use unisono_eval::metrics::RetrievalMetrics;
use unisono_eval::retrieval::{Embeddings, Right, ranks, ranks_of};
use unisono_eval::stats::Bootstrap;

const FEW: Bootstrap = Bootstrap { resamples: 20, seed: 0, level: 0.95 };

/// A query's scores and which items are right.
type Row = Vec<(i8, bool)>;

/// Every order of the items that sorts them by score, each equally likely: at which place (from 1) the first right one stands.
fn places(row: &Row) -> Vec<usize> {
    let best = row.iter().filter(|i| i.1).map(|i| i.0).max().unwrap();
    let above = row.iter().filter(|i| i.0 > best).count();
    let tied: Vec<bool> = row.iter().filter(|i| i.0 == best).map(|i| i.1).collect();
    let right = tied.iter().filter(|r| **r).count();
    // Which of the tied places the right ones take.
    let masks = (0u32..1 << tied.len()).filter(|m| m.count_ones() as usize == right);
    masks.map(|mask| above + 1 + mask.trailing_zeros() as usize).collect()
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let all: Vec<f64> = values.into_iter().collect();
    all.iter().sum::<f64>() / all.len() as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (values[(n - 1) / 2] + values[n / 2]) / 2.0
}

/// Measures a table of scores by the real road: query q is the q-th unit vector, so its product with item g is what the table says.
fn measure(rows: &[Row]) -> RetrievalMetrics {
    let (n, items) = (rows.len(), rows[0].len());
    let mut queries = vec![0.0f32; n * n];
    (0..n).for_each(|q| queries[q * n + q] = 1.0);
    let gallery: Vec<f32> = (0..items).flat_map(|g| (0..n).map(move |q| f32::from(rows[q][g].0))).collect();
    let names: Vec<String> = (0..n).map(|q| q.to_string()).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let asked: Vec<&[&str]> = keys.iter().map(std::slice::from_ref).collect();
    let marks: Vec<Vec<&str>> =
        (0..items).map(|g| (0..n).filter(|&q| rows[q][g].1).map(|q| keys[q]).collect()).collect();
    let answers: Vec<&[&str]> = marks.iter().map(Vec::as_slice).collect();
    let right = Right::by_marks(&asked, &answers);
    let (queries, gallery) = (Embeddings::new(n, &queries).unwrap(), Embeddings::new(n, &gallery).unwrap());
    let found = ranks_of(&queries, &gallery, &right, None).unwrap();
    RetrievalMetrics::new("text", "image", &found, &keys, &FEW).unwrap()
}

/// Up to six queries over up to nine items, each with a right answer at least; few scores, so that many tie.
fn table() -> impl Strategy<Value = Vec<Row>> {
    (1..6usize, 1..9usize).prop_flat_map(|(queries, items)| {
        let row = proptest::collection::vec((-2..3i8, any::<bool>()), items);
        let row = (row, 0..items).prop_map(|(mut row, sure)| {
            row[sure].1 = true;
            row
        });
        proptest::collection::vec(row, queries)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn metrics_are_means_over_all_orders(rows in table()) {
        let m = measure(&rows);
        let hit = |k: usize| mean(rows.iter().map(|row| mean(places(row).iter().map(|&p| f64::from(u8::from(p <= k))))));
        let reciprocal = mean(rows.iter().map(|row| mean(places(row).iter().map(|&p| 1.0 / p as f64))));
        let ranks = rows.iter().map(|row| mean(places(row).iter().map(|&p| p as f64))).collect();
        let expected = [hit(1), hit(5), hit(10), reciprocal, median(ranks)];
        let found = [m.r1, m.r5, m.r10, m.mrr, m.median_rank].map(|e| e.value);
        for (found, expected) in found.into_iter().zip(expected) {
            prop_assert!((found - expected).abs() < 1e-9, "{found} {expected} of {rows:?}");
        }
        let right = |row: &Row| row.iter().filter(|i| i.1).count() as f64;
        prop_assert!((m.relevant - mean(rows.iter().map(right))).abs() < 1e-12);
        prop_assert_eq!((m.queries, m.gallery), (rows.len(), rows[0].len() as f64));
        prop_assert!(m.r1.value <= m.r5.value + 1e-12 && m.r5.value <= m.r10.value + 1e-12);
    }

    /// A model that gives every item one score measures what is called chance.
    #[test]
    fn equal_scores_measure_chance(rows in table()) {
        let blind: Vec<Row> = rows.iter().map(|row| row.iter().map(|i| (1, i.1)).collect()).collect();
        let m = measure(&blind);
        for (k, value, chance) in m.recalls() {
            prop_assert!((value.value - chance).abs() < 1e-12, "R@{k} {} {chance}", value.value);
        }
        // Chance is of the protocol, not of the model.
        let seeing = measure(&rows);
        prop_assert_eq!((seeing.chance_r1, seeing.chance_r5, seeing.chance_r10), (m.chance_r1, m.chance_r5, m.chance_r10));
    }

    #[test]
    fn one_more_right_answer_never_hurts(rows in table(), item in 0..9usize) {
        let before = measure(&rows);
        let mut more = rows.clone();
        let item = item % rows[0].len();
        more.iter_mut().for_each(|row| row[item].1 = true);
        let after = measure(&more);
        for ((k, a, chance), (_, b, grown)) in before.recalls().into_iter().zip(after.recalls()) {
            prop_assert!(b.value >= a.value - 1e-12 && grown >= chance - 1e-12, "R@{k}");
        }
        prop_assert!(after.mrr.value >= before.mrr.value - 1e-12);
    }

    #[test]
    fn neither_order_nor_scale_matters(rows in table(), by in 0..9usize) {
        let plain = measure(&rows);
        let mut turned = rows.clone();
        let n = rows[0].len();
        turned.iter_mut().for_each(|row| row.rotate_left(by % n));
        turned.reverse();
        let grown: Vec<Row> = turned.iter().map(|row| row.iter().map(|i| (i.0 * 7, i.1)).collect()).collect();
        let found = measure(&grown);
        let values = |m: &RetrievalMetrics| [m.r1, m.r5, m.r10, m.mrr, m.median_rank].map(|e| e.value);
        for (a, b) in values(&plain).into_iter().zip(values(&found)) {
            prop_assert!((a - b).abs() < 1e-12);
        }
    }
}

#[test]
fn queries_of_one_label_are_drawn_together() {
    // Four questions about a cat, all answered, and four about a dog, none: with labels drawn as wholes the interval is everything.
    let scores: Vec<f32> = [[1.0, 0.0]; 8].concat();
    let gallery = [1.0, 0.0, 0.0, 1.0];
    let keys = ["cat", "cat", "cat", "cat", "dog", "dog", "dog", "dog"];
    let (queries, gallery) = (Embeddings::new(2, &scores).unwrap(), Embeddings::new(2, &gallery).unwrap());
    let found = ranks(&queries, &keys, &gallery, &["cat", "dog"], None).unwrap();
    let m = RetrievalMetrics::new("text", "image", &found, &keys, &Bootstrap::default()).unwrap();
    assert_eq!((m.r1.value, m.r1.low, m.r1.high), (0.5, 0.0, 1.0));
    let alone: Vec<String> = (0..8).map(|i| i.to_string()).collect();
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    let apart = RetrievalMetrics::new("text", "image", &found, &alone, &Bootstrap::default()).unwrap();
    assert!(apart.r1.low > 0.05 && apart.r1.high < 0.95, "{}", apart.r1);
}

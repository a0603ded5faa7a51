use super::*;
use crate::codes::Codes;
use crate::search::top_scored;
use crate::{Store, similarity};
use proptest::prelude::*;
use std::collections::HashSet;

/// Numbers from -1 to 1 that look random.
fn values(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn together_is_one_by_one(
        dim in 1usize..140, count in 0usize..90, queries in 4usize..150, k in 1usize..40, seed in any::<u64>(), modulus in 1usize..4,
    ) {
        let (all, asked) = (values(count * dim, seed), values(queries * dim, seed ^ 9));
        let keep = |row: usize| row.is_multiple_of(modulus);
        let dir = tempfile::tempdir().unwrap();
        for store in [Store::F32, Store::Bf16, Store::I8] {
            let path = dir.path().join(store.name());
            let codes;
            let rows = if store == Store::F32 {
                Rows::Floats { values: &all, dim }
            } else {
                Codes::write(&path, store, &all, dim).unwrap();
                codes = Codes::open(&path, store, count, dim).unwrap();
                Rows::Codes(&codes)
            };
            let asked: Vec<Asked> = asked.chunks_exact(dim).map(|query| rows.ask(query)).collect();
            let Some(found) = top_together(rows, count, 7, &asked, k, keep) else {
                prop_assert!(!is_there());
                return Ok(());
            };
            let score = |query: usize, row: usize| rows.score(&asked[query], row);
            let right = top_scored(count, 7, queries, k, score, keep, |_| true);
            prop_assert_eq!(found.len(), right.len());
            for (found, right) in found.iter().zip(&right) {
                if store == Store::I8 {
                    // Whole numbers: nothing is rounded.
                    prop_assert_eq!(found, right);
                    continue;
                }
                prop_assert_eq!(found.len(), right.len());
                for (a, b) in found.iter().zip(right) {
                    prop_assert!((a.score - b.score).abs() < 1e-4, "{store}: {a:?} {b:?}");
                }
                let distinct: HashSet<usize> = found.iter().map(|hit| hit.index).collect();
                prop_assert!(distinct.len() == found.len() && found.iter().all(|hit| keep(hit.index)));
            }
        }
    }
}

#[test]
fn few_queries_and_bits_go_one_by_one() {
    let all = values(64 * 10, 3);
    let rows = Rows::Floats { values: &all, dim: 64 };
    let asked: Vec<Asked> = all.chunks_exact(64).map(|query| rows.ask(query)).collect();
    assert!(top_together(rows, 10, 4, &asked[..2], 3, |_| true).is_none());
    let bits: Vec<Asked> = (0..8).map(|_| Asked::Bits(vec![0])).collect();
    assert!(top_together(rows, 10, 4, &bits, 3, |_| true).is_none());
    if let Some(found) = top_together(rows, 10, 4, &asked, 1, |_| true) {
        for (n, hits) in found.iter().enumerate() {
            let own = similarity(&all[n * 64..(n + 1) * 64], &all[n * 64..(n + 1) * 64]);
            assert!(hits[0].score >= own - 1e-4, "{n}");
        }
    }
}

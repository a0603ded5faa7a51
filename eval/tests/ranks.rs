//! Ranks against a naive oracle: every order of ties written out, one pair at a time.

use proptest::prelude::*;
use unisono_eval::{
    Error,
    retrieval::{Embeddings, QueryRank, Ranks, ranks, ranks_among, top},
};

/// Small whole numbers, so that dot products are exact in any order of summation and ties are common.
fn vectors(rows: std::ops::Range<usize>) -> impl Strategy<Value = Vec<[f32; 3]>> {
    let value = (-2..=2i8).prop_map(f32::from);
    prop::collection::vec([value.clone(), value.clone(), value], rows)
}

/// A key or group for each row, drawn from few so that several rows share one.
fn named(choices: usize, index: usize) -> &'static str {
    ["a", "b", "c", "d", "e", "f"][index * 7 % 13 % choices]
}

fn dot(a: &[f32; 3], b: &[f32; 3]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// Means of (rank, hit at 1, hit at 3, reciprocal rank) over every order of the tied items.
fn over_all_orders(above: usize, tied: &[bool]) -> [f64; 4] {
    let n = tied.len();
    let (mut sums, mut orders) = ([0.0; 4], 0.0);
    let mut order: Vec<usize> = (0..n).collect();
    permute(&mut order, 0, &mut |order| {
        let first = order.iter().position(|&item| tied[item]).map_or(0, |at| above + at + 1);
        let values = [first as f64, f64::from(first <= 1), f64::from(first <= 3), 1.0 / first as f64];
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        orders += 1.0;
    });
    sums.map(|sum| sum / orders)
}

fn permute(order: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        visit(order);
    }
    for at in from..order.len() {
        order.swap(from, at);
        permute(order, from + 1, visit);
        order.swap(from, at);
    }
}

proptest! {
    #[test]
    fn agrees_with_the_oracle(
        queries in vectors(1..6),
        gallery in vectors(1..8),
        keys in 1..5usize,
        groups in 0..3usize,
        among in any::<bool>(),
    ) {
        let gallery = if among { queries.clone() } else { gallery };
        let names = |n: usize, choices| (0..n).map(|i| named(choices, i)).collect::<Vec<_>>();
        let (query_keys, gallery_keys) = (names(queries.len(), keys), names(gallery.len(), keys));
        let (query_groups, gallery_groups) = (names(queries.len(), groups.max(1)), names(gallery.len(), groups.max(1)));
        let (left, right) = (queries.concat(), gallery.concat());
        let (left, right) = (Embeddings::new(3, &left)?, Embeddings::new(3, &right)?);
        let found = match among {
            true => ranks_among(&left, &query_keys, (groups > 0).then_some(&query_groups)),
            false => {
                let within = (groups > 0).then_some((query_groups.as_slice(), gallery_groups.as_slice()));
                ranks(&left, &query_keys, &right, &gallery_keys, within)
            }
        };
        let mut scored = 0;
        for (q, query) in queries.iter().enumerate() {
            let meets = |g: &usize| query_groups[q] == gallery_groups[*g] && !(among && q == *g);
            let pool: Vec<usize> = (0..gallery.len()).filter(meets).collect();
            let is_right = |g: usize| query_keys[q] == gallery_keys[g];
            let best = pool.iter().filter(|&&g| is_right(g)).map(|&g| dot(query, &gallery[g])).reduce(f32::max);
            let Some(best) = best else {
                prop_assert!(found.as_ref().map_or(true, |found| found.left_out.contains(&q)));
                continue;
            };
            let found = found.as_ref().map_err(|e| TestCaseError::fail(e.to_string()))?;
            let got = &found.queries[scored];
            scored += 1;
            prop_assert_eq!(got.query, q);
            prop_assert_eq!(got.gallery, pool.len());
            prop_assert_eq!(got.relevant, pool.iter().filter(|&&g| is_right(g)).count());
            prop_assert_eq!(got.relevant_score, best);
            prop_assert!(is_right(got.best_relevant) && dot(query, &gallery[got.best_relevant]) == best);
            let wrong = pool.iter().filter(|&&g| !is_right(g)).map(|&g| dot(query, &gallery[g])).reduce(f32::max);
            prop_assert_eq!(got.wrong_score, wrong);
            prop_assert_eq!(got.best_wrong.map(|g| dot(query, &gallery[g])), wrong);
            let above = pool.iter().filter(|&&g| dot(query, &gallery[g]) > best).count();
            let tied: Vec<bool> =
                pool.iter().filter(|&&g| dot(query, &gallery[g]) == best).map(|&g| is_right(g)).collect();
            let expected = over_all_orders(above, &tied);
            for (got, expected) in [got.rank, got.hit(1), got.hit(3), got.reciprocal()].into_iter().zip(expected) {
                prop_assert!((got - expected).abs() < 1e-9, "{} is not {}", got, expected);
            }
        }
        prop_assert_eq!(scored, found.map_or(0, |found| found.queries.len()));
    }
}

fn pair(scores: &[f32], keys: &[&str], key: &str) -> unisono_eval::Result<Ranks> {
    ranks(&Embeddings { dim: 1, data: &[1.0] }, &[key], &Embeddings { dim: 1, data: scores }, keys, None)
}

#[test]
fn a_collapsed_model_measures_exactly_chance() {
    let keys: Vec<String> = (0..50).map(|i| i.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let same = vec![1.0; 50];
    let side = Embeddings::new(1, &same).unwrap();
    let found = ranks(&side, &keys, &side, &keys, None).unwrap();
    assert!(found.queries.iter().all(|q| (q.hit(10) - 0.2).abs() < 1e-12 && q.rank == 25.5));
}

#[test]
fn many_blocks_agree_with_one_dot_product_at_a_time() {
    // More queries than a block holds, and values whose sums are exact.
    let (dim, queries, items) = (5, 200, 301);
    let value = |seed: usize| ((seed * 7919 % 23) as f32 - 11.0) / 4.0;
    let left: Vec<f32> = (0..queries * dim).map(value).collect();
    let right: Vec<f32> = (0..items * dim).map(|i| value(i * 31 + 5)).collect();
    let keys: Vec<String> = (0..items).map(|i| i.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let (left, right) = (Embeddings::new(dim, &left).unwrap(), Embeddings::new(dim, &right).unwrap());
    let found = ranks(&left, &keys[..queries], &right, &keys, None).unwrap();
    for QueryRank { query, above, tied, .. } in found.queries {
        let row = left.row(query).unwrap();
        let score = |g: usize| row.iter().zip(right.row(g).unwrap()).map(|(x, y)| x * y).sum::<f32>();
        assert_eq!(above, (0..items).filter(|&g| score(g) > score(query)).count());
        assert_eq!(tied, (0..items).filter(|&g| g != query && score(g) == score(query)).count());
    }
}

#[test]
fn queries_without_an_answer_are_counted_or_refused() {
    let one = [1.0];
    let queries = [1.0, 1.0];
    let (queries, gallery) = (Embeddings::new(1, &queries).unwrap(), Embeddings::new(1, &one).unwrap());
    let found = ranks(&queries, &["cat", "dog"], &gallery, &["dog"], None).unwrap();
    assert_eq!((found.left_out, found.queries[0].query), (vec![0], 1));
    let error = ranks(&queries, &["cat", "cow"], &gallery, &["dog"], None).unwrap_err().to_string();
    assert!(error.contains("2 queries") && error.contains("\"cat\"") && !error.contains('\n'), "{error}");
    assert!(ranks(&Embeddings { dim: 1, data: &[] }, &[], &gallery, &["dog"], None).is_err());
}

#[test]
fn broken_input_is_named() {
    assert!(matches!(Embeddings::new(0, &[]), Err(Error::Shape { .. })));
    assert!(matches!(Embeddings::new(3, &[1.0; 4]), Err(Error::Shape { len: 4, dim: 3, .. })));
    assert!(matches!(pair(&[0.5, f32::NAN], &["a", "b"], "a"), Err(Error::NotFinite { index: 1, .. })));
    assert!(matches!(pair(&[0.5], &["a", "b"], "a"), Err(Error::Count { expected: 1, found: 2, .. })));
    let (wide, narrow) = ([1.0, 0.0], [1.0]);
    let (wide, narrow) = (Embeddings::new(2, &wide).unwrap(), Embeddings::new(1, &narrow).unwrap());
    assert!(matches!(
        ranks(&wide, &["a"], &narrow, &["a"], None),
        Err(Error::Width { queries: 2, gallery: 1 })
    ));
    assert!(matches!(
        ranks(&narrow, &["a"], &narrow, &["a"], Some((&["x", "y"], &["x"]))),
        Err(Error::Count { what: "query groups", .. })
    ));
    // Public fields let anyone skip the constructor: still no panic.
    let odd = Embeddings { dim: 2, data: &[1.0, 2.0, 3.0] };
    assert!(ranks(&odd, &["a"], &odd, &["a"], None).is_err());
    assert_eq!((odd.row(1), odd.row(usize::MAX), Embeddings { dim: 0, data: &[] }.len()), (None, None, 0));
}

#[test]
fn top_is_the_sorted_gallery() {
    let gallery = [0.1, 0.9, 0.5, 0.9, -0.3];
    let gallery = Embeddings::new(1, &gallery).unwrap();
    assert_eq!(top(&[1.0], &gallery, 3).unwrap(), [(1, 0.9), (3, 0.9), (2, 0.5)]);
    assert_eq!(top(&[1.0], &gallery, 99).unwrap().len(), 5);
    assert_eq!(top(&[1.0], &gallery, 0).unwrap(), []);
    assert!(top(&[1.0, 2.0], &gallery, 1).is_err());
}

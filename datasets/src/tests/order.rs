use super::*;
use proptest::prelude::*;

fn keys(seed: u64) -> Keys {
    Keys(seed)
}

fn all(order: Order, n: u64, epoch: u64) -> Vec<u64> {
    let epoch = Epoch::new(order, n, (7, epoch, 1));
    (0..n).map(|at| epoch.at(at)).collect()
}

fn is_permutation(order: &[u64]) -> bool {
    let mut seen = vec![false; order.len()];
    order.iter().all(|i| seen.get_mut(*i as usize).is_some_and(|s| !std::mem::replace(s, true)))
}

/// Pairs that stand next to each other and were neighbours in the source.
fn neighbours(order: &[u64]) -> f64 {
    order.windows(2).filter(|w| w[0].abs_diff(w[1]) == 1).count() as f64 / order.len() as f64
}

proptest! {
    #[test]
    fn each_number_comes_once(n in 1u64..3000, seed: u64) {
        let permutation = Permutation::new(n, &mut keys(seed));
        let order: Vec<u64> = (0..n).map(|i| permutation.at(i)).collect();
        prop_assert!(is_permutation(&order));
        for (at, number) in order.iter().enumerate() {
            prop_assert_eq!(permutation.find(*number), at as u64);
        }
        prop_assert_eq!(permutation.at(n + 3), n + 3);
    }

    #[test]
    fn blocks_of_any_size_lose_nothing(n in 1u64..3000, block in 1u64..200, buffer in 1u64..9, epoch: u64) {
        let order = all(Order::Blocks { block, buffer }, n, epoch);
        prop_assert!(is_permutation(&order));
    }

    #[test]
    fn a_window_holds_so_many_blocks(blocks in 20u64..60, block in 1u64..30, buffer in 1u64..6) {
        let n = blocks * block;
        let order = all(Order::Blocks { block, buffer }, n, 3);
        for window in order.chunks((block * buffer) as usize) {
            let used: std::collections::BTreeSet<u64> = window.iter().map(|i| i / block).collect();
            prop_assert!(used.len() as u64 <= buffer);
        }
    }
}

#[test]
fn large_orders_are_keyed_and_differ_by_epoch() {
    let n = TABLE + 5;
    assert!(matches!(Epoch::new(Order::Global, n, (1, 2, 3)), Epoch::Keyed(_)));
    assert!(matches!(Epoch::new(Order::Global, TABLE, (1, 2, 3)), Epoch::Table(_)));
    let (first, second) = (all(Order::Global, n, 0), all(Order::Global, n, 1));
    assert!(is_permutation(&first) && is_permutation(&second));
    let same = first.iter().zip(&second).filter(|(a, b)| a == b).count();
    assert!(same < 12, "{same} of {n} stay where they were; one is expected");
}

/// Every place of the source reaches every part of the epoch alike: chi-squared over 16 x 16 cells, 225 degrees of freedom, 99.9 % point.
#[test]
fn a_keyed_order_forgets_where_records_were() {
    let n = 1u64 << 17;
    for epoch in 0..4 {
        let mut cells = [[0f64; 16]; 16];
        for (at, record) in all(Order::Global, n, epoch).into_iter().enumerate() {
            cells[at * 16 / n as usize][(record * 16 / n) as usize] += 1.0;
        }
        let expected = n as f64 / 256.0;
        let chi: f64 = cells.iter().flatten().map(|c| (c - expected).powi(2) / expected).sum();
        assert!(chi < 295.0, "{chi}");
    }
}

/// The chance that neighbours stay neighbours: 2 / n of a whole shuffle, 2 / (block x buffer) over blocks.
#[test]
fn neighbours_part() {
    let n = 200_000;
    let global = neighbours(&all(Order::Global, n, 0));
    assert!(global < 10.0 / n as f64, "{global}");
    for (block, buffer) in [(1000, 16), (100, 16), (1000, 1)] {
        let stay = neighbours(&all(Order::Blocks { block, buffer }, n, 0));
        let expected = 2.0 / (block * buffer) as f64;
        // Counts of rare events: within six deviations.
        let slack = 6.0 * (expected / n as f64).sqrt();
        assert!((stay - expected).abs() < slack, "{block} x {buffer}: {stay} against {expected}");
    }
    assert!(neighbours(&all(Order::Sequential, n, 0)) > 0.99);
}

#[test]
fn the_source_says_what_auto_is() {
    assert_eq!(Order::Auto.of(1), Order::Global);
    assert_eq!(Order::Auto.of(500), Order::Blocks { block: 500, buffer: BUFFER });
    assert_eq!(Order::Sequential.of(500), Order::Sequential);
    let read = |text: &str| serde_json::from_str::<Order>(text).unwrap();
    assert_eq!(read(r#"{"blocks": {"block": 10, "buffer": 2}}"#), Order::Blocks { block: 10, buffer: 2 });
    assert_eq!(read(r#""global""#), Order::Global);
}

/// Fisher-Yates makes every order of four records equally often: 24,000 epochs give each of the 24 about 1,000 times, and
/// the chi-squared statistic of 23 degrees of freedom stays below its 99.9 % point.
#[test]
fn every_order_of_a_small_source_is_equally_likely() {
    let mut counts = std::collections::HashMap::new();
    for epoch in 0..24_000 {
        *counts.entry(table(5, 0, epoch, 4)).or_insert(0u32) += 1;
    }
    assert_eq!(counts.len(), 24);
    let chi: f64 = counts.values().map(|&c| (f64::from(c) - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi < 49.7, "{chi}");
}

/// Recorded once: a change of the stream would silently change every training.
#[test]
fn the_orders_are_pinned() {
    assert_eq!(table(0, 0, 0, 8), [3, 2, 6, 7, 1, 0, 5, 4]);
    let first = |order| (0..4).map(|at| Epoch::new(order, 1 << 20, (0, 0, 0)).at(at)).collect::<Vec<_>>();
    assert_eq!(first(Order::Global), [464_701, 476_991, 198_560, 645_975]);
    assert_eq!(first(Order::Blocks { block: 64, buffer: 4 }), [316_653, 316_635, 500_031, 316_640]);
}

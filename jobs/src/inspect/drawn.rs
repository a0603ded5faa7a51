//! Records by lot: data may repeat themselves every so many records.

use std::collections::BTreeSet;

/// The finaliser of SplitMix64.
fn mixed(n: u64) -> u64 {
    let mut n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

/// One of `step` records.
pub(super) fn is_drawn(index: usize, step: usize) -> bool {
    step == 1 || mixed(index as u64).is_multiple_of(step as u64)
}

/// `count` of `total` records, or all of them, in their order; every choice is as likely (Floyd's algorithm).
pub(super) fn drawn(total: usize, count: usize, seed: u64) -> BTreeSet<usize> {
    let mut drawn = BTreeSet::new();
    for last in total.saturating_sub(count)..total {
        let lot = mixed(mixed(seed) ^ last as u64) % (last as u64 + 1);
        if !drawn.insert(lot as usize) {
            drawn.insert(last);
        }
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_drawn_from_all_over() {
        let mut met = [0usize; 40];
        for seed in 0..2000 {
            let drawn = drawn(40, 10, seed);
            assert_eq!(drawn.len(), 10);
            drawn.into_iter().for_each(|i| met[i] += 1);
        }
        // 500 each, within six standard deviations.
        assert!(met.iter().all(|n| (384..=616).contains(n)), "{met:?}");
        assert_eq!(drawn(40, 10, 7), drawn(40, 10, 7));
        assert_ne!(drawn(40, 10, 7), drawn(40, 10, 8));
        assert_eq!(drawn(3, 10, 7), BTreeSet::from([0, 1, 2]));
        assert!(drawn(3, 0, 7).is_empty() && drawn(0, 3, 7).is_empty());
    }
}

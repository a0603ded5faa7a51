//! Which set of records goes to which part.

use std::cmp::Reverse;
use std::collections::HashMap;

/// Records that stay together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    /// How many they are.
    pub(super) size: usize,
    /// The part of the data in which each split is to have its share.
    pub(super) stratum: u64,
    /// Its place by lot.
    pub(super) lot: u64,
}

/// The part of each set, by its number among the shares, which are 1 together.
///
/// Strata follow each other by lot. In each the largest sets come first, those of one size by lot; a set goes to the part that has the least of what it
/// should have, among those that have room for it, or else to the part that lacks most. What a part has too much or too little in a stratum it has less
/// or more in the next: of a thousand labels with two records each, every part still has its share of all.
pub(super) fn assign(sets: &[Set], shares: &[f64]) -> Vec<usize> {
    let mut strata: HashMap<u64, u64> = HashMap::new();
    for set in sets {
        let lot = strata.entry(set.stratum).or_insert(set.lot);
        *lot = set.lot.min(*lot);
    }
    let mut order: Vec<usize> = (0..sets.len()).collect();
    order.sort_unstable_by_key(|i| {
        let set = &sets[*i];
        (strata.get(&set.stratum), set.stratum, Reverse(set.size), set.lot, *i)
    });
    let (mut parts, mut owed) = (vec![0; sets.len()], vec![0.0; shares.len()]);
    for stratum in order.chunk_by(|a, b| sets[*a].stratum == sets[*b].stratum) {
        let total: usize = stratum.iter().map(|i| sets[*i].size).sum();
        owed.iter_mut().zip(shares).for_each(|(owed, share)| *owed += share * total as f64);
        let whole = owed.clone();
        for i in stratum {
            let size = sets[*i].size as f64;
            let part = part(&owed, &whole, size);
            owed[part] -= size;
            parts[*i] = part;
        }
    }
    parts
}

fn part(owed: &[f64], whole: &[f64], size: f64) -> usize {
    // Sums of shares are off by some rounding.
    let fits = |part: &usize| owed[*part] + 1e-6 >= size;
    let lacks = |part: &usize| owed[*part] / whole[*part].max(f64::MIN_POSITIVE);
    // Of equal ones the larger part, then the first.
    let more = |value: f64, part: usize| (value, whole[part], Reverse(part));
    let by = |a: &(f64, f64, Reverse<usize>), b: &(f64, f64, Reverse<usize>)| {
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
    };
    let roomy = (0..owed.len()).filter(fits).map(|part| more(lacks(&part), part)).max_by(by);
    let best = roomy.or_else(|| (0..owed.len()).map(|part| more(owed[part], part)).max_by(by));
    best.map_or(0, |(.., Reverse(part))| part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counts(sets: &[Set], parts: &[usize], of: usize) -> Vec<usize> {
        let mut counts = vec![0; of];
        sets.iter().zip(parts).for_each(|(set, part)| counts[*part] += set.size);
        counts
    }

    fn lot(n: u64) -> u64 {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    #[test]
    fn small_strata_make_up_for_each_other() {
        // A thousand labels, two records each, and one of a hundred.
        let mut sets: Vec<Set> = (0..2000).map(|n| Set { size: 1, stratum: n / 2, lot: lot(n) }).collect();
        sets.extend((0..100).map(|n| Set { size: 1, stratum: 5000, lot: lot(n + 9000) }));
        let shares = [0.9, 0.05, 0.05];
        let parts = assign(&sets, &shares);
        assert_eq!(counts(&sets, &parts, 3), [1890, 105, 105]);
        let large = counts(&sets[2000..], &parts[2000..], 3);
        assert!(large[0].abs_diff(90) <= 1 && large[1].abs_diff(5) <= 1, "{large:?}");
    }

    #[test]
    fn large_sets_go_where_there_is_room() {
        let sizes = [40, 3, 3, 2, 1, 1];
        let sets: Vec<Set> =
            sizes.iter().zip(1..).map(|(size, n)| Set { size: *size, stratum: 0, lot: lot(n) }).collect();
        let parts = assign(&sets, &[0.8, 0.2]);
        assert_eq!((parts[0], counts(&sets, &parts, 2)), (0, vec![40, 10]));
        // More than any part should have: it goes to the largest.
        assert_eq!(assign(&sets[..1], &[0.2, 0.5, 0.3]), [1]);
    }

    proptest! {
        #[test]
        fn parts_are_what_was_asked_for_but_for_one_set(
            sizes in prop::collection::vec((1usize..6, 0u64..4), 1..200),
            first in 0.05f64..0.9,
            turn in any::<bool>(),
        ) {
            let mut sets: Vec<Set> = sizes.iter().zip(1..).map(|((size, stratum), n)| Set { size: *size, stratum: *stratum, lot: lot(n) }).collect();
            let shares = [first, (1.0 - first) / 2.0, (1.0 - first) / 2.0];
            let parts = assign(&sets, &shares);
            let total: usize = sets.iter().map(|set| set.size).sum();
            for (count, share) in counts(&sets, &parts, 3).iter().zip(shares) {
                prop_assert!((*count as f64 - share * total as f64).abs() <= 6.0);
            }
            // The order of the records is of no account.
            if turn {
                sets.reverse();
                let mut turned = assign(&sets, &shares);
                turned.reverse();
                prop_assert_eq!(turned, parts);
            }
        }
    }
}

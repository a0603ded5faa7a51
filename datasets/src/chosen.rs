//! Which of a hundred million records are meant, in a few megabytes.

use rayon::prelude::*;

/// Words of 64 records between two counts.
const STEP: usize = 8;

/// Words of 64 records that one core looks at, at once.
const PART: usize = 256;

/// Some of many numbers, in order. At most a bit for each that there is: 13 MB of a hundred million, four bytes for each that is meant where they are few.
#[derive(Debug)]
pub(crate) enum Chosen {
    Few(Box<[u32]>),
    Many {
        /// A bit each.
        bits: Box<[u64]>,
        /// How many are meant before every 512 of them.
        before: Box<[u32]>,
        count: usize,
    },
}

impl Chosen {
    /// Those below `len` that are `wanted`, each of which is asked once, on all cores.
    pub(crate) fn of(len: u32, wanted: impl Fn(u32) -> bool + Sync) -> Self {
        let mut bits = vec![0u64; (len as usize).div_ceil(64)];
        bits.par_chunks_mut(PART).enumerate().for_each(|(part, words)| {
            for (word, bits) in (part * PART..).zip(words) {
                let first = word as u32 * 64;
                let there = (len - first).min(64);
                *bits = (0..there).fold(0, |bits, bit| bits | u64::from(wanted(first + bit)) << bit);
            }
        });
        let (mut before, mut count) = (Vec::with_capacity(bits.len().div_ceil(STEP)), 0usize);
        for words in bits.chunks(STEP) {
            // There are fewer than 2^32 in all.
            before.push(count as u32);
            count += words.iter().map(|bits| bits.count_ones() as usize).sum::<usize>();
        }
        let many = Self::Many { bits: bits.into(), before: before.into(), count };
        match count.saturating_mul(32) < len as usize {
            true => Self::Few(many.iter().collect()),
            false => many,
        }
    }

    /// How many are meant.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many { count, .. } => *count,
        }
    }

    /// The one with so many before it.
    pub(crate) fn get(&self, index: usize) -> Option<u32> {
        let (bits, before) = match self {
            Self::Few(list) => return list.get(index).copied(),
            Self::Many { bits, before, count } if index < *count => (bits, before),
            Self::Many { .. } => return None,
        };
        let block = before.partition_point(|n| *n as usize <= index).checked_sub(1)?;
        let mut left = u32::try_from(index - before[block] as usize).ok()?;
        for (word, bits) in bits.iter().enumerate().skip(block * STEP).take(STEP) {
            match bits.count_ones() {
                n if left >= n => left -= n,
                _ => return Some(word as u32 * 64 + nth(*bits, left)),
            }
        }
        None
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let (list, bits): (&[u32], &[u64]) = match self {
            Self::Few(list) => (list, &[]),
            Self::Many { bits, .. } => (&[], bits),
        };
        let of = |(word, bits): (usize, &u64)| {
            let bits = *bits;
            (0..64u32).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| word as u32 * 64 + bit)
        };
        list.iter().copied().chain(bits.iter().enumerate().flat_map(of))
    }
}

/// The place of the bit that has `n` before it.
fn nth(mut bits: u64, n: u32) -> u32 {
    for _ in 0..n {
        bits &= bits.wrapping_sub(1);
    }
    bits.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// As a list of them.
        #[test]
        fn each_is_found(len in 0u32..3000, share in 1u64..200, salt in any::<u64>()) {
            let wanted = |i: u32| (u64::from(i) ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32 < (1 << 32) / share;
            let list: Vec<u32> = (0..len).filter(|i| wanted(*i)).collect();
            let chosen = Chosen::of(len, wanted);
            prop_assert_eq!(chosen.len(), list.len());
            prop_assert_eq!(chosen.iter().collect::<Vec<_>>(), list.clone());
            for (i, row) in list.iter().enumerate() {
                prop_assert_eq!(chosen.get(i), Some(*row));
            }
            prop_assert_eq!(chosen.get(list.len()), None);
        }
    }

    #[test]
    fn few_are_a_list() {
        assert!(matches!(Chosen::of(1000, |i| i % 100 == 0), Chosen::Few(list) if list.len() == 10));
        assert!(matches!(Chosen::of(1000, |i| i != 5), Chosen::Many { count: 999, .. }));
    }
}

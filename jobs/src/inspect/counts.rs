//! How many different things there are, in all and in each split.

use std::collections::HashMap;

/// Different things that are remembered: 2 million, some 50 MB.
const MOST: usize = 1 << 21;
/// Splits that are told apart.
pub(super) const SPLITS: usize = 63;

/// Counts different things, by numbers that tell them apart.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// In which splits each was met: a bit each.
    seen: HashMap<u64, u64>,
    all: usize,
    splits: Vec<usize>,
    /// More than are remembered: from then on what is met again counts again.
    over: bool,
}

impl Distinct {
    /// Counts it; whether it is new.
    pub(super) fn add(&mut self, number: u64, split: usize) -> bool {
        let bit = 1u64 << split.min(SPLITS);
        let before = match self.seen.len() < MOST {
            true => Some(self.seen.entry(number).or_insert(0)),
            false => self.seen.get_mut(&number),
        };
        self.over |= before.is_none();
        let mut unknown = 0;
        let before = before.unwrap_or(&mut unknown);
        let (new, new_here) = (*before == 0, *before & bit == 0);
        *before |= bit;
        self.all += usize::from(new);
        if self.splits.len() <= split {
            self.splits.resize(split + 1, 0);
        }
        self.splits[split] += usize::from(new_here);
        new
    }

    /// How many there are.
    pub(super) fn all(&self) -> usize {
        self.all
    }

    /// How many are in a split.
    pub(super) fn within(&self, split: usize) -> usize {
        self.splits.get(split).copied().unwrap_or(0)
    }

    /// Whether that is all that can be said: there are at most so many.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}

/// How often each of many names is met.
#[derive(Debug, Default)]
pub(super) struct Names {
    counts: HashMap<String, usize>,
    over: bool,
}

/// Names that are counted each, and characters of one that are kept.
const NAMES: usize = 1 << 18;
const LONGEST: usize = 200;

impl Names {
    /// Counts a name; those that come after very many others are not.
    pub(super) fn add(&mut self, name: &str) {
        let name = name.char_indices().nth(LONGEST).map_or(name, |(end, _)| &name[..end]);
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < NAMES {
            self.counts.insert(name.to_owned(), 1);
        } else {
            self.over = true;
        }
    }

    /// The most frequent `n`, and the least frequent of the others, each with its count; of equal counts by name.
    pub(super) fn ends(self, n: usize) -> [Vec<(String, usize)>; 2] {
        let mut all: Vec<(String, usize)> = self.counts.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let least = all.split_off(all.len().min(n));
        [all, least.into_iter().rev().take(n).collect()]
    }

    /// How many were counted.
    pub(super) fn len(&self) -> usize {
        self.counts.len()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_once_in_all_and_in_each_split() {
        let mut distinct = Distinct::default();
        let new: Vec<bool> =
            [(1, 0), (1, 0), (2, 1), (1, 1), (3, 1), (3, 1)].map(|(n, s)| distinct.add(n, s)).into();
        assert_eq!(new, [true, false, true, false, true, false]);
        assert_eq!(
            (distinct.all(), distinct.within(0), distinct.within(1), distinct.within(9)),
            (3, 1, 3, 0)
        );
        assert!(!distinct.is_over());
    }

    #[test]
    fn ends_are_in_order() {
        let mut names = Names::default();
        "b a b c d d d e".split(' ').for_each(|name| names.add(name));
        let of = |list: &[(&str, usize)]| list.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect::<Vec<_>>();
        assert!(!names.is_over());
        assert_eq!(names.ends(2), [of(&[("d", 3), ("b", 2)]), of(&[("e", 1), ("c", 1)])]);
        let mut one = Names::default();
        one.add("x");
        assert_eq!(one.ends(3), [of(&[("x", 1)]), Vec::new()]);
    }
}

//! Groups of near-copies that stand in several splits: what was learned would be tested.

use crate::named::number;
use std::collections::{BTreeSet, HashMap};
use unisono_datasets::Record;

/// Groups that are remembered: 4 million, some 100 MB.
const MOST: usize = 1 << 22;
/// Splits that are told apart.
const SPLITS: usize = 1000;
/// Groups that are named.
const NAMED: usize = 10_000;

/// Looks for groups that cross from one split to another.
#[derive(Debug, Default)]
pub(crate) struct Crossings {
    /// The number of the first split of each group.
    first: HashMap<u64, u32>,
    splits: Vec<String>,
    found: BTreeSet<(String, String, String)>,
}

impl Crossings {
    /// The next record.
    pub(crate) fn add(&mut self, record: &Record) {
        if let (Some(group), Some(split)) = (&record.group, &record.split) {
            self.meet(group, split);
        }
    }

    /// A group is met in a split.
    pub(crate) fn meet(&mut self, group: &str, split: &str) {
        let place = match self.splits.iter().position(|s| s == split) {
            Some(place) => place,
            None if self.splits.len() < SPLITS => {
                self.splits.push(split.to_owned());
                self.splits.len() - 1
            }
            None => return,
        };
        let number = number(group);
        let first = match self.first.get(&number) {
            Some(first) => *first as usize,
            None => {
                if self.first.len() < MOST {
                    self.first.insert(number, place as u32);
                }
                place
            }
        };
        if first != place && self.found.len() < NAMED {
            self.found.insert((group.to_owned(), self.splits[first].clone(), split.to_owned()));
        }
    }

    /// The groups, each with its first split and another one.
    pub(crate) fn found(self) -> Vec<(String, String, String)> {
        self.found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_group_is_named_once() {
        let mut crossings = Crossings::default();
        for (group, split) in [("a", "train"), ("b", "test"), ("a", "train"), ("b", "train"), ("b", "train")]
        {
            crossings.meet(group, split);
        }
        assert_eq!(crossings.found(), [("b".to_owned(), "test".to_owned(), "train".to_owned())]);
    }
}

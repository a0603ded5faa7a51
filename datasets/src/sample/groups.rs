//! Near-copies and the splits that none of them crosses.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use sha2::{Digest, Sha256};

use crate::Record;

/// Disjoint sets over `0..n` (Galler and Fischer 1964), with path halving.
#[derive(Debug)]
pub struct UnionFind {
    parent: Vec<usize>,
}

impl UnionFind {
    /// Each member by itself.
    pub fn new(n: usize) -> Self {
        Self { parent: (0..n).collect() }
    }

    /// The set's representative, its smallest member.
    pub fn find(&mut self, mut i: usize) -> usize {
        while self.parent[i] != i {
            self.parent[i] = self.parent[self.parent[i]];
            i = self.parent[i];
        }
        i
    }

    /// Makes one set of two members' sets.
    pub fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.parent[a.max(b)] = a.min(b);
    }

    /// Unites all members that have an equal key; `None` unites with nothing.
    pub fn union_by_key<K: Hash + Eq>(&mut self, keys: impl IntoIterator<Item = (usize, K)>) {
        let mut first: HashMap<K, usize> = HashMap::new();
        for (member, key) in keys {
            match first.get(&key) {
                Some(&other) => self.union(other, member),
                None => {
                    first.insert(key, member);
                }
            }
        }
    }

    /// Members by representative.
    pub fn sets(&mut self) -> BTreeMap<usize, Vec<usize>> {
        let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for i in 0..self.parent.len() {
            sets.entry(self.find(i)).or_default().push(i);
        }
        sets
    }
}

/// A number that depends on a name alone: order by it and a choice thumbnails random but is everybody's choice.
pub(super) fn lot(purpose: &str, name: &str) -> u64 {
    let digest = Sha256::digest(format!("{purpose}\n{name}"));
    digest.iter().take(8).fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// Whole groups, by lot, until they hold `target` members. A group that would overshoot is passed over.
pub(super) fn choose(purpose: &str, groups: &[(&str, usize)], target: usize) -> Vec<String> {
    let mut order: Vec<_> = groups.iter().map(|&(name, size)| (lot(purpose, name), name, size)).collect();
    order.sort_unstable();
    let (mut taken, mut chosen) = (0, Vec::new());
    for (_, name, size) in order {
        if taken + size <= target {
            taken += size;
            chosen.push(name.to_owned());
        }
    }
    chosen
}

/// Checks that no group crosses from one side to another, a side being what `side` says of a split (`None`: of no account).
/// Returns the groups that do, with two of their splits.
///
/// Use it on any manifest with groups; for one where every split is its own side, pass `|split| Some(split.to_owned())`.
pub fn verify_groups(
    records: &[Record],
    side: impl Fn(&str) -> Option<String>,
) -> std::result::Result<(), Vec<(String, String, String)>> {
    let mut seen: HashMap<&str, &str> = HashMap::new();
    let mut crossing = Vec::new();
    for record in records {
        let (Some(group), Some(split)) = (&record.group, &record.split) else { continue };
        if side(split).is_none() {
            continue;
        }
        let other = *seen.entry(group).or_insert(split);
        if side(other) != side(split) {
            crossing.push((group.clone(), other.to_owned(), split.clone()));
        }
    }
    crossing.sort();
    crossing.dedup();
    if crossing.is_empty() { Ok(()) } else { Err(crossing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_the_connected_components() {
        let mut sets = UnionFind::new(7);
        sets.union(5, 6);
        sets.union_by_key([(0, "a"), (3, "b"), (4, "a"), (6, "b")]);
        assert_eq!(
            sets.sets().into_values().collect::<Vec<_>>(),
            [vec![0, 4], vec![1], vec![2], vec![3, 5, 6]]
        );
    }

    #[test]
    fn groups_are_chosen_whole_and_do_not_depend_on_order() {
        let groups = [("a", 3), ("b", 1), ("c", 40), ("d", 2), ("e", 5)];
        let mut turned = groups;
        turned.reverse();
        let chosen = choose("test", &groups, 8);
        assert_eq!(chosen, choose("test", &turned, 8));
        let size: usize = groups.iter().filter(|g| chosen.iter().any(|c| c == g.0)).map(|g| g.1).sum();
        assert!(size <= 8 && !chosen.contains(&"c".to_owned()));
        assert_ne!(lot("a", "x"), lot("b", "x"));
    }

    #[test]
    fn a_crossing_group_is_named() {
        let record = |id: &str, group: &str, split: &str| Record {
            id: id.into(),
            group: Some(group.into()),
            split: Some(split.into()),
            ..Record::default()
        };
        let own = |split: &str| Some(split.to_owned());
        let mut records =
            vec![record("1", "a", "train"), record("2", "a", "train"), record("3", "b", "test")];
        assert_eq!(verify_groups(&records, own), Ok(()));
        records.push(record("4", "b", "train"));
        assert_eq!(verify_groups(&records, own), Err(vec![("b".into(), "test".into(), "train".into())]));
    }
}

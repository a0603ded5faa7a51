//! Which records are copies of each other, however many there are.

use super::collect::Entry;
use super::compare::{Compared, compare, decode};
use super::duplicates::Things;
use super::options::CheckOptions;
use crate::{Embedder, Flow, Progress, Result};
use unisono_datasets::Source;
use unisono_datasets::sample::UnionFind;

/// What of a source is there twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copies {
    /// Of each record the first with which it has anything in common, by way of others, too: a file, or files that are copies of each other; texts, where
    /// it has nothing else. Itself where it has nothing in common with any before it.
    pub first: Vec<usize>,
    /// Of each record whether each of its files is a copy of an earlier one. Records that name one and the same file are no copies of each other by that.
    pub repeats: Vec<bool>,
    /// Records that cannot be read, or name a broken file.
    pub broken: usize,
    /// So many of the first images were compared by their looks, and so many files by their vectors, where there are more.
    pub compared: Option<usize>,
}

/// Decodes every file that a source's records name, as [`check`](super::check()) does, and finds which records are copies of each other: equal bytes,
/// equal looks, and by `embedder` nearly equal vectors.
///
/// # Errors
/// As [`check`](super::check()).
pub fn copies(
    source: &dyn Source,
    embedder: Option<&Embedder>,
    options: &CheckOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Copies> {
    let mut collected = decode(source, options, progress)?;
    collected.complete();
    let things = Things::new(source, &collected.entries);
    let Compared { mut alike, vectors, over } = compare(&things, &collected, embedder, options, progress)?;
    let mut found = Found::new(source.len(), &collected.entries);
    things.exact_groups().for_each(|group| found.add(&group));
    things.near_groups(&collected.pictured, &mut alike).iter().for_each(|(group, _)| found.add(group));
    if let Some((of, mut linked)) = vectors {
        things.near_groups(&of, &mut linked).iter().for_each(|(group, _)| found.add(group));
    }
    let (broken, compared) = (collected.broken_records(), over.then_some(options.most));
    let (first, repeats) = found.end();
    Ok(Copies { first, repeats, broken, compared })
}

struct Found<'a> {
    entries: &'a [Entry],
    sets: UnionFind,
    /// Of each entry whether its file is a copy of an earlier one.
    later: Vec<bool>,
    records: usize,
}

impl<'a> Found<'a> {
    fn new(records: usize, entries: &'a [Entry]) -> Self {
        let mut sets = UnionFind::new(records);
        sets.union_by_key(entries.iter().map(|entry| (entry.record, entry.identity)));
        Self { entries, sets, later: vec![false; entries.len()], records }
    }

    /// Entries that are copies of each other.
    fn add(&mut self, group: &[usize]) {
        let Some(first) = group.iter().min().map(|i| self.entries[*i]) else { return };
        for i in group {
            let entry = &self.entries[*i];
            self.sets.union(first.record, entry.record);
            self.later[*i] |= entry.identity != first.identity;
        }
    }

    fn end(mut self) -> (Vec<usize>, Vec<bool>) {
        // What has no entry repeats nothing.
        let (mut some, mut other) = (vec![false; self.records], vec![false; self.records]);
        for (entry, later) in self.entries.iter().zip(&self.later) {
            some[entry.record] = true;
            other[entry.record] |= !later;
        }
        let first = (0..self.records).map(|record| self.sets.find(record)).collect();
        (first, some.iter().zip(&other).map(|(some, other)| *some && !other).collect())
    }
}

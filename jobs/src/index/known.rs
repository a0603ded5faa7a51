//! What an index knows of a listing already, and what must be done about the rest.

use crate::index::{Built, Index};
use crate::{Error, Flow, Item, Items, Progress, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::io::Read;
use unisono_index::{Facts, Key};

/// Items that are looked at between two words of progress.
const ROUND: usize = 4096;

/// What is to be done with an item that the index does not know as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Do {
    /// It is embedded.
    Embed,
    /// It gets the vector of this row, which holds the same.
    Take(usize),
    /// It holds what another item holds that is, or will be, in the index.
    Copy,
}

/// An item that the index does not know as it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Task {
    pub(super) what: Do,
    pub(super) facts: Facts,
    /// Its row of before.
    pub(super) old: Option<usize>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) items: Items,
    /// One for each of them.
    pub(super) tasks: Vec<Task>,
    /// Items that are there as they are.
    pub(super) unchanged: usize,
    /// Items that the listing names again.
    pub(super) repeated: usize,
    /// Keys of all that was listed.
    pub(super) listed: HashSet<Key>,
}

/// The rows of an index by what they are known by.
#[derive(Debug, Default)]
struct Known {
    keys: HashMap<Key, usize>,
    /// Rows with a vector.
    contents: HashMap<Key, usize>,
}

impl Known {
    fn of(index: &unisono_index::Index<Built>) -> Self {
        let mut known = Self::default();
        for row in index.rows() {
            let Some((_, segment, at)) = index.find(row) else { continue };
            let facts = segment.facts(at);
            known.keys.insert(facts.key, row);
            if segment.is_found(at) && facts.is_known() {
                known.contents.entry(facts.content).or_insert(row);
            }
        }
        known
    }

    /// The row of an item that is there as it is: its file as it was, the same said of it, and a vector for what it holds.
    fn same(&self, index: &Index, facts: &Facts) -> Option<usize> {
        let row = *self.keys.get(&facts.key)?;
        let (_, segment, at) = index.find(row)?;
        let before = segment.facts(at);
        let held = segment.is_found(at) || self.contents.contains_key(&before.content);
        (held && before.same_file(facts) && before.said == facts.said).then_some(row)
    }
}

/// Compares a listing with an index. Files that are not known as they are are read whole, for a sum over them.
pub(super) fn plan(index: &Index, items: &Items, progress: &mut dyn FnMut(Progress) -> Flow) -> Result<Plan> {
    let known = Known::of(index);
    let root = index.header().parts.root_now();
    let mut plan = Plan::default();
    let mut coming: HashSet<Key> = HashSet::new();
    let mut from = 0;
    while from < items.len() {
        progress(Progress { stage: "look for changes", done: from, total: items.len(), skipped: 0 })
            .check()?;
        let some: Vec<Item> = items.range(from, from + ROUND).collect();
        from += ROUND;
        let seen: Vec<(Item, Facts, bool)> = some
            .into_par_iter()
            .map(|item| {
                let facts = Facts::of(&item, root);
                match known.same(index, &facts) {
                    Some(_) => (item, facts, true),
                    // What cannot be read is told when it is to be embedded.
                    None => match sum(&item) {
                        Ok(bytes) => {
                            let facts = facts.holding(&item, &bytes);
                            (item, facts, false)
                        }
                        Err(_) => (item, facts, false),
                    },
                }
            })
            .collect();
        for (item, facts, same) in seen {
            if !plan.listed.insert(facts.key) {
                plan.repeated += 1;
                continue;
            }
            if same {
                plan.unchanged += 1;
                continue;
            }
            let old = known.keys.get(&facts.key).copied();
            let what = match known.contents.get(&facts.content).filter(|_| facts.is_known()) {
                Some(row) if Some(*row) == old => Do::Take(*row),
                Some(_) => Do::Copy,
                None if facts.is_known() && !coming.insert(facts.content) => Do::Copy,
                None => Do::Embed,
            };
            plan.items.push(&item);
            plan.tasks.push(Task { what, facts, old });
        }
    }
    plan.settle(&known);
    Ok(plan)
}

impl Plan {
    /// A row that somebody is to share may be one that goes, since its own file has changed: then the first of them takes its vector.
    fn settle(&mut self, known: &Known) {
        let going: HashSet<usize> = self.tasks.iter().filter_map(|task| task.old).collect();
        let staying: HashSet<Key> =
            self.tasks.iter().filter(|t| matches!(t.what, Do::Take(_))).map(|t| t.facts.content).collect();
        let mut taken = staying;
        for task in self.tasks.iter_mut().filter(|task| task.what == Do::Copy) {
            let of = known.contents.get(&task.facts.content);
            if let Some(row) = of.filter(|row| going.contains(row))
                && taken.insert(task.facts.content)
            {
                task.what = Do::Take(*row);
            }
        }
    }
}

/// Copies whose one vector goes with these rows: each with the row whose vector it takes.
pub(super) fn orphans(index: &Index, gone: &[usize], served: &HashSet<Key>) -> Vec<(usize, usize)> {
    if index.header().parts.copies == 0 {
        return Vec::new();
    }
    // Of rows that are gone already, too: whether they had a vector.
    let facts = |row: usize| index.find(row).map(|(_, segment, at)| (segment.facts(at), at < segment.rows()));
    let all: HashSet<usize> = gone.iter().copied().collect();
    let lost = all.iter().filter_map(|row| {
        facts(*row).filter(|(f, found)| *found && f.is_known()).map(|(f, _)| (f.content, *row))
    });
    let mut lost: HashMap<Key, usize> = lost.filter(|(content, _)| !served.contains(content)).collect();
    let mut left: Vec<(Key, usize)> = Vec::new();
    for row in index.rows().filter(|row| !all.contains(row)) {
        match facts(row) {
            // Another row has a vector of the same.
            Some((f, true)) => drop(lost.remove(&f.content)),
            Some((f, false)) => left.push((f.content, row)),
            None => {}
        }
    }
    left.into_iter().filter_map(|(content, row)| Some((row, lost.remove(&content)?))).collect()
}

/// SHA-256 over what an item's file holds; of a text nothing.
fn sum(item: &Item) -> Result<Vec<u8>> {
    let Some(blob) = &item.blob else { return Ok(Vec::new()) };
    let mut opened = unisono_datasets::reopened(blob)?.open()?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let n = opened.read(&mut part).map_err(Error::io(blob.name(), "read"))?;
        if n == 0 {
            return Ok(hash.finalize().to_vec());
        }
        hash.update(&part[..n]);
    }
}

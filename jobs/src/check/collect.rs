//! What is remembered of everything that records name, some fifty bytes each.

use super::causes::Problems;
use super::found::Problem;
use super::open::Content;
use super::see::{Seen, Thing};
use crate::inspect::Misnamed;
use crate::inspect::groups::Crossings;
use crate::named::{Kind, number};
use std::collections::HashSet;
use unisono_datasets::Record;
use unisono_datasets::similar::Thumbnail;

/// For each image that may be compared by its looks, so many things may be by their bytes.
const CHEAP: usize = 32;
/// Misnamed files that are named.
const NAMED: usize = 10_000;
/// Splits that are told apart.
const SPLITS: usize = 1000;

/// A file that a record names, or all its texts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) record: usize,
    /// Which of the record's files.
    pub(super) file: u16,
    /// `None`: texts.
    pub(super) kind: Option<Kind>,
    /// The record's split by its number from 1; 0: none.
    pub(super) split: u16,
    /// What tells the record's group from others; 0: none.
    pub(super) group: u64,
    pub(super) identity: u64,
    /// Zeros: not known, since it is broken or, while records come by, another record's worker looks into it.
    pub(super) content: Content,
}

#[derive(Default)]
pub(super) struct Collected {
    /// Images compared by their looks, and files by their vectors, at most.
    pub(super) most: usize,
    /// Those beyond are not.
    pub(super) over: bool,
    pub(super) entries: Vec<Entry>,
    /// Images of different bytes, by the number of their entry.
    pub(super) thumbnails: Vec<Thumbnail>,
    pub(super) pictured: Vec<usize>,
    pub(super) files: usize,
    pub(super) misnamed: Vec<Misnamed>,
    pub(super) problems: Problems,
    pub(super) crossings: Crossings,
    splits: Vec<String>,
    seen: HashSet<Content>,
    broken_files: HashSet<u64>,
    /// A bit a record.
    broken: Vec<u64>,
}

impl Collected {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// The next record.
    pub(super) fn add(&mut self, index: usize, seen: Seen) {
        let record = match seen.record {
            Ok(record) => record,
            Err(skip) => {
                self.mark(index);
                let (id, reason) = (skip.id, skip.reason);
                return self.problems.add(Problem { id, record: None, stage: "read", reason });
            }
        };
        self.crossings.add(&record);
        let split = self.split(record.split.as_deref());
        let group = record.group.as_ref().map_or(0, |group| number(group).max(1));
        for (file, thing) in seen.things.into_iter().enumerate() {
            let entry = Entry {
                record: index,
                file: u16::try_from(file).unwrap_or(u16::MAX),
                kind: thing.kind,
                split,
                group,
                identity: thing.identity,
                content: Content::default(),
            };
            self.thing(entry, thing, &record);
        }
    }

    fn split(&mut self, name: Option<&str>) -> u16 {
        let Some(name) = name else { return 0 };
        match self.splits.iter().position(|split| split == name) {
            Some(place) => place as u16 + 1,
            None if self.splits.len() < SPLITS => {
                self.splits.push(name.to_owned());
                self.splits.len() as u16
            }
            None => 0,
        }
    }

    fn thing(&mut self, mut entry: Entry, thing: Thing, record: &Record) {
        if let Some(reason) = thing.part {
            self.mark(entry.record);
            let (id, record) = (thing.name.clone(), Some(record.id.clone()));
            self.problems.add(Problem { id, record, stage: "decode", reason });
        }
        if let Some(opened) = thing.opened {
            self.files += usize::from(thing.kind.is_some());
            if !opened.problems.is_empty() {
                self.mark(entry.record);
                self.broken_files.insert(thing.identity);
            }
            for (stage, reason) in opened.problems {
                let (id, record) = (thing.name.clone(), Some(record.id.clone()));
                self.problems.add(Problem { id, record, stage, reason });
            }
            if let Some(content) = opened.misnamed.filter(|_| self.misnamed.len() < NAMED) {
                self.misnamed.push(Misnamed { path: thing.name, content });
            }
            entry.content = opened.content.unwrap_or_default();
            if let (Some(thumbnail), Some(content), false) =
                (opened.thumbnail, opened.content, self.is_full())
            {
                self.look(thumbnail, content);
            }
        }
        match self.is_full() {
            false => self.entries.push(entry),
            true => self.over = true,
        }
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= self.most.saturating_mul(CHEAP)
    }

    /// An image; of equal ones the first is compared.
    fn look(&mut self, thumbnail: Thumbnail, content: Content) {
        if self.thumbnails.len() >= self.most {
            self.over |= !self.seen.contains(&content);
        } else if self.seen.insert(content) {
            self.thumbnails.push(thumbnail);
            // The next to come.
            self.pictured.push(self.entries.len());
        }
    }

    fn mark(&mut self, record: usize) {
        let place = record / 64;
        if self.broken.len() <= place {
            self.broken.resize(place + 1, 0);
        }
        self.broken[place] |= 1 << (record % 64);
    }

    /// Gives what is known of a file to every record that names it, once all have come by.
    pub(super) fn complete(&mut self) {
        self.seen = HashSet::new();
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_unstable_by_key(|i| (self.entries[*i].identity, *i));
        let (mut identity, mut start) = (None, 0);
        for end in 0..=order.len() {
            let next = order.get(end).map(|i| self.entries[*i].identity);
            if end > start && next != identity {
                self.share(&order[start..end]);
                start = end;
            }
            identity = next;
        }
    }

    /// Gives what is known of one file to all entries that name it.
    fn share(&mut self, same: &[usize]) {
        let of = |i: &usize| self.entries[*i].content;
        let content = same.iter().map(of).find(|content| *content != Content::default()).unwrap_or_default();
        for i in same {
            let Entry { record, identity, .. } = self.entries[*i];
            self.entries[*i].content = content;
            if self.broken_files.contains(&identity) {
                self.mark(record);
            }
        }
    }

    /// How many records cannot be read, or name a broken file.
    pub(super) fn broken_records(&self) -> usize {
        self.broken.iter().map(|bits| bits.count_ones() as usize).sum()
    }
}

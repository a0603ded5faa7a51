//! From what is remembered to groups of duplicates.

use super::collect::Entry;
use super::found::{Duplicates, Group, Member};
use super::open::Content;
use crate::named::files;
use std::collections::BTreeSet;
use unisono_datasets::Source;
use unisono_datasets::sample::UnionFind;

/// Groups that are listed, and members of one that are.
const LISTED: usize = 1000;
const MEMBERS: usize = 100;

/// Entries, ordered by their bytes and by their files.
pub(super) struct Things<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) entries: &'a [Entry],
    /// Those whose content is known, by kind and content, then in their order.
    by_content: Vec<usize>,
}

impl<'a> Things<'a> {
    pub(super) fn new(source: &'a dyn Source, entries: &'a [Entry]) -> Self {
        let known = |i: &usize| entries[*i].content != Content::default();
        let mut by_content: Vec<usize> = (0..entries.len()).filter(known).collect();
        by_content.sort_unstable_by_key(|i| (entries[*i].kind, entries[*i].content, *i));
        Self { source, entries, by_content }
    }

    /// All entries of the same kind and content.
    fn equal(&self, entry: usize) -> &[usize] {
        let key = |i: usize| (self.entries[i].kind, self.entries[i].content);
        let start = self.by_content.partition_point(|i| key(*i) < key(entry));
        let rest = self.by_content.get(start..).unwrap_or_default();
        &rest[..rest.partition_point(|i| key(*i) == key(entry))]
    }

    /// The first entry of each content.
    pub(super) fn firsts(&self) -> impl Iterator<Item = usize> {
        let key = |i: usize| (self.entries[i].kind, self.entries[i].content);
        self.by_content.chunk_by(move |a, b| key(*a) == key(*b)).filter_map(|same| same.first().copied())
    }

    /// Files of equal bytes.
    pub(super) fn exact(&self) -> Duplicates {
        self.list(self.exact_groups().map(|same| (same, None)).collect())
    }

    /// The entries of files of equal bytes, and of records of nothing but equal texts.
    pub(super) fn exact_groups(&self) -> impl Iterator<Item = Vec<usize>> {
        let several = |same: &Vec<usize>| self.files(same) > 1;
        self.firsts().map(|first| self.equal(first).to_vec()).filter(several)
    }

    /// One file, named by records of several splits.
    pub(super) fn shared(&self) -> Duplicates {
        let mut order: Vec<usize> = (0..self.entries.len()).filter(|i| self.entries[*i].split > 0).collect();
        order.sort_unstable_by_key(|i| (self.entries[*i].identity, *i));
        let same = order.chunk_by(|a, b| self.entries[*a].identity == self.entries[*b].identity);
        let crossing = same.filter(|same| self.splits(same) > 1);
        // A record of each split tells it.
        let of_each = |same: &[usize]| {
            let mut met = BTreeSet::new();
            same.iter().copied().filter(|i| met.insert(self.entries[*i].split)).collect::<Vec<_>>()
        };
        self.list(crossing.map(|same| (of_each(same), None)).collect())
    }

    /// What was found to be near each other: `of` are entries of different contents, the pairs are places in it.
    pub(super) fn near(&self, of: &[usize], mut linked: Linked) -> Duplicates {
        let groups = self.near_groups(of, &mut linked);
        self.list(groups)
    }

    /// The entries of such groups, and how near the nearest two are.
    pub(super) fn near_groups(&self, of: &[usize], linked: &mut Linked) -> Vec<(Vec<usize>, Option<f32>)> {
        let sets = linked.sets.sets().into_values().filter(|set| set.len() > 1);
        let groups = sets.map(|set| {
            let entries = set.iter().flat_map(|place| self.equal(of[*place]).iter().copied()).collect();
            let nearest = set.iter().filter_map(|place| linked.closest[*place]);
            (entries, nearest.reduce(linked.nearer))
        });
        groups.collect()
    }

    /// How many files, or records of texts, there are among entries.
    fn files(&self, entries: &[usize]) -> usize {
        entries.iter().map(|i| self.entries[*i].identity).collect::<BTreeSet<_>>().len()
    }

    fn splits(&self, entries: &[usize]) -> usize {
        let splits = entries.iter().map(|i| self.entries[*i].split).filter(|split| *split > 0);
        splits.collect::<BTreeSet<_>>().len()
    }

    /// Counts groups, and lists those that matter most.
    fn list(&self, groups: Vec<(Vec<usize>, Option<f32>)>) -> Duplicates {
        let group = |(entries, closest): &(Vec<usize>, Option<f32>)| {
            let first = entries.first().map_or(0, |i| self.entries[*i].group);
            let known = first != 0 && entries.iter().all(|i| self.entries[*i].group == first);
            let leak = self.splits(entries) > 1;
            Group { leak, known, count: self.files(entries), closest: *closest, members: Vec::new() }
        };
        let mut counted: Vec<(Group, &[usize])> =
            groups.iter().map(|found| (group(found), found.0.as_slice())).collect();
        let mut found = Duplicates {
            groups: counted.len(),
            members: counted.iter().map(|(group, _)| group.count).sum(),
            leaks: counted.iter().filter(|(group, _)| group.leak).count(),
            unknown: counted.iter().filter(|(group, _)| !group.known).count(),
            listed: Vec::new(),
        };
        counted.sort_by_key(|(group, _)| (!group.leak, group.known, std::cmp::Reverse(group.count)));
        found.listed = counted
            .into_iter()
            .take(LISTED)
            .map(|(group, entries)| Group { members: self.members(entries), ..group })
            .collect();
        found
    }

    /// Each file once by the first record that names it, but once for each split.
    fn members(&self, entries: &[usize]) -> Vec<Member> {
        let mut met = BTreeSet::new();
        let mut entries = entries.to_vec();
        entries.sort_unstable();
        let once = |i: &usize| met.insert((self.entries[*i].identity, self.entries[*i].split));
        entries.into_iter().filter(once).take(MEMBERS).map(|i| self.member(i)).collect()
    }

    fn member(&self, entry: usize) -> Member {
        let entry = &self.entries[entry];
        // It could be read before.
        let Ok(record) = self.source.record(entry.record) else { return Member::default() };
        let file =
            files(&record).nth(entry.file.into()).map(|(_, blob, _)| blob.name().display().to_string());
        Member { record: record.id.clone(), file, split: record.split.clone() }
    }
}

/// Pairs that were found, of which no more than this is kept.
pub(super) struct Linked {
    sets: UnionFind,
    /// How near the nearest other one is.
    closest: Vec<Option<f32>>,
    /// The nearer of two numbers.
    nearer: fn(f32, f32) -> f32,
}

impl Linked {
    pub(super) fn new(n: usize, nearer: fn(f32, f32) -> f32) -> Self {
        Self { sets: UnionFind::new(n), closest: vec![None; n], nearer }
    }

    pub(super) fn add(&mut self, pairs: &[(usize, usize, f32)]) {
        for (a, b, value) in pairs {
            self.sets.union(*a, *b);
            for place in [*a, *b] {
                let before = self.closest[place];
                self.closest[place] = Some(before.map_or(*value, |before| (self.nearer)(before, *value)));
            }
        }
    }
}

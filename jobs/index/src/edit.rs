//! Changing an index: new segments beside the old, then one file that says which of them count.
//!
//! Whatever ends a process, `index.json` names segments that are whole on the disk, and readers see the index as it was or as it is. What a process
//! that was killed left behind goes with the next change. One writer at a time: the caller holds the lock on the folder.

use crate::bits::Bits;
use crate::graph::Told;
use crate::header::{Header, Parts, SegmentRef};
use crate::new::{NewSegment, Whole};
use crate::open::{Index, segment};
use crate::{Error, HEADER, Item, Result, SEGMENTS, Segment};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use unisono_files::{hex, place_folder, short_sum, write, write_json};

/// An index that can be changed.
#[derive(Debug)]
pub struct Editor<B> {
    index: Index<B>,
}

impl<B: Serialize + DeserializeOwned> Editor<B> {
    /// Begins an index that has no items. Nothing is on the disk before the first [commit](Self::commit).
    pub fn begin(folder: &Path, mut header: Header<B>) -> Self {
        (header.format_version, header.count, header.sum) = (crate::FORMAT_VERSION, 0, String::new());
        header.modalities.clear();
        header.parts = Parts { root: header.parts.root, method: header.parts.method, ..Parts::default() };
        Self { index: Index::of(folder, header, Vec::new(), Vec::new()) }
    }

    /// Opens an index to change it.
    ///
    /// # Errors
    /// As [`Index::open`]; a segment that cannot be opened; an index of the first format.
    pub fn open(folder: &Path) -> Result<Self> {
        let index = Index::open(folder)?;
        if index.header().format_version < 2 {
            let message = "format version 1, which can only be read: `unisono index compact` makes one of it that can be changed";
            return Err(Error::format(&folder.join(HEADER), message));
        }
        if let Some((segment, why)) = index.damaged().first() {
            let message =
                format!("segment {segment} is damaged ({why}): `unisono index check --repair` takes it out");
            return Err(Error::format(folder, message));
        }
        Ok(Self { index })
    }

    /// The index as it is now.
    pub fn index(&self) -> &Index<B> {
        &self.index
    }

    /// What it says of itself, to be changed; written with the next commit.
    pub fn header_mut(&mut self) -> &mut Header<B> {
        self.index.header_mut()
    }

    /// Begins a segment.
    ///
    /// # Errors
    /// The folder is not writable.
    pub fn segment(&self) -> Result<NewSegment> {
        let header = self.index.header();
        let back = header.parts.moved.clone().zip(header.parts.root.clone());
        let how = (&header.model, header.dim, header.parts.method);
        NewSegment::begin(self.index.folder(), header.parts.next, how, back)
    }

    /// Adds a segment, when one is given and it is not empty, and removes rows, by their numbers in the index, at once. When this returns, it is on the
    /// disk.
    ///
    /// # Errors
    /// No space; the index is as it was.
    pub fn commit(&mut self, new: Option<NewSegment>, gone: &[usize]) -> Result<()> {
        self.commit_told(new, gone, &mut |_, _| true)
    }

    /// [`commit`](Self::commit) that tells how far the segment's graph is.
    ///
    /// # Errors
    /// As there; [`Error::Stopped`].
    pub fn commit_told(&mut self, new: Option<NewSegment>, gone: &[usize], told: Told) -> Result<()> {
        let whole = new.filter(|new| !new.is_empty()).map(|new| new.finish(told)).transpose()?;
        let removed = self.remove(gone)?;
        let all = self.index.segments().len();
        self.replace(all..all, whole, removed)
    }

    /// The removed rows of the segments that lose some, with these.
    fn remove(&self, gone: &[usize]) -> Result<BTreeMap<usize, Bits>> {
        let mut removed: BTreeMap<usize, Bits> = BTreeMap::new();
        for row in gone {
            if let Some((number, segment, row)) = self.index.find(*row) {
                let bits =
                    removed.entry(number).or_insert_with(|| segment.removed().cloned().unwrap_or_default());
                bits.add(row, segment.len());
            }
        }
        Ok(removed)
    }

    /// Makes one segment of those from number `from` on, without the rows that were removed.
    ///
    /// # Errors
    /// No space; a row that cannot be read.
    pub fn merge(&mut self, from: usize) -> Result<()> {
        self.merge_told(from, &mut |_, _| true)
    }

    /// [`merge`](Self::merge) that tells how far the segment's graph is.
    ///
    /// # Errors
    /// As there; [`Error::Stopped`].
    pub fn merge_told(&mut self, from: usize, told: Told) -> Result<()> {
        let all = self.index.segments().len();
        if let [one] = &self.index.segments()[from.min(all)..]
            && one.removed().is_none()
            && one.is_made_by(&self.index.header().parts.method)
        {
            return Ok(());
        }
        let mut new = self.segment()?;
        let mut copies = Vec::new();
        for segment in &self.index.segments()[from.min(all)..] {
            for row in (0..segment.len()).filter(|row| !segment.is_removed(*row)) {
                let item = segment.item(row).map(|item| self.index.moved(item));
                let item = item.ok_or_else(|| self.unreadable(row))?;
                match segment.vector(row) {
                    Some(vector) => new.push(&item, &segment.facts(row), vector)?,
                    None => copies.push((item, segment.facts(row))),
                }
            }
        }
        copies.into_iter().for_each(|(item, facts)| new.copy(item, facts));
        let whole = if new.is_empty() { None } else { Some(new.finish(told)?) };
        self.replace(from.min(all)..all, whole, BTreeMap::new())
    }

    fn unreadable(&self, row: usize) -> Error {
        let message = format!("row {row} of a segment is no item: damaged; `unisono index check` says which");
        Error::format(self.index.folder(), message)
    }

    /// Merges so many of the last segments that each is at least twice as large as those behind it together: a row is copied a few times in all,
    /// however often an index grows.
    ///
    /// # Errors
    /// As [`merge`](Self::merge).
    pub fn settle(&mut self) -> Result<()> {
        self.settle_told(&mut |_, _| true)
    }

    /// [`settle`](Self::settle) that tells how far the segment's graph is.
    ///
    /// # Errors
    /// As there; [`Error::Stopped`].
    pub fn settle_told(&mut self, told: Told) -> Result<()> {
        let sizes: Vec<usize> = self.index.segments().iter().map(Segment::len).collect();
        let (mut from, mut behind) = (sizes.len(), 0);
        for (number, size) in sizes.iter().enumerate().rev() {
            if behind > 0 && *size >= 2 * behind {
                break;
            }
            behind += size;
            from = number;
        }
        if sizes.len() - from < 2 { Ok(()) } else { self.merge_told(from, told) }
    }

    /// Writes what changed, then the one file that says so.
    fn replace(
        &mut self,
        old: std::ops::Range<usize>,
        new: Option<Whole>,
        removed: BTreeMap<usize, Bits>,
    ) -> Result<()> {
        let folder = self.index.folder().to_owned();
        let header = self.index.header();
        let mut parts: Vec<SegmentRef> = header.parts.segments.clone();
        for (number, bits) in &removed {
            let part = &mut parts[*number];
            let name = format!("removed-{}.bin", short_sum(bits.bytes()));
            write(&folder.join(part.folder()).join(&name), bits.bytes())?;
            part.removed = Some(name);
        }
        let mut counts = BTreeMap::new();
        let mut next = header.parts.next;
        let mut opened = None;
        if let Some(Whole { folder: made, part, counts: new }) = new {
            let path = folder.join(part.folder());
            // Left by a process that was killed before it was counted.
            let _ = fs::remove_dir_all(&path);
            place_folder(made, &path)?;
            opened = Some(segment(&folder, &part, header.dim)?);
            (counts, next) = (new, part.number + 1);
            parts.splice(old.clone(), [part]);
        } else {
            parts.drain(old.clone());
        }
        let mut copies = opened.as_ref().map_or(0, |segment| segment.len() - segment.rows());
        for (number, segment) in self.index.segments().iter().enumerate().filter(|(n, _)| !old.contains(n)) {
            let gone = |row: usize| {
                segment.is_removed(row) || removed.get(&number).is_some_and(|bits| bits.has(row))
            };
            for row in (0..segment.len()).filter(|row| !gone(*row)) {
                match row < segment.rows() {
                    true => *counts.entry(segment.modality(row)).or_insert(0) += 1,
                    false => copies += 1,
                }
            }
        }
        let header = self.index.header_mut();
        header.count = counts.values().sum();
        header.modalities = counts;
        header.sum = sum_of(&parts);
        (header.parts.segments, header.parts.next, header.parts.copies) = (parts, next, copies);
        write_json(&folder.join(HEADER), self.index.header())?;
        self.index.replace(old, opened, removed);
        self.sweep();
        Ok(())
    }

    /// The root of its items' files is here now: written with the next commit. See [`Index::set_root`].
    ///
    /// # Errors
    /// As there.
    pub fn set_root(&mut self, root: &Path) -> Result<()> {
        self.index.set_root(root)
    }

    /// Writes the header alone.
    ///
    /// # Errors
    /// No space.
    pub fn save(&self) -> Result<()> {
        Ok(write_json(&self.index.folder().join(HEADER), self.index.header())?)
    }

    /// Removes what no header names: old segments, and what was left by processes that were killed. A reader that has them mapped keeps them.
    pub fn sweep(&self) {
        let segments = self.index.folder().join(SEGMENTS);
        let parts = &self.index.header().parts.segments;
        let known: HashSet<PathBuf> =
            parts.iter().map(|part| self.index.folder().join(part.folder())).collect();
        let entries = |folder: &Path| -> Vec<PathBuf> {
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
        };
        unisono_files::sweep(&segments);
        unisono_files::sweep(self.index.folder());
        for path in entries(&segments) {
            let ours = path.file_name().and_then(|n| n.to_str()).is_some_and(is_number);
            if ours && !known.contains(&path) {
                let _ = fs::remove_dir_all(&path);
            }
        }
        for part in parts {
            for path in entries(&self.index.folder().join(part.folder())) {
                let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                if is_removed(name) && part.removed.as_deref() != Some(name) {
                    let _ = fs::remove_file(&path);
                }
            }
        }
    }

    /// Takes segments that cannot be opened, or that are named, out of the index in `folder`; how many items they had.
    ///
    /// # Errors
    /// As [`Index::open`]; no space.
    pub fn repair(folder: &Path, named: &[String]) -> Result<(Self, usize)> {
        let mut index = Index::<B>::open(folder)?;
        let bad: HashSet<String> =
            index.damaged().iter().map(|(name, _)| name.clone()).chain(named.iter().cloned()).collect();
        let before = index.header().count;
        index.drop_segments(&bad);
        let mut editor = Self { index };
        editor.header_mut().parts.segments.retain(|part| !bad.contains(&part.folder()));
        let all = editor.index.segments().len();
        editor.replace(all..all, None, BTreeMap::new())?;
        let lost = before - editor.index.header().count.min(before);
        Ok((editor, lost))
    }

    /// An item as it is called now: see [`Index::item`].
    pub fn item(&self, row: usize) -> Option<Item> {
        self.index.item(row)
    }
}

/// Whether this is the name of a segment's folder.
pub fn is_number(name: &str) -> bool {
    name.len() >= 6 && name.bytes().all(|b| b.is_ascii_digit())
}

/// Whether this is the name of a file of removed rows.
pub fn is_removed(name: &str) -> bool {
    name.starts_with("removed-") && name.ends_with(".bin")
}

fn sum_of(parts: &[SegmentRef]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        for sum in [&part.sum, &part.vectors] {
            hash.update(sum);
        }
    }
    hex(&hash.finalize())
}

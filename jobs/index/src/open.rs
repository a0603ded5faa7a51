//! Opening an index.

use crate::bits::Bits;
use crate::chance::Chance;
use crate::header::{Files, Header, SegmentRef};
use crate::{Effort, Error, FORMAT_VERSION, HEADER, Hit, Item, Result, Segment};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use unisono_files::Budget;
use unisono_media::Blob;
use unisono_processors::Modality;

/// A reader that meets a writer looks again so often.
const LOOKS: usize = 5;

/// An open index. Its rows are numbered through all of its segments, those that were removed or have no vector of their own with the others.
#[derive(Debug)]
pub struct Index<B> {
    folder: PathBuf,
    header: Header<B>,
    segments: Vec<Segment>,
    damaged: Vec<(String, String)>,
    effort: Effort,
}

impl<B: DeserializeOwned> Index<B> {
    /// Opens the index in `folder`. Lengths are checked; sums over all of it only where it is of the first format. A segment that is damaged is
    /// [left out](Self::damaged), unless there is no other.
    ///
    /// # Errors
    /// Not an index, another format version, files that are cut or of another index.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let mut looked = 1;
        loop {
            let header: Header<B> = read_header(&folder.join(HEADER))?;
            if header.format_version < 2 {
                let segments = vec![Segment::open_first(folder, &header)?];
                return Ok(Self::of(folder, header, segments, Vec::new()));
            }
            let opened: Vec<_> =
                header.parts.segments.iter().map(|part| segment(folder, part, header.dim)).collect();
            // A writer may have put others in their place since the header was read.
            let failed = opened.iter().any(|segment| segment.is_err());
            if failed && looked < LOOKS && read_header::<B>(&folder.join(HEADER))?.sum != header.sum {
                looked += 1;
                continue;
            }
            let (mut segments, mut damaged, mut first) = (Vec::new(), Vec::new(), None);
            for (part, opened) in header.parts.segments.iter().zip(opened) {
                match opened {
                    Ok(segment) => segments.push(segment),
                    Err(e) => {
                        damaged.push((part.folder(), e.to_string()));
                        first.get_or_insert(e);
                    }
                }
            }
            return match first {
                Some(e) if segments.is_empty() => Err(e),
                _ => Ok(Self::of(folder, header, segments, damaged)),
            };
        }
    }
}

/// Opens a segment of the index in `folder`.
pub(crate) fn segment(folder: &Path, part: &SegmentRef, dim: usize) -> Result<Segment> {
    Segment::open(&folder.join(part.folder()), part, dim)
}

impl<B> Index<B> {
    pub(crate) fn of(
        folder: &Path,
        header: Header<B>,
        segments: Vec<Segment>,
        damaged: Vec<(String, String)>,
    ) -> Self {
        Self { folder: folder.to_owned(), header, segments, damaged, effort: Effort::default() }
    }

    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Model, counts, how it was built.
    pub fn header(&self) -> &Header<B> {
        &self.header
    }

    pub(crate) fn header_mut(&mut self) -> &mut Header<B> {
        &mut self.header
    }

    /// How searches go from now on, for as long as it is open.
    pub fn set_effort(&mut self, effort: Effort) {
        self.effort = effort;
    }

    /// How searches go.
    pub fn effort(&self) -> Effort {
        let candidates = self.effort.candidates.or(self.header.parts.method.candidates);
        Effort { candidates, ..self.effort }
    }

    /// What it is made of: the segments that could be opened.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Segments that could not be opened, by their folders, and why: what they hold is not found.
    pub fn damaged(&self) -> &[(String, String)] {
        &self.damaged
    }

    /// How many items are found.
    pub fn len(&self) -> usize {
        self.header.count
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The folder that holds its items' files lies at `root` now, for as long as it is open.
    ///
    /// # Errors
    /// It was built without a root.
    pub fn set_root(&mut self, root: &Path) -> Result<()> {
        if self.header.parts.root.is_none() {
            let message = "it was built without --root, so its paths stay as they are; `unisono index build --root` makes one that can move";
            return Err(Error::format(&self.folder, message));
        }
        self.header.parts.moved =
            Some(root.to_owned()).filter(|root| Some(root) != self.header.parts.root.as_ref());
        Ok(())
    }

    /// An item as it is called now.
    pub(crate) fn moved(&self, item: Item) -> Item {
        match (&self.header.parts.root, &self.header.parts.moved) {
            (Some(was), Some(now)) => item.moved(was, now),
            _ => item,
        }
    }

    /// The number of a row's segment, the segment, and the row's number there.
    pub fn find(&self, mut row: usize) -> Option<(usize, &Segment, usize)> {
        for (number, segment) in self.segments.iter().enumerate() {
            match row.checked_sub(segment.len()) {
                None => return Some((number, segment, row)),
                Some(rest) => row = rest,
            }
        }
        None
    }

    /// The item of this row, removed or not.
    pub fn item(&self, row: usize) -> Option<Item> {
        let (_, segment, row) = self.find(row)?;
        Some(self.moved(segment.item(row)?))
    }

    /// The vector `[D]` of this row.
    pub fn vector(&self, row: usize) -> Option<&[f32]> {
        let (_, segment, row) = self.find(row)?;
        segment.vector(row)
    }

    /// The items that are found, in the order of their rows, each read when it comes.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        self.segments.iter().flat_map(Segment::items).map(|item| self.moved(item))
    }

    /// The rows that are there, with those that hold what another one holds: numbers in the index.
    pub fn rows(&self) -> impl Iterator<Item = usize> {
        let before = self.segments.iter().scan(0, |before, segment| {
            let first = *before;
            *before += segment.len();
            Some((first, segment))
        });
        before
            .flat_map(|(first, s)| (0..s.len()).filter(|row| !s.is_removed(*row)).map(move |row| first + row))
    }

    /// The items' files, and how many are gone.
    pub fn files(&self) -> Files {
        let blobs: HashSet<Blob> = self.rows().filter_map(|row| self.item(row)?.blob).collect();
        let blobs: Vec<Blob> = blobs.into_iter().collect();
        let missing = blobs.par_iter().filter(|blob| blob.is_missing()).count();
        Files { count: blobs.len(), missing }
    }

    /// What a query of this modality looks through when nobody says otherwise: everything, but texts do not search texts where
    /// there is anything else, since words are always nearest to words.
    pub fn searched(&self, query: Modality) -> Vec<Modality> {
        let has: Vec<Modality> = self.header.modalities.keys().copied().collect();
        let others: Vec<Modality> = has.iter().copied().filter(|m| *m != Modality::Text).collect();
        if query == Modality::Text && !others.is_empty() { others } else { has }
    }

    /// Which share of random pairs of a query of modality `from` and an item of the hit's scores as high as this hit; none where the index does not
    /// know such pairs.
    pub fn chance(&self, from: Modality, hit: &Hit) -> Option<f64> {
        let (_, segment, row) = self.find(hit.index)?;
        Some(self.chances(from, segment.modality(row))?.of_score(hit.score))
    }

    /// How random pairs of these modalities score.
    pub fn chances(&self, from: Modality, to: Modality) -> Option<&Chance> {
        // A clip is asked and found in images' place: its frames are.
        let of = |from, to| self.header.parts.chances.iter().find(|c| (c.from, c.to) == (from, to));
        of(from, to).or_else(|| if from == Modality::Video { of(Modality::Image, to) } else { None })
    }

    pub(crate) fn replace(
        &mut self,
        old: Range<usize>,
        new: Option<Segment>,
        removed: BTreeMap<usize, Bits>,
    ) {
        for (number, bits) in removed {
            if let Some(segment) = self.segments.get_mut(number) {
                segment.set_removed(bits);
            }
        }
        self.segments.splice(old, new);
    }

    /// Forgets these segments, whether they could be opened or not.
    pub(crate) fn drop_segments(&mut self, named: &HashSet<String>) {
        let damaged = std::mem::take(&mut self.damaged);
        let parts = self.header.parts.segments.iter().map(|part| part.folder());
        let opened: Vec<String> = parts.filter(|name| !damaged.iter().any(|(d, _)| d == name)).collect();
        let segments = std::mem::take(&mut self.segments);
        self.segments = segments
            .into_iter()
            .zip(opened)
            .filter(|(_, name)| !named.contains(name))
            .map(|(s, _)| s)
            .collect();
    }
}

fn read_header<B: DeserializeOwned>(path: &Path) -> Result<Header<B>> {
    let broken = |e: String| Error::format(path, format!("{e}; build the index again"));
    let value: serde_json::Value = match unisono_files::read_json(path, &Budget::VOCABULARY) {
        Err(unisono_files::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::format(path, "not there: this is no index; `unisono index build` makes one"));
        }
        Err(unisono_files::Error::Format { message, .. }) => return Err(broken(message)),
        found => found?,
    };
    let version = value.get("format_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if !(1..=u64::from(FORMAT_VERSION)).contains(&version) {
        let message = format!(
            "format version {version}, this build reads 1 to {FORMAT_VERSION}; build the index again"
        );
        return Err(Error::format(path, message));
    }
    let header: Header<B> = serde_json::from_value(value).map_err(|e| broken(e.to_string()))?;
    let total: usize = header.modalities.values().fold(0, |a, b| a.saturating_add(*b));
    let empty = header.count == 0 && version < 2;
    if header.dim == 0 || empty || total != header.count {
        let (n, d) = (header.count, header.dim);
        let message = format!("{n} items of width {d}, {total} by modality: damaged; build the index again");
        return Err(Error::format(path, message));
    }
    Ok(header)
}

#[cfg(test)]
#[path = "tests/index.rs"]
mod tests;

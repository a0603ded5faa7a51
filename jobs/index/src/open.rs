//! Opening an index and searching it.

use crate::{Error, FORMAT_VERSION, Files, HEADER, Header, Hit, Item, Result, Segment};
use rayon::prelude::*;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use unisono_files::Budget;
use unisono_media::Blob;
use unisono_processors::Modality;

/// An open index. Its rows are numbered through all of its segments.
#[derive(Debug)]
pub struct Index<B> {
    folder: PathBuf,
    header: Header<B>,
    segments: Vec<Segment>,
}

impl<B: DeserializeOwned> Index<B> {
    /// Opens the index in `folder` and checks that its three files are whole and belong together.
    ///
    /// # Errors
    /// Not an index, another format version, a file that is cut or of another index.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let header = read_header(&folder.join(HEADER))?;
        let segments = vec![Segment::open(folder, &header)?];
        Ok(Self { folder: folder.to_owned(), header, segments })
    }
}

impl<B> Index<B> {
    /// The folder it was opened from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Model, counts, how it was built.
    pub fn header(&self) -> &Header<B> {
        &self.header
    }

    /// What it is made of.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many items it holds.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item of this row.
    pub fn item(&self, mut row: usize) -> Option<Item> {
        for segment in &self.segments {
            match row.checked_sub(segment.len()) {
                None => return segment.item(row),
                Some(rest) => row = rest,
            }
        }
        None
    }

    /// The items, in the order of their rows, each read when it comes.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        self.segments.iter().flat_map(Segment::items)
    }

    /// The items' files, and how many are gone.
    pub fn files(&self) -> Files {
        let blobs: HashSet<Blob> = self.items().filter_map(|item| item.blob).collect();
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

    /// The `k` items most similar to `query` `[D]`, best first, among those of `modalities` (empty: all).
    ///
    /// # Errors
    /// A query of another width, or one that is not finite.
    pub fn search(&self, query: &[f32], k: usize, modalities: &[Modality]) -> Result<Vec<Hit>> {
        if query.len() != self.header.dim {
            let (found, expected) = (query.len(), self.header.dim);
            return Err(Error::Query(format!(
                "the query has {found} numbers, the index's embeddings {expected}"
            )));
        }
        if query.iter().any(|v| !v.is_finite()) {
            return Err(Error::Query("the query's embedding is not finite".into()));
        }
        let (mut hits, mut before) = (Vec::new(), 0);
        for segment in &self.segments {
            let found = segment.search(query, k, modalities).into_iter();
            hits.extend(found.map(|hit| Hit { index: before + hit.index, ..hit }));
            before += segment.len();
        }
        hits.sort();
        hits.truncate(k);
        Ok(hits)
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
    if version != u64::from(FORMAT_VERSION) {
        let message =
            format!("format version {version}, this build reads {FORMAT_VERSION}; build the index again");
        return Err(Error::format(path, message));
    }
    let header: Header<B> = serde_json::from_value(value).map_err(|e| broken(e.to_string()))?;
    let total: usize = header.modalities.values().fold(0, |a, b| a.saturating_add(*b));
    if header.dim == 0 || header.count == 0 || total != header.count {
        let (n, d) = (header.count, header.dim);
        let message = format!("{n} items of width {d}, {total} by modality: damaged; build the index again");
        return Err(Error::format(path, message));
    }
    Ok(header)
}

#[cfg(test)]
#[path = "tests/index.rs"]
mod tests;

//! Where the folders of an index's files, and its archives, really were when the index was opened. Links may lie above them, and are followed; one that was laid since leads nowhere.

use crate::refusal::{Answer, Refusal};
use axum::http::StatusCode;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use unisono_jobs::{Index, Item};
use unisono_media::Blob;

/// The folders, resolved. They are read beside, on a thread of their own; whoever asks earlier waits.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    index: Arc<Index>,
    real: Arc<OnceLock<HashMap<PathBuf, PathBuf>>>,
}

/// What is resolved of a blob: of a file the folder that it lies in, of a part of a file that file. A part is called `file/member`.
fn place(blob: &Blob) -> Option<&Path> {
    match blob.path() {
        Some(file) => file.parent(),
        None => blob.name().ancestors().find(|path| path.is_file()),
    }
}

fn folders(index: &Index) -> HashMap<PathBuf, PathBuf> {
    let mut real = HashMap::new();
    for row in index.rows() {
        let Some(blob) = index.item(row).and_then(|item| item.blob) else { continue };
        if let Some(place) = place(&blob).filter(|place| !real.contains_key(*place))
            && let Ok(resolved) = fs::canonicalize(place)
        {
            real.insert(place.to_owned(), resolved);
        }
    }
    real
}

impl Places {
    pub(crate) fn of(index: &Arc<Index>) -> Self {
        let places = Self { index: index.clone(), real: Arc::default() };
        let beside = places.clone();
        // Where the system has no thread, the first who asks reads them.
        drop(std::thread::Builder::new().name("places".into()).spawn(move || beside.known().len()));
        places
    }

    fn known(&self) -> &HashMap<PathBuf, PathBuf> {
        self.real.get_or_init(|| folders(&self.index))
    }

    /// An item whose file is to be read, whatever for. A link that took the place of the file, or of a folder above it, since the index was opened leads nowhere.
    pub(crate) fn readable(&self, item: Item) -> Answer<Item> {
        match item.blob.as_ref().is_none_or(|blob| self.is_where_it_was(blob)) {
            true => Ok(item),
            false => Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "the row's file is a link, or lies behind one that was not there before: it is not followed",
            )),
        }
    }

    /// Whether a file lies where it lay when the index was opened, and is itself no link.
    fn is_where_it_was(&self, blob: &Blob) -> bool {
        let is_link =
            |file: &Path| fs::symlink_metadata(file).is_ok_and(|meta| meta.file_type().is_symlink());
        let link = blob.path().is_some_and(is_link);
        let Some(place) = place(blob) else { return !link };
        // Of a place that is not there nothing can be opened.
        let now = fs::canonicalize(place).ok();
        !link && now.is_none_or(|now| self.known().get(place) == Some(&now))
    }
}

//! Where the folders of an index's files really were when the index was opened. Links may lie above them, and are followed; one that was laid since leads nowhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use unisono_jobs::Index;

/// The folders, resolved. They are read beside, on a thread of their own; whoever asks earlier waits.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    index: Arc<Index>,
    real: Arc<OnceLock<HashMap<PathBuf, PathBuf>>>,
}

/// The file on the disk that an item is, or is a part of.
fn folders(index: &Index) -> HashMap<PathBuf, PathBuf> {
    let mut real = HashMap::new();
    for row in index.rows() {
        let Some(blob) = index.item(row).and_then(|item| item.blob) else { continue };
        let file = blob.path().unwrap_or_else(|| blob.name());
        if let Some(folder) = file.parent().filter(|folder| !real.contains_key(*folder))
            && let Ok(resolved) = fs::canonicalize(folder)
        {
            real.insert(folder.to_owned(), resolved);
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

    /// Whether a file lies where it lay when the index was opened, and is itself no link.
    pub(crate) fn is_where_it_was(&self, file: &Path) -> bool {
        let link = fs::symlink_metadata(file).is_ok_and(|meta| meta.file_type().is_symlink());
        let Some(folder) = file.parent() else { return !link };
        // Of a folder that is not there nothing can be opened.
        let now = fs::canonicalize(folder).ok();
        !link && now.is_none_or(|now| self.known().get(folder) == Some(&now))
    }
}

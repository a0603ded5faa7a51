//! Folders of media, in the layouts that people keep:
//!
//! ```text
//! a.jpg + a.txt (captions, one a line) + a.json (keys and values)     files of one name are one record
//! train/metadata.jsonl or metadata.csv: file_name, text, …             as Hugging Face's imagefolder and audiofolder
//! train/CLASS/a.jpg                                                    the class is the label
//! ```
//!
//! A first folder called `train`, `val`, `test` and the like is the split. Records come in the order of names; hidden files are passed over,
//! links followed, and every folder is entered once.

mod build;
mod joined;
mod listing;
mod metadata;
mod source;
mod split;

pub(crate) use build::Layout;
pub(crate) use joined::Joined;
pub(crate) use listing::list;
pub(crate) use source::Class;

use crate::{Result, Source, SourceConfig};
use std::path::Path;
use std::sync::Arc;

/// Opens a folder.
///
/// # Errors
/// It cannot be listed, or holds no media; what its tables' reader says.
pub(crate) fn open(path: &Path, config: &SourceConfig) -> Result<Arc<dyn Source>> {
    let files = list(path)?;
    match metadata::open(path, &files, config)? {
        Some(source) => Ok(source),
        None => Ok(Arc::new(Layout::of_classes(&files).open(path, files, &config.columns)?)),
    }
}

#[cfg(test)]
#[path = "../tests/folder.rs"]
mod tests;

//! Tables that lines name: a line of an index says file, row and column, and whoever decodes opens the table again.

use super::files;
use crate::Result;
use crate::arrow::ArrowFile;
use crate::columnar::{Store, Table};
use crate::parquet::{Limits, ParquetFile};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use unisono_files::Stamp;
use unisono_media::{Blob, Rows};

/// Tables that were asked for last; each has a footer in memory.
const OPEN: usize = 32;

type Open = (PathBuf, Option<Stamp>, Arc<Table>);

/// What files may cost that are allowed more than usual: a line names a file and not its source.
static ALLOWED: Mutex<BTreeMap<PathBuf, Limits>> = Mutex::new(BTreeMap::new());

/// Remembers what a source says of one of its files.
pub(super) fn allow(path: &Path, limits: Limits) {
    let mut allowed = ALLOWED.lock().unwrap_or_else(PoisonError::into_inner);
    match limits == Limits::default() {
        true => allowed.remove(path),
        false => allowed.insert(path.to_owned(), limits),
    };
}

fn allowed(path: &Path) -> Limits {
    ALLOWED.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied().unwrap_or_default()
}

static TABLES: Mutex<VecDeque<Open>> = Mutex::new(VecDeque::new());

/// A blob that can be opened: of a row's value that a line named, with its table open; anything else as it is. Tables are kept open for the next
/// blob in them, until their file changes.
///
/// # Errors
/// The table is not there, or is none any more.
pub fn reopened(blob: &Blob) -> Result<Blob> {
    match blob.table() {
        None => Ok(blob.clone()),
        Some(path) => Ok(blob.within(table(path)? as Arc<dyn Rows>)),
    }
}

fn table(path: &Path) -> Result<Arc<Table>> {
    let stamp = Stamp::of(path);
    let held = |tables: &mut VecDeque<Open>| {
        let at = tables.iter().position(|(p, s, _)| p == path && *s == stamp)?;
        let found = tables.remove(at)?;
        tables.push_front(found.clone());
        Some(found.2)
    };
    let lock = || TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(table) = held(&mut lock()) {
        return Ok(table);
    }
    // Not while the others wait: two that open one table at once cost a footer.
    let store: Box<dyn Store> = match files::is_arrow(path) {
        true => Box::new(ArrowFile::open(path)?),
        false => Box::new(ParquetFile::open(path, allowed(path))?),
    };
    let opened = Arc::new(Table::alone(store));
    let mut tables = lock();
    if let Some(table) = held(&mut tables) {
        return Ok(table);
    }
    tables.retain(|(p, ..)| p != path);
    tables.push_front((path.to_owned(), stamp, opened.clone()));
    tables.truncate(OPEN);
    Ok(opened)
}

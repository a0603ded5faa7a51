//! From what a recipe or a command says of data to a [`Source`]: its kind is told, or seen from the path.

mod columns;
mod config;
mod paths;

pub use columns::{Columns, Names};
pub use config::{SourceConfig, SourceKind};

use crate::{Error, Manifest, Result, Source, tables};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens data of any kind.
///
/// # Errors
/// Paths that are not there or are addresses, a kind that cannot be seen, and what the kind's own reader says.
pub fn open(config: &SourceConfig) -> Result<Arc<dyn Source>> {
    let paths = paths::expand(&config.paths)?;
    let kind = config.kind.unwrap_or_else(|| seen(&paths));
    match kind {
        SourceKind::Manifest => {
            config.columns.unused(&paths, kind)?;
            Ok(Arc::new(Manifest::load(one(&paths, kind)?)?))
        }
        SourceKind::Arrow => Ok(Arc::new(tables::arrow(&paths, &config.columns)?)),
        SourceKind::Parquet => Ok(Arc::new(tables::parquet(&paths, &config.columns)?)),
    }
}

/// The kind that paths have by their names and contents.
fn seen(paths: &[PathBuf]) -> SourceKind {
    let Some(first) = paths.first() else { return SourceKind::Manifest };
    match () {
        () if tables::is_arrow(first) => SourceKind::Arrow,
        () if tables::is_parquet(first) => SourceKind::Parquet,
        () => SourceKind::Manifest,
    }
}

/// The path of a kind that has only one.
fn one(paths: &[PathBuf], kind: SourceKind) -> Result<&Path> {
    match paths {
        [path] => Ok(path),
        [first, .., last] => Err(Error::Options(format!(
            "{}: a source of type {kind} has one path, found {} (the last is {}): name each in a source of its own",
            first.display(),
            paths.len(),
            last.display()
        ))),
        [] => Err(Error::Options("expected the path of a data set, found none".into())),
    }
}

#[cfg(test)]
#[path = "../tests/open.rs"]
mod tests;

//! From what a recipe or a command says of data to a [`Source`]: its kind is told, or seen from the path.

mod columns;
mod config;
mod paths;

pub use columns::{Columns, Names};
pub use config::{SourceConfig, SourceKind};

use crate::shards::{self, TarShards};
use crate::{Error, Manifest, Result, Source};
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
            no_tar(config, kind)?;
            Ok(Arc::new(Manifest::load(one(&paths, kind)?)?))
        }
        SourceKind::Webdataset => Ok(Arc::new(TarShards::open(&paths, config)?)),
    }
}

/// The kind that paths have by the name and contents of the first.
fn seen(paths: &[PathBuf]) -> SourceKind {
    let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
    match () {
        () if shards::is_shard(first) => SourceKind::Webdataset,
        () => SourceKind::Manifest,
    }
}

/// Refuses what is said of tar shards where there are none.
fn no_tar(config: &SourceConfig, kind: SourceKind) -> Result<()> {
    let said = [
        ("key_ends", config.key_ends != Default::default()),
        ("max_unpacked", config.max_unpacked.is_some()),
    ];
    match said.into_iter().find(|(_, said)| *said) {
        None => Ok(()),
        Some((name, _)) => Err(Error::Options(format!(
            "{}: {name} is for tar shards, and this is a source of type {kind}: leave it out",
            config.name()
        ))),
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

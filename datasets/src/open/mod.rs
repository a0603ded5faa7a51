//! From what a recipe or a command says of data to a [`Source`]: its kind is told, or seen from the path.

mod columns;
mod config;
mod paths;

pub use columns::{Columns, Names};
pub use config::{SourceConfig, SourceKind};

use crate::annotated::Annotated;
use crate::lines::{LARGE, Lined};
use crate::manifest::JsonLines;
use crate::parquet::Limits;
use crate::shards::{self, KeyEnds, TarShards};
use crate::table::{Table, is_table};
use crate::{Error, Manifest, Result, Source, folder, msrvtt, published, tables};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens data of any kind, with what is known of it beside it.
///
/// # Errors
/// Paths that are not there or are addresses, a kind that cannot be seen, and what the kind's own reader says; annotations that are
/// broken, or that stand twice for one record.
pub fn open(config: &SourceConfig) -> Result<Arc<dyn Source>> {
    let source = alone(config)?;
    match config.annotations.is_empty() && config.only.is_none() {
        true => Ok(source),
        false => Ok(Arc::new(Annotated::open(source, &config.annotations, config.only.as_deref())?)),
    }
}

/// Opens data by themselves.
fn alone(config: &SourceConfig) -> Result<Arc<dyn Source>> {
    let paths = paths::expand(&config.paths)?;
    let kind = match config.kind {
        Some(kind) => kind,
        None => seen(&paths)?,
    };
    fits(config, &paths, kind)?;
    match kind {
        SourceKind::Manifest => manifest(one(&paths, kind)?),
        SourceKind::Table => {
            let path = one(&paths, kind)?;
            let folder = config.media.as_deref().or(path.parent()).unwrap_or(Path::new(""));
            Ok(Arc::new(Lined::open(path, Table::of(path, config, folder)?)?))
        }
        SourceKind::Folder => folder::open(one(&paths, kind)?, config),
        SourceKind::MsrVtt => {
            let path = one(&paths, kind)?;
            let records = msrvtt::load(path, config.media.as_deref())?;
            Ok(Arc::new(Manifest { path: path.into(), records }))
        }
        SourceKind::Webdataset => Ok(Arc::new(TarShards::open(&paths, config)?)),
        SourceKind::Arrow => Ok(Arc::new(tables::arrow(&paths, &config.columns)?)),
        SourceKind::Parquet => Ok(Arc::new(tables::parquet(
            &paths,
            &config.columns,
            Limits::of(config.max_page, config.max_footer),
        )?)),
        named => published::open(named, &paths, config.media.as_deref()),
    }
}

/// A manifest in memory, or by position where it is large.
fn manifest(path: &Path) -> Result<Arc<dyn Source>> {
    unisono_media::address::refuse(path)?;
    match std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > LARGE) {
        true => Ok(Arc::new(Lined::open(path, JsonLines::of(path))?)),
        false => Ok(Arc::new(Manifest::load(path)?)),
    }
}

/// The kind that paths have by their names and contents.
///
/// # Errors
/// A folder with files of several named data sets.
fn seen(paths: &[PathBuf]) -> Result<SourceKind> {
    let Some(path) = paths.first() else { return Ok(SourceKind::Manifest) };
    Ok(match () {
        () if shards::is_shard(path) => SourceKind::Webdataset,
        () if tables::is_arrow(path) => SourceKind::Arrow,
        () if tables::is_parquet(path) => SourceKind::Parquet,
        () if msrvtt::is_msrvtt(path) => SourceKind::MsrVtt,
        () => match published::seen(path)? {
            Some(kind) => kind,
            None if path.is_dir() => SourceKind::Folder,
            None if is_table(path) => SourceKind::Table,
            None => SourceKind::Manifest,
        },
    })
}

/// Refuses what is said of a source and means nothing for its kind.
fn fits(config: &SourceConfig, paths: &[PathBuf], kind: SourceKind) -> Result<()> {
    let (table, tar) = (kind == SourceKind::Table, kind == SourceKind::Webdataset);
    let parquet = kind == SourceKind::Parquet;
    let named = kind == SourceKind::MsrVtt || published::is_named(kind);
    if kind == SourceKind::Manifest || named {
        config.columns.unused(paths, kind)?;
    }
    let said = [
        ("group_by", config.group_by.is_some() && !table),
        ("media", config.media.is_some() && !table && !named),
        ("key_ends", config.key_ends != KeyEnds::default() && !tar),
        ("max_unpacked", config.max_unpacked.is_some() && !tar),
        ("max_page", config.max_page.is_some() && !parquet),
        ("max_footer", config.max_footer.is_some() && !parquet),
    ];
    match said.into_iter().find(|(_, wrong)| *wrong) {
        None => Ok(()),
        Some((name, _)) => Err(Error::Options(format!(
            "{}: a source of type {kind} takes no {name}: leave it out",
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

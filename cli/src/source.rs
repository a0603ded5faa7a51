//! Where records come from, for every command that takes them.

use crate::error::Error;
use crate::out;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use unisono_datasets::shards::KeyEnds;
use unisono_datasets::{Columns, Source, SourceConfig, SourceKind};
use unisono_media::limits;

/// A source of records.
#[derive(Args, Debug, Default)]
pub(crate) struct SourceArgs {
    /// A source of records, whose texts and media are used: a manifest (JSON Lines), tar shards, Parquet, an Arrow folder, a table, a folder of files with captions, or a named data set's own files (COCO, AudioCaps, MSR-VTT, …); several paths of one kind are one source
    #[arg(long, visible_alias = "manifest", value_name = "PATH")]
    pub(crate) data: Vec<PathBuf>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Only its records of this split
    #[arg(long, value_name = "NAME", requires = "data")]
    pub(crate) split: Option<String>,
}

impl SourceArgs {
    /// The source, if there is one.
    pub(crate) fn get(&self) -> Result<Option<SourceConfig>, Error> {
        if self.data.is_empty() {
            return self.layout.none().map(|()| None);
        }
        self.layout.of(&self.data).map(Some)
    }

    /// Every path that is read.
    pub(crate) fn read(&self) -> impl Iterator<Item = &PathBuf> {
        self.data.iter().chain(self.layout.beside())
    }
}

/// A source that a command is about.
#[derive(Args, Debug)]
pub(crate) struct PathArgs {
    /// The source: a manifest (JSON Lines), or whatever else records are kept in; several paths of one kind are one source
    #[arg(value_name = "SRC", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    layout: LayoutArgs,
}

impl PathArgs {
    pub(crate) fn get(&self) -> Result<SourceConfig, Error> {
        self.layout.of(&self.paths)
    }

    /// Every path that is read.
    pub(crate) fn read(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(self.layout.beside())
    }
}

/// How a source is laid out.
#[derive(Args, Debug, Default)]
pub(crate) struct LayoutArgs {
    /// What kind of source it is [default: seen from the path]
    #[arg(long, value_name = "TYPE")]
    data_type: Option<SourceKind>,
    /// What a record's field is called there, as text=caption or image=jpg,png; may be given several times
    #[arg(long, value_name = "FIELD=NAME")]
    columns: Vec<String>,
    /// What is known of its records beside it: JSON Lines, each with an id and what replaces or is added to the record's own; may be given several times
    #[arg(long, value_name = "FILE")]
    annotations: Vec<PathBuf>,
    /// A file of ids (JSON Lines, or an id a line): only these records
    #[arg(long, value_name = "FILE")]
    only: Option<PathBuf>,
    /// Where the key ends in names of tar shards' members: first-dot or last-dot [default: first-dot]
    #[arg(long, value_name = "WHERE", value_parser = key_ends)]
    key_ends: Option<KeyEnds>,
    /// Largest size of a compressed tar shard when it is unpacked (50G) [default: 100 times its size, or 1GiB]
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes)]
    max_unpacked: Option<u64>,
    /// Most bytes of a Parquet column that are unpacked at once: of a page with its dictionary, or of a column of lists in a row group (2G) [default: 512MiB]
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes)]
    max_page: Option<u64>,
    /// Largest footer of a Parquet file (1G) [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = limits::bytes)]
    max_footer: Option<u64>,
    /// The folder of the media of a table or a named data set, where they do not lie beside its files
    #[arg(long, value_name = "FOLDER")]
    media: Option<PathBuf>,
}

impl LayoutArgs {
    /// What lies at these paths.
    pub(crate) fn of(&self, paths: &[PathBuf]) -> Result<SourceConfig, Error> {
        let mut columns = Columns::default();
        for option in &self.columns {
            columns.set(option).map_err(|message| Error::Usage(format!("--columns {option}: {message}")))?;
        }
        Ok(SourceConfig {
            paths: paths.to_vec(),
            kind: self.data_type,
            columns,
            key_ends: self.key_ends.unwrap_or_default(),
            max_unpacked: self.max_unpacked,
            max_page: self.max_page,
            max_footer: self.max_footer,
            media: self.media.clone(),
            annotations: self.annotations.clone(),
            only: self.only.clone(),
            ..SourceConfig::default()
        })
    }

    /// What is read besides the source itself.
    fn beside(&self) -> impl Iterator<Item = &PathBuf> {
        self.annotations.iter().chain(&self.only)
    }

    /// Refuses what is said of a source where there is none.
    fn none(&self) -> Result<(), Error> {
        let said = [
            ("--data-type", self.data_type.is_some()),
            ("--columns", !self.columns.is_empty()),
            ("--annotations", !self.annotations.is_empty()),
            ("--only", self.only.is_some()),
            ("--key-ends", self.key_ends.is_some()),
            ("--max-unpacked", self.max_unpacked.is_some()),
            ("--max-page", self.max_page.is_some()),
            ("--max-footer", self.max_footer.is_some()),
            ("--media", self.media.is_some()),
        ];
        match said.into_iter().find(|(_, said)| *said) {
            Some((name, _)) => Err(Error::Usage(format!("{name} goes with --data"))),
            None => Ok(()),
        }
    }
}

/// Opens a source, and says what should be known of it.
pub(crate) fn open(config: &SourceConfig) -> Result<Arc<dyn Source>, Error> {
    let source = unisono_datasets::open(config)?;
    note(&source.notes());
    Ok(source)
}

/// What should be known of a source though it is no error.
pub(crate) fn note(notes: &[String]) {
    notes.iter().for_each(|note| out::note(&format!("note: {note}")));
}

fn key_ends(text: &str) -> Result<KeyEnds, String> {
    match text {
        "first-dot" => Ok(KeyEnds::FirstDot),
        "last-dot" => Ok(KeyEnds::LastDot),
        _ => Err("expected first-dot or last-dot".into()),
    }
}

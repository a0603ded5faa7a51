//! Where records come from, for every command that takes them.

use crate::error::Error;
use clap::Args;
use unisono_datasets::{Columns, SourceConfig, SourceKind};

/// A source of records.
#[derive(Args, Debug, Default)]
pub(crate) struct SourceArgs {
    /// A source of records, whose texts and media are used: a manifest (JSON Lines), tar shards, Parquet, an Arrow folder, a table, a folder of files with captions, or MSR-VTT's own files; several paths of one kind are one source
    #[arg(long, visible_alias = "manifest", value_name = "PATH")]
    pub(crate) data: Vec<std::path::PathBuf>,
    /// What kind of source it is [default: seen from the path]
    #[arg(long, value_name = "TYPE", requires = "data")]
    data_type: Option<SourceKind>,
    /// What a record's field is called there, as text=caption or image=jpg,png; may be given several times
    #[arg(long, value_name = "FIELD=NAME", requires = "data")]
    columns: Vec<String>,
    /// What is known of its records beside it: JSON Lines, each with an id and what replaces or is added to the record's own; may be given several times
    #[arg(long, value_name = "FILE", requires = "data")]
    annotations: Vec<std::path::PathBuf>,
    /// A file of ids (JSON Lines, or an id a line): only these records
    #[arg(long, value_name = "FILE", requires = "data")]
    only: Option<std::path::PathBuf>,
    /// Only its records of this split
    #[arg(long, value_name = "NAME", requires = "data")]
    pub(crate) split: Option<String>,
}

impl SourceArgs {
    /// The source, if there is one.
    pub(crate) fn get(&self) -> Result<Option<SourceConfig>, Error> {
        if self.data.is_empty() {
            return Ok(None);
        }
        let beside = Beside { annotations: &self.annotations, only: self.only.as_ref() };
        config(&self.data, self.data_type, &self.columns, &beside).map(Some)
    }

    /// Every path that is read.
    pub(crate) fn read(&self) -> impl Iterator<Item = &std::path::PathBuf> {
        self.data.iter().chain(&self.annotations).chain(&self.only)
    }
}

/// A source that a command is about.
#[derive(Args, Debug)]
pub(crate) struct PathArgs {
    /// The source: a manifest (JSON Lines), or whatever else records are kept in; several paths of one kind are one source
    #[arg(value_name = "SRC", required = true)]
    pub(crate) paths: Vec<std::path::PathBuf>,
    #[command(flatten)]
    layout: LayoutArgs,
}

impl PathArgs {
    pub(crate) fn get(&self) -> Result<SourceConfig, Error> {
        self.layout.of(&self.paths)
    }

    /// Every path that is read.
    pub(crate) fn read(&self) -> impl Iterator<Item = &std::path::PathBuf> {
        self.paths.iter().chain(self.layout.beside())
    }
}

/// How a source is laid out, for commands that always have one.
#[derive(Args, Debug)]
pub(crate) struct LayoutArgs {
    /// What kind of source it is [default: seen from the path]
    #[arg(long, value_name = "TYPE")]
    data_type: Option<SourceKind>,
    /// What a record's field is called there, as text=caption or image=jpg,png; may be given several times
    #[arg(long, value_name = "FIELD=NAME")]
    columns: Vec<String>,
    /// What is known of its records beside it: JSON Lines, each with an id and what replaces or is added to the record's own; may be given several times
    #[arg(long, value_name = "FILE")]
    annotations: Vec<std::path::PathBuf>,
    /// A file of ids (JSON Lines, or an id a line): only these records
    #[arg(long, value_name = "FILE")]
    only: Option<std::path::PathBuf>,
}

impl LayoutArgs {
    /// What lies at these paths.
    pub(crate) fn of(&self, paths: &[std::path::PathBuf]) -> Result<SourceConfig, Error> {
        let beside = Beside { annotations: &self.annotations, only: self.only.as_ref() };
        config(paths, self.data_type, &self.columns, &beside)
    }

    /// What is read besides the source itself.
    pub(crate) fn beside(&self) -> impl Iterator<Item = &std::path::PathBuf> {
        self.annotations.iter().chain(&self.only)
    }
}

/// What is known beside a source.
struct Beside<'a> {
    annotations: &'a [std::path::PathBuf],
    only: Option<&'a std::path::PathBuf>,
}

/// A source as the options say it.
fn config(
    paths: &[std::path::PathBuf],
    kind: Option<SourceKind>,
    columns: &[String],
    beside: &Beside,
) -> Result<SourceConfig, Error> {
    let mut named = Columns::default();
    for option in columns {
        named.set(option).map_err(|message| Error::Usage(format!("--columns {option}: {message}")))?;
    }
    Ok(SourceConfig {
        paths: paths.to_vec(),
        kind,
        columns: named,
        annotations: beside.annotations.to_vec(),
        only: beside.only.cloned(),
        ..SourceConfig::default()
    })
}

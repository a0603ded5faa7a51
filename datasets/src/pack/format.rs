//! What shards are written as.

use super::parquet::ParquetWriter;
use super::sample::Sample;
use super::tar::TarWriter;
use super::uses::Uses;
use super::writer::ShardWriter;
use crate::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

/// A format of shards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// Tar files in WebDataset's convention ([`crate::shards`]).
    #[default]
    Tar,
    /// Parquet files in the layout of Hugging Face's `datasets`.
    Parquet,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Tar, Self::Parquet];

    /// Its name, which is the ending of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::Parquet => "parquet",
        }
    }

    /// Whether all records are looked at before the first is written.
    pub(super) fn needs_uses(self) -> bool {
        match self {
            Self::Tar => false,
            Self::Parquet => true,
        }
    }

    /// Why a record cannot be in a shard, if so.
    pub(super) fn refuses(self, sample: &Sample) -> Option<String> {
        match self {
            Self::Tar => None,
            Self::Parquet => super::parquet::refuses(sample),
        }
    }

    /// Begins a shard that is written to `out` and will be called `path`. `uses` says what records of the source have, if that
    /// [was looked at](Self::needs_uses).
    ///
    /// # Errors
    /// No space.
    pub(super) fn begin<'a>(
        self,
        path: &Path,
        out: Box<dyn Write + Send + 'a>,
        uses: &Uses,
    ) -> Result<Box<dyn ShardWriter + 'a>> {
        match self {
            Self::Tar => Ok(Box::new(TarWriter::new(path, out))),
            Self::Parquet => Ok(Box::new(ParquetWriter::new(path, out, uses)?)),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|format| format.name()).collect();
            format!("expected {}, found {}", names.join(" or "), crate::plain::quoted(text))
        })
    }
}

//! What shards are written as.

use super::tar::TarWriter;
use super::writer::ShardWriter;
use crate::Result;
use crate::source::Key;
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
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 1] = [Self::Tar];

    /// Its name, which is the ending of its files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tar => "tar",
        }
    }

    /// Begins a shard that is written to `out` and will be called `path`. `has` says what any record of the source has: a table needs its
    /// columns before its first row.
    ///
    /// # Errors
    /// No space.
    pub(super) fn begin<'a>(
        self,
        path: &Path,
        out: Box<dyn Write + Send + 'a>,
        _has: Key<'_>,
    ) -> Result<Box<dyn ShardWriter + 'a>> {
        match self {
            Self::Tar => Ok(Box::new(TarWriter::new(path, out))),
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

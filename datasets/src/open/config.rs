//! What is said of a source.

use super::Columns;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where records come from. In a recipe a path, a list of paths, or a table:
///
/// ```toml
/// source = "cc3m/{00000..00331}.tar"
/// source = { path = "cc3m", type = "manifest", columns = { text = ["caption"] } }
/// ```
///
/// A path may have ranges (`{000..331}`), choices (`{train,val}`) and wildcards (`*`, `?`) in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceConfig {
    /// As they were written, relative to the working directory.
    pub paths: Vec<PathBuf>,
    /// `None`: seen from the paths.
    pub kind: Option<SourceKind>,
    /// What the fields of a record are called there.
    pub columns: Columns,
    /// The column of a table whose neighbours are one record where they are alike in it; without it a row is a record.
    pub group_by: Option<String>,
    /// The folder in which the media of a table or a named data set lie; without it they lie where they are published to lie beside its
    /// files.
    pub media: Option<PathBuf>,
}

impl SourceConfig {
    /// What lies at a path, its kind seen from it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { paths: vec![path.into()], ..Self::default() }
    }

    /// For messages: the first path, as it was written.
    pub fn name(&self) -> String {
        self.paths.first().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl From<PathBuf> for SourceConfig {
    fn from(path: PathBuf) -> Self {
        Self::new(path)
    }
}

impl From<&Path> for SourceConfig {
    fn from(path: &Path) -> Self {
        Self::new(path)
    }
}

impl From<&str> for SourceConfig {
    fn from(path: &str) -> Self {
        Self::new(path)
    }
}

/// A kind of source: how records are laid out in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SourceKind {
    /// JSON Lines, or MSR-VTT's own files ([`crate::Manifest`]).
    Manifest,
    /// Comma- or tab-separated values with names in the first row.
    Table,
    /// Media in a folder, with captions beside them, tables of files, or a folder a class.
    Folder,
    /// MSR-VTT's own files ([`crate::msrvtt`]).
    MsrVtt,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Manifest, Self::Table, Self::Folder, Self::MsrVtt];

    /// As a recipe writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Table => "table",
            Self::Folder => "folder",
            Self::MsrVtt => "msr-vtt",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SourceKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("expected one of {}, found {}", names.join(", "), crate::plain::quoted(text))
        })
    }
}

/// As it is written in a recipe where a path does not say all.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    path: Paths,
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    kind: Option<SourceKind>,
    #[serde(default, skip_serializing_if = "Columns::is_default")]
    columns: Columns,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media: Option<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Paths {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl From<Paths> for Vec<PathBuf> {
    fn from(paths: Paths) -> Self {
        match paths {
            Paths::One(path) => vec![path],
            Paths::Several(paths) => paths,
        }
    }
}

impl From<&[PathBuf]> for Paths {
    fn from(paths: &[PathBuf]) -> Self {
        match paths {
            [path] => Self::One(path.clone()),
            paths => Self::Several(paths.to_vec()),
        }
    }
}

impl Serialize for SourceConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == (Self { paths: self.paths.clone(), ..Self::default() }) {
            return Paths::from(self.paths.as_slice()).serialize(serializer);
        }
        let Self { paths, kind, columns, group_by, media } = self.clone();
        Table { path: paths.as_slice().into(), kind, columns, group_by, media }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SourceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SourceConfig;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "a path, a list of paths, or a table with path, type, columns, group_by and media",
                )
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<SourceConfig, E> {
                Ok(SourceConfig::new(path))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<SourceConfig, A::Error> {
                let paths = Vec::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
                Ok(SourceConfig { paths, ..SourceConfig::default() })
            }

            // By hand: of an untagged enum the message would be that nothing fits, whatever is wrong in the table.
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<SourceConfig, A::Error> {
                let Table { path, kind, columns, group_by, media } =
                    Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(SourceConfig { paths: path.into(), kind, columns, group_by, media })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

//! What is said of a source.

use super::Columns;
use crate::shards::KeyEnds;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use unisono_media::limits;

/// Where records come from. In a recipe a path, a list of paths, or a table:
///
/// ```toml
/// source = "cc3m/{00000..00331}.tar"
/// source = { path = "cc3m", type = "webdataset", columns = { text = ["caption"] } }
/// ```
///
/// A path may have ranges (`{000..331}`), choices (`{train,val}`) and wildcards (`*`, `?`) in it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct SourceConfig {
    /// As they were written, relative to the working directory.
    #[serde(rename = "path", with = "paths")]
    pub paths: Vec<PathBuf>,
    /// `None`: seen from the paths.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<SourceKind>,
    /// What the fields of a record are called there.
    #[serde(default, skip_serializing_if = "Columns::is_default")]
    pub columns: Columns,
    /// The column of a table whose neighbours are one record where they are alike in it; without it a row is a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// The folder in which the media of a table or a named data set lie; without it they lie where they are published to lie beside its
    /// files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<PathBuf>,
    /// Files of what is known of the records beside them: JSON Lines, each with the id of one and what is said of it. A later file
    /// outweighs an earlier one.
    #[serde(default, with = "paths", skip_serializing_if = "Vec::is_empty")]
    pub annotations: Vec<PathBuf>,
    /// A file of ids, as JSON Lines or a line each: of the source these records alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<PathBuf>,
    /// Where keys end in the names of tar shards' members.
    #[serde(default, skip_serializing_if = "is_default")]
    pub key_ends: KeyEnds,
    /// Most bytes that a compressed shard may become, instead of a multiple of what it has.
    #[serde(default, deserialize_with = "limits::bytes_or_text", skip_serializing_if = "Option::is_none")]
    pub max_unpacked: Option<u64>,
    /// Most bytes of a Parquet file's column that are unpacked at once, instead of 512 MiB: of a page with its dictionary, or of a column of lists in a row
    /// group.
    #[serde(default, deserialize_with = "limits::bytes_or_text", skip_serializing_if = "Option::is_none")]
    pub max_page: Option<u64>,
    /// Most bytes of a Parquet file's footer, instead of 256 MiB.
    #[serde(default, deserialize_with = "limits::bytes_or_text", skip_serializing_if = "Option::is_none")]
    pub max_footer: Option<u64>,
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
    /// JSON Lines ([`crate::Manifest`]).
    Manifest,
    /// Parquet files, as Hugging Face's hub has them.
    Parquet,
    /// What `datasets.save_to_disk` writes.
    Arrow,
    /// Comma- or tab-separated values with names in the first row.
    Table,
    /// Media in a folder, with captions beside them, tables of files, or a folder a class.
    Folder,
    /// MSR-VTT's own files ([`crate::msrvtt`]).
    MsrVtt,
    /// Tar shards in WebDataset's convention ([`crate::shards`]).
    Webdataset,
    /// Karpathy's splits of COCO, Flickr8k and Flickr30k.
    Karpathy,
    /// COCO's captions.
    CocoCaptions,
    /// Conceptual Captions and Conceptual 12M.
    ConceptualCaptions,
    /// AudioCaps.
    #[serde(rename = "audiocaps")]
    AudioCaps,
    /// Clotho.
    Clotho,
    /// ESC-50.
    Esc50,
    /// AudioSet.
    #[serde(rename = "audioset")]
    AudioSet,
    /// MSVD.
    Msvd,
    /// DiDeMo.
    #[serde(rename = "didemo")]
    DiDeMo,
    /// VQA v2.
    VqaV2,
    /// ImageNet's thousand classes.
    #[serde(rename = "imagenet")]
    ImageNet,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Manifest,
        Self::Webdataset,
        Self::Parquet,
        Self::Arrow,
        Self::Table,
        Self::Folder,
        Self::CocoCaptions,
        Self::Karpathy,
        Self::ConceptualCaptions,
        Self::AudioCaps,
        Self::Clotho,
        Self::Esc50,
        Self::AudioSet,
        Self::MsrVtt,
        Self::Msvd,
        Self::DiDeMo,
        Self::VqaV2,
        Self::ImageNet,
    ];

    /// As a recipe writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Table => "table",
            Self::Folder => "folder",
            Self::MsrVtt => "msr-vtt",
            Self::Webdataset => "webdataset",
            Self::Karpathy => "karpathy",
            Self::CocoCaptions => "coco-captions",
            Self::ConceptualCaptions => "conceptual-captions",
            Self::AudioCaps => "audiocaps",
            Self::Clotho => "clotho",
            Self::Esc50 => "esc50",
            Self::AudioSet => "audioset",
            Self::Msvd => "msvd",
            Self::DiDeMo => "didemo",
            Self::VqaV2 => "vqa-v2",
            Self::ImageNet => "imagenet",
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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One path is written by itself.
mod paths {
    use super::{Deserialize, Deserializer, PathBuf, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Paths {
        One(PathBuf),
        Several(Vec<PathBuf>),
    }

    pub(super) fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        match paths {
            [path] => path.serialize(serializer),
            paths => paths.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        Ok(match Paths::deserialize(deserializer)? {
            Paths::One(path) => vec![path],
            Paths::Several(paths) => paths,
        })
    }
}

impl Serialize for SourceConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if *self == (Self { paths: self.paths.clone(), ..Self::default() }) {
            return paths::serialize(&self.paths, serializer);
        }
        // What is derived: the table.
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for SourceConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = SourceConfig;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str(
                    "a path, a list of paths, or a table with path, type, columns, group_by, media, annotations and only",
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
                SourceConfig::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

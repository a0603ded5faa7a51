//! What can go wrong in an evaluation.

use std::{io, path::PathBuf};

use unisono_datasets::Source;

/// An evaluation's failure, in one line that says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The model's own error.
    #[error(transparent)]
    Encoders(#[from] unisono_encoders::Error),
    /// Of processors.
    #[error(transparent)]
    Processors(unisono_processors::Error),
    /// Of models that write.
    #[error(transparent)]
    Fusion(#[from] unisono_fusion::Error),
    /// What was asked for cannot be done with what there is.
    #[error("{0}")]
    Input(String),
    /// A protocol that cannot be followed.
    #[error("protocol {name:?}: {message}")]
    Protocol {
        /// Its name.
        name: String,
        /// Why, and what to do.
        message: String,
    },
    /// A manifest could not be read.
    #[error(transparent)]
    Datasets(#[from] unisono_datasets::Error),
    /// A medium could not be read.
    #[error(transparent)]
    Media(#[from] unisono_media::Error),
    /// A protocol found nothing on one of its sides.
    #[error("{}: no {modality} in split {split:?} (protocol {name:?}){hint}", manifest.display())]
    NothingToEmbed {
        /// The protocol's name.
        name: String,
        /// The side's modality.
        modality: &'static str,
        /// The split or splits.
        split: String,
        /// The manifest.
        manifest: PathBuf,
        /// What splits there are, or how many media were skipped.
        hint: String,
    },
    /// A split that a manifest does not have.
    #[error("{}: no record is of split {split:?} {role}; its splits are: {splits}", manifest.display())]
    NoSplit {
        /// The manifest.
        manifest: PathBuf,
        /// The name asked for.
        split: String,
        /// What it was to be.
        role: &'static str,
        /// Those that there are.
        splits: String,
    },
    /// A model gives no usable vector for an item.
    #[error(
        "record {id:?}: the model's embedding of its {modality} ({what}) is not finite; the model's weights or this input are broken"
    )]
    BrokenVector {
        /// The item's modality.
        modality: &'static str,
        /// The record's id.
        id: String,
        /// The file or the words.
        what: String,
    },
    /// The embedding data is no whole number of rows, or two sides differ in width.
    #[error(
        "{side} embeddings: {len} values are no rows of width {dim}; pass [N, D] row-major data with D > 0"
    )]
    Shape {
        /// Which side: `query` or `gallery`.
        side: &'static str,
        /// Number of values given.
        len: usize,
        /// Declared width D.
        dim: usize,
    },
    /// Queries and gallery live in different spaces.
    #[error("queries have width {queries}, the gallery {gallery}; embed both with the same model")]
    Width {
        /// Width of the query rows.
        queries: usize,
        /// Width of the gallery rows.
        gallery: usize,
    },
    /// A per-item list does not match the number of items.
    #[error("{what}: expected {expected} entries, found {found}; give one for every item, in order")]
    Count {
        /// What the list holds.
        what: &'static str,
        /// Number of items.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "{what} {index} is not finite; the model or its input is broken there: look at that record first"
    )]
    NotFinite {
        /// What holds the value.
        what: &'static str,
        /// Its index.
        index: usize,
    },
    /// Nothing could be ranked.
    #[error(
        "none of the {queries} queries has a relevant item in its gallery of {gallery} (first query: {first:?}); \
         check that the two sides share labels (and the same language where that is asked for)"
    )]
    NoRelevant {
        /// Number of queries.
        queries: usize,
        /// Gallery size.
        gallery: usize,
        /// The first query's key.
        first: String,
    },
    /// A statistic of nothing.
    #[error("{what}: nothing to measure; the split is empty or holds none of the asked modalities")]
    Empty {
        /// What was to be measured.
        what: &'static str,
    },
    /// A setting outside its range.
    #[error("{what} is {found}; {expected}")]
    Setting {
        /// The setting's name.
        what: &'static str,
        /// The value found.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// A duration that no recording has.
    #[error("clip {index} lasts {seconds} s; durations are positive seconds: check how its length was read")]
    Duration {
        /// Index of the clip.
        index: usize,
        /// The value found, in seconds.
        seconds: f64,
    },
    /// A report could not be written.
    #[error("{path}: {source}; choose a folder that can be written and has space left")]
    Write {
        /// The file's final name.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl From<unisono_processors::Error> for Error {
    fn from(error: unisono_processors::Error) -> Self {
        match error {
            unisono_processors::Error::Media(e) => Self::Media(e),
            other => Self::Processors(other),
        }
    }
}

impl Error {
    /// The protocol that it names, if it names one.
    pub fn protocol(&self) -> Option<&str> {
        match self {
            Self::Protocol { name, .. } | Self::NothingToEmbed { name, .. } => Some(name),
            _ => None,
        }
    }

    /// A split that `source` lacks; records without one are listed as "(none)".
    pub(crate) fn no_split(source: &dyn Source, split: &str, role: &'static str) -> Self {
        let names = source.splits().into_keys();
        let names = names.map(|name| if name.is_empty() { "(none)".to_owned() } else { name });
        Self::NoSplit {
            manifest: source.path().to_owned(),
            split: split.to_owned(),
            role,
            splits: names.collect::<Vec<_>>().join(", "),
        }
    }
}

/// This crate's result.
pub type Result<T> = std::result::Result<T, Error>;

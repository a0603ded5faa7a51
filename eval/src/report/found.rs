//! What was asked and what was found, whatever the modalities.

use serde::{Deserialize, Serialize};
use unisono_page::Media;

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// A sentence.
    Text {
        /// The sentence.
        text: String,
        /// Its language's code.
        lang: Option<String>,
    },
    /// An image.
    Image {
        /// The image.
        media: Media,
        /// Its name or caption.
        text: Option<String>,
    },
    /// A recording.
    Audio {
        /// The recording.
        media: Media,
        /// What is said or heard, for the reader only.
        text: Option<String>,
        /// The language spoken.
        lang: Option<String>,
        /// Its length.
        seconds: Option<f64>,
    },
}

impl Query {
    /// The query's language, if it has one.
    pub fn lang(&self) -> Option<&str> {
        match self {
            Self::Text { lang, .. } | Self::Audio { lang, .. } => lang.as_deref(),
            Self::Image { .. } => None,
        }
    }
}

/// One result. Its rank is its place in the list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hit {
    /// The image or audio found; `None` when a text was found.
    pub media: Option<Media>,
    /// Its caption, or the text found.
    pub text: Option<String>,
    /// The text's language.
    pub lang: Option<String>,
    /// Its id, shown on contact sheets.
    pub id: Option<String>,
    /// Cosine similarity.
    pub score: Option<f64>,
    /// Whether it is what was asked for; `None` when nobody knows.
    pub right: Option<bool>,
}

/// A query with its results, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Search {
    /// What was asked.
    pub query: Query,
    /// What was found.
    pub hits: Vec<Hit>,
    /// Rank of the first right item in the whole gallery, when known.
    pub rank: Option<f64>,
    /// Size of the gallery.
    pub gallery: Option<usize>,
}

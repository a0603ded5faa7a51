//! A record: one line of a manifest, or one sample of any other source.

use serde_json::{Map, Value};
use unisono_media::Blob;
use unisono_media::video::Span;

/// One thing to learn from or to search: its texts, image, audio files, any of which may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Unique within the manifest.
    pub id: String,
    /// Captions, all of them true of the record; training picks one a draw.
    pub text: Vec<String>,
    /// Image file.
    pub image: Option<Blob>,
    /// Audio files, all of them true of the record; training picks one a draw.
    pub audio: Vec<Blob>,
    /// Video file.
    pub video: Option<Blob>,
    /// The part of the video file that is meant.
    pub span: Span,
    /// Identity of the thing shown or said: records with one label are positives of each other.
    pub label: Option<String>,
    /// Near-copies share a group; no group crosses a split.
    pub group: Option<String>,
    /// `train`, `val`, `test` or any other name.
    pub split: Option<String>,
    /// Language of the texts and audio files: a BCP 47 tag such as `fr` or `zh-CN`.
    pub lang: Option<String>,
    /// Keys that are none of the above, in the file's order.
    pub extra: Map<String, Value>,
}

impl Record {
    /// What positives are decided by: the label, or the id where there is none.
    pub fn key(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }

    /// Whether there is anything to embed.
    pub(crate) fn has_modality(&self) -> bool {
        !self.text.is_empty() || self.image.is_some() || !self.audio.is_empty() || self.video.is_some()
    }
}

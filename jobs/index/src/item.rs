//! One thing to embed, and what is remembered of it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use unisono_media::Blob;
use unisono_media::video::Span;
use unisono_processors::Modality;

/// One thing to embed: a text, an image file, an audio file, or a video file or a part of one. Written as a line of `items.jsonl`, without its keys that
/// say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// A file's absolute path, a manifest record's id, `text:3` for the fourth text given by itself.
    pub id: String,
    /// What it is.
    pub modality: Modality,
    /// The file, its path absolute, or the part of one; none for texts.
    #[serde(default, rename = "path", skip_serializing_if = "Option::is_none")]
    pub blob: Option<Blob>,
    /// A text's words; for media, the first caption that its record has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it shows or says: items with one label are the same thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The file is a video: its frames for an image, its audio track for an audio file.
    #[serde(default, skip_serializing_if = "is_false")]
    pub video: bool,
    /// The part of a video file that is meant, in exact seconds; absent: the whole file.
    #[serde(default, skip_serializing_if = "Span::is_whole")]
    pub span: Span,
    /// Language of the text or audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Which of its record's several texts or audio files, counted from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub part: usize,
    /// Further keys of its record, to be filtered by.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

fn is_false(yes: &bool) -> bool {
    !*yes
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Item {
    /// A text by itself.
    pub fn text(id: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            modality: Modality::Text,
            blob: None,
            text: Some(text.into()),
            label: None,
            video: false,
            span: Span::WHOLE,
            lang: None,
            part: 0,
            meta: Map::new(),
        }
    }

    /// A file by itself; its name, the path, is its id.
    pub fn file(from: impl Into<Blob>, modality: Modality) -> Self {
        let blob = from.into();
        let id = blob.name().display().to_string();
        Self { modality, blob: Some(blob), text: None, ..Self::text(id, "") }
    }

    /// A video file: as itself, or seen as images are, or heard as audio files are.
    pub fn video(from: impl Into<Blob>, modality: Modality) -> Self {
        Self { video: modality != Modality::Video, ..Self::file(from, modality) }
    }

    /// Its file is not there any more.
    pub fn is_missing(&self) -> bool {
        self.blob.as_ref().is_some_and(Blob::is_missing)
    }

    /// What tells its file, or the part of one, from any other; empty for texts.
    pub fn place(&self) -> Cow<'_, [u8]> {
        self.blob.as_ref().map(Blob::identity).unwrap_or_default()
    }

    /// What is remembered of its file, to see that it is still the same; empty where there is none.
    pub fn stamp(&self) -> String {
        self.blob.as_ref().and_then(Blob::stamp).map(|stamp| stamp.to_string()).unwrap_or_default()
    }

    /// As it is called where the folder `from`, in which its file lies, has become `to`; of another place it stays as it is.
    #[must_use]
    pub fn moved(mut self, from: &Path, to: &Path) -> Self {
        let there = |text: &str| Some(to.join(Path::new(text).strip_prefix(from).ok()?).to_str()?.to_owned());
        if let Some(id) = there(&self.id) {
            self.id = id;
        }
        self.blob = self.blob.map(|blob| match blob.path() {
            Some(path) => path.to_str().and_then(there).map_or(blob.clone(), Blob::from),
            // Parts and rows are written as objects, with the same keys for all.
            None => {
                let Ok(mut value) = serde_json::to_value(&blob) else { return blob };
                for key in ["file", "name"] {
                    if let Some(new) = value.get(key).and_then(Value::as_str).and_then(there) {
                        value[key] = new.into();
                    }
                }
                serde_json::from_value(value).unwrap_or(blob)
            }
        });
        self
    }

    /// What pairs across modalities are decided by: the label, or the id where there is none.
    pub fn key(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.id)
    }
}

/// One JSON object and the line's end.
///
/// # Errors
/// The writer's.
pub fn write_item(out: &mut dyn Write, item: &Item) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, item)?;
    out.write_all(b"\n")
}

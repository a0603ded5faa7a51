//! A record with its media at hand.

use crate::shards::fields::{Fields, Role};
use crate::{Record, reopened};
use serde_json::{Map, Value};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use unisono_media::{Blob, Opened};

/// Media up to so many bytes are read before their record is written, so that one which cannot be read is a record left out; larger ones are
/// copied through.
const HELD: u64 = 64 << 20;

/// A record and its media, open.
#[derive(Debug)]
pub struct Sample<'a> {
    /// The record; of its media only the places.
    pub record: &'a Record,
    /// Its media: the image, the audio files, the video, then those that `extra` holds by their places.
    pub media: Vec<Medium>,
    /// [`Record::extra`] without those media.
    pub extra: Map<String, Value>,
}

/// A medium of a record.
#[derive(Debug)]
pub struct Medium {
    /// Which field it is.
    pub field: Field,
    /// What messages call it; its last part is its file's name.
    pub name: PathBuf,
    /// What its name ends in, in lower case; one that says its field where its own does not.
    pub ending: String,
    /// Its bytes.
    pub content: Content,
}

/// Which field of a record a medium is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// [`Record::image`].
    Image,
    /// One of [`Record::audio`].
    Audio,
    /// [`Record::video`].
    Video,
    /// A member of a shard that is no field, under this key in [`Record::extra`].
    Extra(String),
}

/// The bytes of a medium.
#[derive(Debug)]
pub enum Content {
    /// In memory.
    Held(Vec<u8>),
    /// To be read.
    Open(Box<Opened>),
}

impl Content {
    /// How many bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Held(bytes) => bytes.len() as u64,
            Self::Open(opened) => opened.len(),
        }
    }

    /// None.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// To be read from the first byte on.
    pub fn reader(self) -> Box<dyn Read> {
        match self {
            Self::Held(bytes) => Box::new(Cursor::new(bytes)),
            Self::Open(opened) => opened,
        }
    }
}

impl<'a> Sample<'a> {
    /// Opens the media of a record.
    ///
    /// # Errors
    /// One that is not there or cannot be read.
    pub fn open(record: &'a Record) -> crate::Result<Self> {
        let mut media = Vec::new();
        let image = record.image.iter().map(|blob| (blob, Field::Image));
        let audio = record.audio.iter().map(|blob| (blob, Field::Audio));
        let video = record.video.iter().map(|blob| (blob, Field::Video));
        for (blob, field) in image.chain(audio).chain(video) {
            media.push(open(blob, field)?);
        }
        let mut extra = record.extra.clone();
        for (key, value) in &record.extra {
            if let Some(blob) = beside(key, value, &media) {
                media.push(open(&reopened(&blob)?, Field::Extra(key.clone()))?);
                extra.shift_remove(key);
            }
        }
        Ok(Self { record, media, extra })
    }

    /// Bytes that it will take, about: its media and its texts, with what stands around them in a tar file.
    pub fn bytes(&self) -> u64 {
        const BLOCK: u64 = 512;
        let media =
            self.media.iter().map(|medium| BLOCK + medium.content.len().next_multiple_of(BLOCK)).sum::<u64>();
        let texts: usize = self.record.text.iter().map(String::len).sum();
        media + BLOCK + (texts as u64).next_multiple_of(BLOCK)
    }
}

fn open(blob: &Blob, field: Field) -> unisono_media::Result<Medium> {
    let mut opened = blob.open()?;
    let content = match opened.len() <= HELD {
        false => Content::Open(Box::new(opened)),
        true => {
            let bytes = opened.head(HELD + 1)?;
            if bytes.len() as u64 != opened.len() {
                let expected = format!("{} bytes", opened.len());
                return Err(unisono_media::Error::media(blob.name(), expected, bytes.len().to_string()));
            }
            Content::Held(bytes)
        }
    };
    let ending = match &field {
        Field::Image => ending(blob.name(), Role::Image, "image"),
        Field::Audio => ending(blob.name(), Role::Audio, "audio"),
        Field::Video => ending(blob.name(), Role::Video, "video"),
        Field::Extra(key) => key.clone(),
    };
    Ok(Medium { field, name: blob.name().to_owned(), ending, content })
}

/// A name's ending, if it says what the medium is.
fn ending(name: &Path, role: Role, otherwise: &str) -> String {
    let own = name.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if Fields::default().role(&own) == role { own } else { otherwise.to_owned() }
}

/// Whether a value may be the place of a file that is no field.
pub(super) fn is_place(value: &Value) -> bool {
    value.as_object().is_some_and(|place| place.contains_key("offset") || place.contains_key("row"))
}

/// A member of a shard that a record's `extra` holds by its place, and that can be a member again.
fn beside(key: &str, value: &Value, media: &[Medium]) -> Option<Blob> {
    let place = value.as_object().filter(|_| is_place(value))?;
    let free = !key.is_empty() && key.len() <= 100 && !key.contains(['/', '\0']);
    let taken = ["json", "jsn", "txt"].iter().any(|own| key.eq_ignore_ascii_case(own))
        || media.iter().any(|medium| medium.ending.eq_ignore_ascii_case(key));
    // `0.wav`, `1.wav`: several audio files have these names.
    let taken = taken || key.split('.').next().is_some_and(|n| n.parse::<u64>().is_ok());
    let blob: Blob = serde_json::from_value(Value::Object(place.clone())).ok()?;
    (free && !taken && blob.path().is_none()).then_some(blob)
}

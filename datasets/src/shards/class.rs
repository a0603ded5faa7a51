//! What is known of records without reading them: few combinations of few values, so that a record costs a byte or nothing.

use crate::Record;
use crate::source::Key;
use serde::{Deserialize, Serialize};

/// Most combinations in one shard.
pub(super) const MOST: usize = 1 << 16;

/// What decides which parts of a source a record belongs to: a [`Key`] that owns its words.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Class {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lang: Option<String>,
    text: bool,
    image: bool,
    audio: bool,
    video: bool,
}

impl Class {
    /// A record's.
    pub(super) fn of(record: &Record) -> Self {
        let Key { split, lang, text, image, audio, video } = record.part_key();
        let owned = |word: Option<&str>| word.map(str::to_owned);
        Self { split: owned(split), lang: owned(lang), text, image, audio, video }
    }

    /// As sources tell it.
    pub(super) fn key(&self) -> Key<'_> {
        let Self { split, lang, text, image, audio, video } = self;
        Key {
            split: split.as_deref(),
            lang: lang.as_deref(),
            text: *text,
            image: *image,
            audio: *audio,
            video: *video,
        }
    }

    /// The split, empty where there is none.
    pub(super) fn split(&self) -> &str {
        self.split.as_deref().unwrap_or_default()
    }
}

/// A class and how many records have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counted {
    pub(super) class: Class,
    pub(super) records: u64,
}

/// Bytes that the number of a class takes.
pub(super) fn width(classes: usize) -> usize {
    match classes {
        0..=1 => 0,
        2..=256 => 1,
        _ => 2,
    }
}

/// The number of a record's class, in bytes of this width.
pub(super) fn number(bytes: &[u8], width: usize, record: usize) -> Option<usize> {
    match width {
        0 => Some(0),
        1 => bytes.get(record).map(|b| usize::from(*b)),
        _ => bytes.get(2 * record..2 * record + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))),
    }
}

/// The classes of a shard while it is indexed.
#[derive(Debug, Default)]
pub(super) struct Classes {
    known: std::collections::HashMap<Class, u16>,
    counts: Vec<Counted>,
    of: Vec<u16>,
}

impl Classes {
    /// Notes the next record's.
    ///
    /// # Errors
    /// More combinations than languages and splits can have.
    pub(super) fn push(&mut self, class: Class) -> Result<(), String> {
        let next = self.counts.len();
        let number = match self.known.get(&class) {
            Some(number) => *number,
            None if next == MOST => {
                return Err(format!(
                    "more than {MOST} combinations of split and language: name by `columns` the keys that hold them"
                ));
            }
            None => {
                self.known.insert(class.clone(), next as u16);
                self.counts.push(Counted { class, records: 0 });
                next as u16
            }
        };
        self.counts[usize::from(number)].records += 1;
        self.of.push(number);
        Ok(())
    }

    /// The classes, and the numbers of all records' in bytes.
    pub(super) fn finish(self) -> (Vec<Counted>, Vec<u8>) {
        let bytes = match width(self.counts.len()) {
            0 => Vec::new(),
            1 => self.of.iter().map(|n| *n as u8).collect(),
            _ => self.of.iter().flat_map(|n| n.to_le_bytes()).collect(),
        };
        (self.counts, bytes)
    }
}

//! The items of a side: what is in a manifest of one modality, and what each is known by.

use crate::retrieval::words_mark;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use unisono_datasets::{Record, words};
use unisono_encoders::Modality;
use unisono_media::Blob;
use unisono_media::video::Span;
use unisono_processors::Medium;

/// One item of a side.
#[derive(Debug, Clone)]
pub struct Item {
    /// The record's id.
    pub id: String,
    /// Identity of the thing: the record's label, or its id.
    pub key: String,
    /// What it is known by: the keys of the records that name it and the words of their captions, each with its language. Items with a
    /// mark in common are each other's right answers.
    pub marks: Vec<String>,
    /// Language, empty when unknown.
    pub lang: String,
    /// The caption, for a text.
    pub text: Option<String>,
    /// The file, for an image, audio file or video.
    pub blob: Option<Blob>,
    /// The part of the file, for a video.
    pub span: Span,
    /// Length, for an audio file.
    pub seconds: Option<f64>,
}

impl Item {
    /// What is to be decoded of it.
    pub(crate) fn medium(&self, modality: Modality) -> Medium<'_> {
        match (modality, &self.blob) {
            (Modality::Image, Some(blob)) => Medium::Image(blob),
            (Modality::Audio, Some(blob)) => Medium::Audio(blob),
            (Modality::Video, Some(blob)) => Medium::Video(blob, self.span),
            (Modality::Text, _) | (_, None) => Medium::Text(self.text.as_deref().unwrap_or_default()),
        }
    }

    /// Whether the two are right answers for each other: they are of one thing, or said with the same words in one language.
    pub fn answers(&self, other: &Self) -> bool {
        self.marks.iter().any(|mark| other.marks.contains(mark))
    }
}

/// Which items make a side.
pub(crate) struct Choice<'a> {
    pub(crate) modality: Modality,
    /// Of these languages; empty: all.
    pub(crate) langs: &'a [String],
    pub(crate) captions: Captions,
    /// A file that records of several languages name is an item of each.
    pub(crate) by_lang: bool,
}

impl Choice<'_> {
    /// The items among `records`, in their order.
    pub(crate) fn items(&self, records: &[&Record]) -> Vec<Item> {
        let asked = |r: &&&Record| self.langs.is_empty() || self.langs.contains(&lang(r));
        match self.modality {
            Modality::Text => texts(records.iter().filter(asked), self.captions),
            _ => media(records, asked, self),
        }
    }
}

fn lang(record: &Record) -> String {
    record.lang.clone().unwrap_or_default()
}

fn texts<'a>(records: impl Iterator<Item = &'a &'a Record>, captions: Captions) -> Vec<Item> {
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for r in records {
        let lang = lang(r);
        for text in captions.of(&r.text) {
            if r.label.is_some() && !seen.insert((r.key(), lang.clone(), words::folded(&text))) {
                continue;
            }
            items.push(Item {
                id: r.id.clone(),
                key: r.key().to_owned(),
                marks: vec![r.key().to_owned(), words_mark(&lang, &text)],
                lang: lang.clone(),
                text: Some(text),
                blob: None,
                span: Span::WHOLE,
                seconds: None,
            });
        }
    }
    items
}

/// The files of a record, and the part that is meant.
fn files(record: &Record, modality: Modality) -> Vec<(&Blob, Span)> {
    match modality {
        Modality::Text => Vec::new(),
        Modality::Image => record.image.iter().map(|blob| (blob, Span::WHOLE)).collect(),
        Modality::Audio => record.audio.iter().map(|blob| (blob, Span::WHOLE)).collect(),
        Modality::Video => record.video.iter().map(|blob| (blob, record.span)).collect(),
    }
}

fn media(records: &[&Record], asked: impl Fn(&&&Record) -> bool, choice: &Choice) -> Vec<Item> {
    let Choice { modality, captions, by_lang, .. } = *choice;
    // A file is what all its records say of it, those of other languages too.
    let mut marks: BTreeMap<(&Blob, String), BTreeSet<String>> = BTreeMap::new();
    for r in records {
        for (blob, span) in files(r, modality) {
            let known = marks.entry((blob, span.to_string())).or_default();
            known.insert(r.key().to_owned());
            known.extend(captions.of(&r.text).iter().map(|text| words_mark(&lang(r), text)));
        }
    }
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for r in records.iter().filter(asked) {
        for (blob, span) in files(r, modality) {
            let (place, lang) = ((blob, span.to_string()), lang(r));
            if !seen.insert((place.clone(), if by_lang { lang.clone() } else { String::new() })) {
                continue;
            }
            // Its own key comes first: messages show it.
            let others = marks.get(&place).into_iter().flatten().filter(|mark| *mark != r.key());
            items.push(Item {
                id: r.id.clone(),
                key: r.key().to_owned(),
                marks: std::iter::once(r.key().to_owned()).chain(others.cloned()).collect(),
                lang,
                text: None,
                blob: Some(blob.clone()),
                span,
                seconds: None,
            });
        }
    }
    items
}

/// Which captions of a record take part in an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Captions {
    /// The first one, its name.
    #[default]
    First,
    /// All, each for itself.
    All,
    /// All in one: the name, then every other comma-separated part of the captions once (a thing's tags).
    Joined,
}

impl Captions {
    /// The texts of a record that take part.
    pub(crate) fn of(self, texts: &[String]) -> Vec<String> {
        match self {
            Self::First => texts.iter().take(1).cloned().collect(),
            Self::All => texts.to_vec(),
            Self::Joined => {
                let mut parts: Vec<&str> = Vec::new();
                for part in texts.iter().flat_map(|t| t.split(',')).map(str::trim).filter(|p| !p.is_empty()) {
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
                if parts.is_empty() { Vec::new() } else { vec![parts.join(", ")] }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_captions_hold_each_part_once() {
        let texts = ["cat".to_owned(), "animal, cat , tail".to_owned(), " ,animal".to_owned()];
        assert_eq!(Captions::Joined.of(&texts), ["cat, animal, tail"]);
        assert_eq!(Captions::First.of(&texts), ["cat"]);
        assert_eq!(Captions::All.of(&texts).len(), 3);
        assert!([Captions::First, Captions::All, Captions::Joined].iter().all(|c| c.of(&[]).is_empty()));
    }
}

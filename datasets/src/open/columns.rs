//! What the fields of a record are called in a source.

use super::SourceKind;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;

/// Names of columns, keys or endings, by the field of a record that they hold; empty: those that the kind of source knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Columns {
    /// [`crate::Record::id`].
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub id: Names,
    /// [`crate::Record::text`]: the captions of all of them.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub text: Names,
    /// [`crate::Record::image`]: the first that a record has.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub image: Names,
    /// [`crate::Record::audio`].
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub audio: Names,
    /// [`crate::Record::video`]: the first that a record has.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub video: Names,
    /// Where the part of the video begins, in seconds.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub start: Names,
    /// Where it ends.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub end: Names,
    /// [`crate::Record::label`].
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub label: Names,
    /// [`crate::Record::group`].
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub group: Names,
    /// [`crate::Record::split`].
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub split: Names,
    /// [`crate::Record::lang`].
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub lang: Names,
}

impl Columns {
    /// The fields by the names that a recipe has for them.
    pub fn fields(&self) -> [(&'static str, &Names); 11] {
        let Self { id, text, image, audio, video, start, end, label, group, split, lang } = self;
        [
            ("id", id),
            ("text", text),
            ("image", image),
            ("audio", audio),
            ("video", video),
            ("start", start),
            ("end", end),
            ("label", label),
            ("group", group),
            ("split", split),
            ("lang", lang),
        ]
    }

    /// The names of a field by the name that a recipe has for it.
    pub fn named(&mut self, field: &str) -> Option<&mut Names> {
        let Self { id, text, image, audio, video, start, end, label, group, split, lang } = self;
        Some(match field {
            "id" => id,
            "text" => text,
            "image" => image,
            "audio" => audio,
            "video" => video,
            "start" => start,
            "end" => end,
            "label" => label,
            "group" => group,
            "split" => split,
            "lang" => lang,
            _ => return None,
        })
    }

    /// Nothing is said.
    pub fn is_default(&self) -> bool {
        self.fields().iter().all(|(_, names)| names.is_empty())
    }

    /// Refuses names of columns for a kind that has none.
    pub(super) fn unused(&self, paths: &[PathBuf], kind: SourceKind) -> Result<()> {
        match self.fields().into_iter().find(|(_, names)| !names.is_empty()) {
            None => Ok(()),
            Some((field, names)) => Err(Error::Options(format!(
                "{}: a source of type {kind} has fixed keys, found columns.{field} = {:?}: leave it out",
                paths.first().map(|p| p.display().to_string()).unwrap_or_default(),
                names.0
            ))),
        }
    }

    /// The names of a field, or the usual ones.
    pub fn or<'a>(names: &'a Names, usual: &'a [&'a str]) -> Vec<&'a str> {
        match names.is_empty() {
            true => usual.to_vec(),
            false => names.0.iter().map(String::as_str).collect(),
        }
    }
}

/// A name or several; a string or a list of strings in a recipe.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Names(pub Vec<String>);

impl Names {
    /// None.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a name or a list of names")]
        enum Written {
            One(String),
            Several(Vec<String>),
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::One(name) => Self(vec![name]),
            Written::Several(names) => Self(names),
        })
    }
}

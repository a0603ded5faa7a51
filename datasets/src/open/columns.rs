//! What the fields of a record are called in a source.

use crate::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt::Display;
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

    /// [`fields`](Self::fields), to be said.
    pub(crate) fn fields_mut(&mut self) -> [(&'static str, &mut Names); 11] {
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

    /// Nothing is said.
    pub fn is_default(&self) -> bool {
        self.fields().iter().all(|(_, names)| names.is_empty())
    }

    /// Refuses names of columns for a kind that has none.
    pub(super) fn unused(&self, paths: &[PathBuf], kind: impl Display) -> Result<()> {
        match self.fields().into_iter().find(|(_, names)| !names.is_empty()) {
            None => Ok(()),
            Some((field, names)) => Err(Error::Options(format!(
                "{}: a source of type {kind} has fixed keys, found columns.{field} = {:?}: leave it out",
                paths.first().map(|p| p.display().to_string()).unwrap_or_default(),
                names.0
            ))),
        }
    }

    /// Sets a field as a command's option says it: `text=caption,title`.
    ///
    /// # Errors
    /// No equals sign, no such field, no name.
    pub fn set(&mut self, option: &str) -> std::result::Result<(), String> {
        let (field, names) = option.split_once('=').ok_or("expected FIELD=NAME, as text=caption")?;
        let known = self.fields().map(|(name, _)| name).join(", ");
        let names: Vec<String> =
            names.split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
        if names.is_empty() {
            return Err("expected a name behind the equals sign".into());
        }
        match self.fields_mut().into_iter().find(|(name, _)| *name == field.trim()) {
            Some((_, place)) => place.0.extend(names),
            None => return Err(format!("a record has no such field; it has: {known}")),
        }
        Ok(())
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

//! From names and values, of a table's row or a JSON object, to a record.

use crate::manifest::line::{kind, place};
use crate::open::{Columns, Names};
use crate::{Record, plain};
use serde_json::Value;
use std::path::{Path, PathBuf};
use unisono_media::video::{Span, Time};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Id,
    Text,
    Image,
    Audio,
    Video,
    /// A medium of the kind that its name ends in.
    File,
    Start,
    End,
    Label,
    Group,
    Split,
    Lang,
    /// Kept as it is.
    Extra,
}

/// Names by which columns are known without being named, the likeliest first: a record takes the first that is there.
const USUAL: [(Role, &[&str]); 12] = [
    (Role::Id, &["id", "key"]),
    (
        Role::Text,
        &[
            "text",
            "caption",
            "captions",
            "title",
            "sentence",
            "sentences",
            "description",
            "transcription",
            "raw",
            "alt_text",
        ],
    ),
    (Role::Image, &["image", "image_path", "image_file", "img", "img_path", "jpg", "png"]),
    (Role::Audio, &["audio", "audio_path", "audio_file", "wav", "mp3", "flac"]),
    (Role::Video, &["video", "video_path", "video_file", "clip", "mp4"]),
    (Role::File, &["filepath", "file_path", "file_name", "filename", "path", "file"]),
    (Role::Start, &["start", "start_time", "start_seconds"]),
    (Role::End, &["end", "end_time", "end_seconds"]),
    (Role::Label, &["label", "class", "class_name", "category"]),
    (Role::Group, &["group"]),
    (Role::Split, &["split", "subset"]),
    (Role::Lang, &["lang", "language"]),
];

const IMAGE: [&str; 14] =
    ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "svg", "jfif", "avif", "heic", "heif", "hif"];
const VIDEO: [&str; 14] =
    ["mp4", "webm", "mkv", "avi", "mov", "m4v", "mpg", "mpeg", "wmv", "flv", "ogv", "ts", "3gp", "mts"];
const AUDIO: [&str; 12] =
    ["wav", "mp3", "flac", "ogg", "opus", "m4a", "aac", "oga", "wma", "aif", "aiff", "mp2"];

/// The kind of medium that a file's name ends in.
pub(crate) fn by_ending(path: &Path) -> Option<Role> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let of = |endings: &[&str]| endings.contains(&ending.as_str());
    match () {
        () if of(&IMAGE) => Some(Role::Image),
        () if of(&AUDIO) => Some(Role::Audio),
        () if of(&VIDEO) => Some(Role::Video),
        () => None,
    }
}

/// How names and values become a record.
#[derive(Debug, Clone)]
pub(crate) struct Fields {
    columns: Columns,
    /// Where relative paths begin.
    folder: PathBuf,
}

impl Fields {
    pub fn new(columns: &Columns, folder: &Path) -> Self {
        Self { columns: columns.clone(), folder: folder.into() }
    }

    fn said(&self) -> [(Role, &'static str, &Names); 11] {
        const ROLES: [Role; 11] = [
            Role::Id,
            Role::Text,
            Role::Image,
            Role::Audio,
            Role::Video,
            Role::Start,
            Role::End,
            Role::Label,
            Role::Group,
            Role::Split,
            Role::Lang,
        ];
        let mut roles = ROLES.into_iter();
        self.columns.fields().map(|(field, names)| (roles.next().unwrap_or(Role::Extra), field, names))
    }

    /// What each of these columns holds: what was said, else what its name usually means.
    pub fn roles(&self, names: &[&str]) -> Vec<Role> {
        let mut roles = vec![Role::Extra; names.len()];
        for (role, _, said) in self.said() {
            for (name, found) in names.iter().zip(&mut roles) {
                if said.0.iter().any(|s| s == name.trim()) {
                    *found = role;
                }
            }
        }
        let told = |role: Role| self.said().into_iter().any(|(r, _, said)| r == role && !said.is_empty());
        let any_file = [Role::Image, Role::Audio, Role::Video].into_iter().any(told);
        for (role, usual) in USUAL {
            if told(role) || (role == Role::File && any_file) {
                continue;
            }
            let first = usual.iter().find_map(|u| {
                let is = |at: &usize| roles[*at] == Role::Extra && means(names[*at], u, role == Role::Text);
                let found: Vec<usize> = (0..names.len()).filter(is).collect();
                (!found.is_empty()).then_some(found)
            });
            first.into_iter().flatten().for_each(|at| roles[at] = role);
        }
        roles
    }

    /// A column that was named and is not there, by the field that it was named for.
    pub fn missing<'a>(&'a self, names: &[&str]) -> Option<(&'static str, &'a str)> {
        self.said().into_iter().find_map(|(_, field, said)| {
            let missing = said.0.iter().find(|s| !names.iter().any(|n| n.trim() == s.as_str()));
            missing.map(|name| (field, name.as_str()))
        })
    }

    /// The record of columns' values; its id is empty where none holds it.
    ///
    /// # Errors
    /// A value of the wrong kind, an address where a path should be.
    pub fn record(&self, values: impl Iterator<Item = (Role, String, Value)>) -> Result<Record, String> {
        let mut record = Record::default();
        let (mut start, mut end) = (None, None);
        for (role, name, value) in values {
            if matches!(&value, Value::Null) || matches!(&value, Value::String(s) if s.trim().is_empty()) {
                continue;
            }
            match role {
                Role::Extra => drop(record.extra.insert(name, value)),
                Role::Text => record.text.extend(texts(&name, value)?),
                Role::Start => start = Some((name, value)),
                Role::End => end = Some((name, value)),
                Role::Image | Role::Audio | Role::Video | Role::File => {
                    self.medium(role, name, value, &mut record)?
                }
                Role::Id => record.id = word(&name, value)?,
                Role::Label => record.label = record.label.or(Some(word(&name, value)?)),
                Role::Group => record.group = Some(word(&name, value)?),
                Role::Split => record.split = Some(word(&name, value)?),
                Role::Lang => record.lang = Some(word(&name, value)?),
            }
        }
        record.text.retain(|t| !t.trim().is_empty());
        // Of an audio file these are values like any other.
        if record.video.is_none() {
            record.extra.extend(start.into_iter().chain(end));
            return Ok(record);
        }
        let span = Span { start: start.map(moment).transpose()?, end: end.map(moment).transpose()? };
        match span {
            Span { start: Some(start), end: Some(end) } if start >= end => {
                Err(format!("\"end\" must come after \"start\" {start}, found {end}"))
            }
            _ => Ok(Record { span, ..record }),
        }
    }

    fn medium(&self, role: Role, name: String, value: Value, record: &mut Record) -> Result<(), String> {
        let paths = match value {
            Value::String(path) => vec![path],
            Value::Array(items) if role == Role::Audio => {
                items.into_iter().map(|item| word(&name, item)).collect::<Result<_, _>>()?
            }
            other => return Err(format!("{name:?} must be a file's path, found {}", kind(&other))),
        };
        for path in paths {
            let role = match role {
                Role::File => by_ending(Path::new(&path)).ok_or_else(|| {
                    let path = plain::quoted(&path);
                    format!("{name:?}: {path} does not end as an image, audio file or video: name its column by \"columns\"")
                })?,
                role => role,
            };
            let blob = || place(path.clone(), &name, &self.folder);
            match role {
                Role::Image if record.image.is_none() => record.image = Some(blob()?),
                Role::Video if record.video.is_none() => record.video = Some(blob()?),
                Role::Audio => record.audio.push(blob()?),
                // A second one.
                _ => drop(record.extra.insert(name.clone(), path.clone().into())),
            }
        }
        Ok(())
    }
}

/// Whether a column's name is a usual one; captions may be numbered: `caption_1`, `caption2`.
fn means(name: &str, usual: &str, numbered: bool) -> bool {
    let name = name.trim();
    let Some(rest) =
        name.get(..usual.len()).filter(|n| n.eq_ignore_ascii_case(usual)).map(|_| &name[usual.len()..])
    else {
        return false;
    };
    let number = rest.strip_prefix(['_', ' ']).unwrap_or(rest);
    rest.is_empty() || (numbered && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// A text, several, or several written as JSON in one cell of a table.
fn texts(name: &str, value: Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(text) if text.starts_with('[') && text.ends_with(']') => {
            Ok(serde_json::from_str::<Vec<String>>(&text).unwrap_or_else(|_| vec![text]))
        }
        Value::Array(items) => items.into_iter().map(|item| word(name, item)).collect(),
        other => Ok(vec![word(name, other)?]),
    }
}

fn word(name: &str, value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(format!("{name:?} must be a string, found {}", kind(&other))),
    }
}

fn moment((name, value): (String, Value)) -> Result<Time, String> {
    const LONGEST: usize = 64;
    let text = word(&name, value)?;
    match text.len() <= LONGEST {
        true => text.parse().map_err(|message| format!("{name:?}: {message}")),
        false => Err(format!(
            "{name:?}: expected seconds as a number or a fraction, found {}",
            plain::quoted(&text)
        )),
    }
}

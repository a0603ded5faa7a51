//! A line as a record, or what is wrong with it.

use std::fmt;
use std::path::Path;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use unisono_files::Budget;

use crate::{Record, plain};
use unisono_media::video::{Span, Time};
use unisono_media::{Blob, address};

type Parsed<T> = std::result::Result<T, String>;

/// The record on a line of the manifest `path`, which lies in `folder`.
pub(crate) fn parse(text: &str, path: &Path, folder: &Path) -> Parsed<Record> {
    let record = fields(text, path, folder)?;
    match record.has_modality() {
        true => Ok(record),
        false => Err(format!(
            "record {} has no usable modality: expected at least one of \"text\", \"image\", \"audio\", \"video\"",
            plain::quoted(&record.id)
        )),
    }
}

/// The fields of a record that a line has, of which only the id must be there.
pub(crate) fn fields(text: &str, path: &Path, folder: &Path) -> Parsed<Record> {
    let mut map = object(text, path)?;
    // `shift_remove` keeps the order of the rest, which `write` gives back.
    let id = string(&mut map, "id")?.ok_or("the record has no \"id\"")?;
    if id.is_empty() {
        return Err("\"id\" is empty".into());
    }
    let mut record = Record {
        text: strings(&mut map, "text")?,
        image: string(&mut map, "image")?.map(|p| place(p, "image", folder)).transpose()?,
        audio: strings(&mut map, "audio")?
            .into_iter()
            .map(|p| place(p, "audio", folder))
            .collect::<Parsed<_>>()?,
        video: string(&mut map, "video")?.map(|p| place(p, "video", folder)).transpose()?,
        label: string(&mut map, "label")?,
        group: string(&mut map, "group")?,
        split: string(&mut map, "split")?,
        lang: string(&mut map, "lang")?,
        span: Span::WHOLE,
        id,
        extra: Map::new(),
    };
    // Without a video these are keys like any other.
    if record.video.is_some() {
        record.span = Span { start: moment(&mut map, "start")?, end: moment(&mut map, "end")? };
        if let Span { start: Some(start), end: Some(end) } = record.span
            && start >= end
        {
            return Err(format!("\"end\" must come after \"start\" {start}, found {end}"));
        }
    }
    record.text.retain(|t| !t.trim().is_empty());
    record.extra = map;
    Ok(record)
}

/// The line's keys and values.
pub(crate) fn object(text: &str, path: &Path) -> Parsed<Map<String, Value>> {
    if let Err(unisono_files::Error::Budget { found, limit, .. }) = Budget::LINE.json(path, text.as_bytes()) {
        return Err(format!("the line has {found}, more than the {limit} that a record may have"));
    }
    if !text.starts_with('{') {
        return match serde_json::from_str::<Value>(text) {
            Ok(other) => Err(format!("a record must be a JSON object, found {}", kind(&other))),
            Err(e) => Err(broken(text, &e)),
        };
    }
    serde_json::from_str(text).map(|Fields(map)| map).map_err(|e| broken(text, &e))
}

/// An object whose keys are distinct: which of two values was meant, nobody knows.
struct Fields(Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Fields, A::Error> {
                let mut map = Map::new();
                while let Some((key, value)) = access.next_entry::<String, Value>()? {
                    if map.contains_key(&key) {
                        return Err(de::Error::custom(format!(
                            "the key {} stands twice",
                            plain::quoted(&key)
                        )));
                    }
                    map.insert(key, value);
                }
                Ok(Fields(map))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

fn broken(text: &str, e: &serde_json::Error) -> String {
    // serde_json counts lines within our one line: only its column is news.
    let message = e.to_string();
    let cause = message.split(" at line ").next().unwrap_or_default();
    if e.is_data() {
        return cause.to_owned();
    }
    if matches!(text, "{" | "[") {
        return "a record stands on one line of its own (JSON Lines); this is JSON over several lines".into();
    }
    // Where the parser stopped: at the word, or behind its sign.
    let from = e.column().saturating_sub(2);
    let near = text.as_bytes().get(from..).unwrap_or_default();
    let word =
        ["NaN", "Infinity"].into_iter().find(|w| near.windows(w.len()).take(3).any(|n| n == w.as_bytes()));
    match word {
        Some(word) => format!("{word} is no JSON: write null where there is no number"),
        None => format!("not valid JSON: {cause} (column {})", e.column()),
    }
}

/// A file's path as a manifest or a table writes it.
pub(crate) fn place(text: String, key: &str, folder: &Path) -> Parsed<Blob> {
    if text.is_empty() {
        return Err(format!("{key:?} is empty: leave it out, or give a file's path"));
    }
    if text.contains('\0') {
        return Err(format!("{key:?}: a path cannot hold NUL, found {}", plain::quoted(&text)));
    }
    match address::advice(&text) {
        Some(advice) => Err(format!("{key:?}: {} is {advice}", plain::quoted(&text))),
        None => Ok(folder.join(text).into()),
    }
}

fn string(map: &mut Map<String, Value>, key: &str) -> Parsed<Option<String>> {
    match map.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Number(n)) => Err(format!("{key:?} must be a string, found a number: write \"{n}\"")),
        Some(other) => Err(format!("{key:?} must be a string, found {}", kind(&other))),
    }
}

/// Longest moment that anyone writes.
const MOMENT: usize = 64;

pub(crate) fn moment(map: &mut Map<String, Value>, key: &str) -> Parsed<Option<Time>> {
    let text = match map.shift_remove(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => {
            return Err(format!(
                "{key:?}: expected seconds as a number or a fraction, found {}",
                kind(&other)
            ));
        }
    };
    if text.len() > MOMENT {
        return Err(format!(
            "{key:?}: expected seconds as a number or a fraction, found {}",
            plain::quoted(&text)
        ));
    }
    text.parse().map(Some).map_err(|message| format!("{key:?}: {message}"))
}

pub(crate) fn strings(map: &mut Map<String, Value>, key: &str) -> Parsed<Vec<String>> {
    let wrong = |found: String| format!("{key:?} must be a string or a list of strings, found {found}");
    match map.shift_remove(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(items)) => items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                other => Err(wrong(format!("a list with {}", kind(&other)))),
            })
            .collect(),
        Some(other) => Err(wrong(kind(&other).into())),
    }
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

//! The manifest: JSON Lines, one record a line, any modality may be missing.
//!
//! ```json
//! {"id": "cat#fr", "text": ["un chat", "le chat"], "image": "cat.png", "audio": "cat_fr.ogg", "label": "cat", "split": "train", "lang": "fr"}
//! ```
//!
//! A `video` may be a part of its file: `"start": 12.5, "end": "1001/24"`, seconds on the container's clock as a number or an exact
//! fraction, the end not in it.
//!
//! Relative paths are relative to the manifest's folder. Keys that this crate does not know are kept in
//! [`Record::extra`], so a manifest may carry more than training needs.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::video::{Span, Time};
use crate::{Error, Result, msrvtt, write_atomic};

/// Longest line accepted, in bytes: a binary file given by mistake fails at once instead of filling memory.
const MAX_LINE: u64 = 16 << 20;

/// One thing to learn from or to search: its texts, picture, sounds, any of which may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// Unique within the manifest.
    pub id: String,
    /// Captions, all of them true of the record; training picks one a draw.
    pub text: Vec<String>,
    /// Picture file.
    pub image: Option<PathBuf>,
    /// Sound files, all of them true of the record; training picks one a draw.
    pub audio: Vec<PathBuf>,
    /// Video file.
    pub video: Option<PathBuf>,
    /// The part of the video file that is meant.
    pub span: Span,
    /// Identity of the thing shown or said: records with one label are positives of each other.
    pub label: Option<String>,
    /// Near-copies share a group; no group crosses a split.
    pub group: Option<String>,
    /// `train`, `val`, `test` or any other name.
    pub split: Option<String>,
    /// Language of the texts and sounds: a BCP 47 tag such as `fr` or `zh-CN`.
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
    fn has_modality(&self) -> bool {
        !self.text.is_empty() || self.image.is_some() || !self.audio.is_empty() || self.video.is_some()
    }
}

/// A manifest in memory, its paths resolved.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// The file it came from.
    pub path: PathBuf,
    /// Records in the file's order.
    pub records: Vec<Record>,
}

impl Manifest {
    /// Reads and checks a manifest, or MSR-VTT's own files ([`msrvtt`]) by their endings `.json` and `.csv`. Media files
    /// are not opened: a missing one is found by whoever decodes it.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Manifest`], with the line, for broken JSON, a missing or repeated
    /// id, a field of the wrong type, a record with no modality, or a file without any record.
    pub fn load(path: &Path) -> Result<Self> {
        if let Some(records) = msrvtt::load(path)? {
            return Ok(Self { path: path.to_path_buf(), records });
        }
        let mut reader =
            BufReader::with_capacity(1 << 20, File::open(path).map_err(Error::io(path, "read"))?);
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut records = Vec::new();
        let mut first_line_of: HashMap<String, usize> = HashMap::new();
        let mut bytes = Vec::new();
        for line in 1.. {
            let bad = |message: String| Error::Manifest { path: path.to_path_buf(), line, message };
            bytes.clear();
            let read = reader.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes);
            if read.map_err(Error::io(path, "read"))? == 0 {
                break;
            }
            if bytes.len() as u64 > MAX_LINE {
                return Err(bad(format!(
                    "the line is longer than {MAX_LINE} bytes: is this a JSON Lines file?"
                )));
            }
            let text = std::str::from_utf8(&bytes).map_err(|_| bad("the line is not UTF-8 text".into()))?;
            // Some editors put a byte-order mark in front of the first line.
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() {
                continue;
            }
            let record = parse(text, folder).map_err(bad)?;
            if let Some(first) = first_line_of.insert(record.id.clone(), line) {
                return Err(bad(format!(
                    "id {:?} was already used on line {first}: ids must be unique",
                    record.id
                )));
            }
            records.push(record);
        }
        if records.is_empty() {
            let message = "expected one JSON record a line, found no record".into();
            return Err(Error::Manifest { path: path.to_path_buf(), line: 1, message });
        }
        Ok(Self { path: path.to_path_buf(), records })
    }

    /// The records of one split, in the file's order.
    pub fn split(&self, name: &str) -> Vec<&Record> {
        self.records.iter().filter(|r| r.split.as_deref() == Some(name)).collect()
    }

    /// How many records each split holds; records without one count under the empty name.
    pub fn splits(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            *counts.entry(record.split.clone().unwrap_or_default()).or_insert(0) += 1;
        }
        counts
    }

    /// Writes a manifest atomically; paths inside its folder are written relative to it, so the folder can be moved.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn write(path: &Path, records: &[Record]) -> Result<()> {
        let absolute = std::path::absolute(path).map_err(Error::io(path, "resolve"))?;
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        write_atomic(path, |out| {
            for record in records {
                serde_json::to_writer(&mut *out, &to_json(record, folder)?)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }
}

/// One line as a record, or what is wrong with it.
fn parse(text: &str, folder: &Path) -> std::result::Result<Record, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| {
        // serde_json counts lines within our one line: only its column is news.
        let message = e.to_string();
        let cause = message.split(" at line ").next().unwrap_or_default();
        format!("not valid JSON: {cause} (column {})", e.column())
    })?;
    let Value::Object(mut map) = value else {
        return Err(format!("a record must be a JSON object, found {}", kind(&value)));
    };
    // `shift_remove` keeps the order of the rest, which `write` gives back.
    let id = string(&mut map, "id")?.ok_or("the record has no \"id\"")?;
    if id.is_empty() {
        return Err("\"id\" is empty".into());
    }
    let resolve = |p: String| folder.join(p);
    let mut record = Record {
        text: strings(&mut map, "text")?,
        image: string(&mut map, "image")?.map(resolve),
        audio: strings(&mut map, "audio")?.into_iter().map(resolve).collect(),
        video: string(&mut map, "video")?.map(resolve),
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
    if !record.has_modality() {
        return Err(format!(
            "record {:?} has no usable modality: expected at least one of \"text\", \"image\", \"audio\", \"video\"",
            record.id
        ));
    }
    record.extra = map;
    Ok(record)
}

fn string(map: &mut Map<String, Value>, key: &str) -> std::result::Result<Option<String>, String> {
    match map.shift_remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("{key:?} must be a string, found {}", kind(&other))),
    }
}

fn moment(map: &mut Map<String, Value>, key: &str) -> std::result::Result<Option<Time>, String> {
    let found = match map.shift_remove(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse(),
        Some(Value::Number(number)) => number.to_string().parse(),
        Some(other) => Err(format!("expected seconds as a number or a fraction, found {}", kind(&other))),
    };
    found.map(Some).map_err(|message| format!("{key:?}: {message}"))
}

fn strings(map: &mut Map<String, Value>, key: &str) -> std::result::Result<Vec<String>, String> {
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Inverse of [`parse`] for a manifest that lies in `folder` (absolute).
fn to_json(record: &Record, folder: &Path) -> std::io::Result<Value> {
    let path = |p: &PathBuf| -> std::io::Result<Value> {
        let full = std::path::absolute(p)?;
        let text = full.strip_prefix(folder).unwrap_or(&full).to_str().ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::InvalidInput,
                format!("path {} is not UTF-8", p.display()),
            )
        })?;
        Ok(Value::from(text))
    };
    // One value is written plainly, several as a list: as people write manifests by hand.
    let list = |mut items: Vec<Value>| match items.len() {
        0 => None,
        1 => items.pop(),
        _ => Some(Value::Array(items)),
    };
    let text = |t: &Option<String>| t.clone().map(Value::from);
    let fields = [
        ("id", Some(Value::from(record.id.as_str()))),
        ("text", list(record.text.iter().map(|t| Value::from(t.as_str())).collect())),
        ("image", record.image.as_ref().map(path).transpose()?),
        ("audio", list(record.audio.iter().map(path).collect::<std::io::Result<_>>()?)),
        ("video", record.video.as_ref().map(path).transpose()?),
        ("start", record.span.start.map(|t| Value::from(t.to_string()))),
        ("end", record.span.end.map(|t| Value::from(t.to_string()))),
        ("label", text(&record.label)),
        ("group", text(&record.group)),
        ("split", text(&record.split)),
        ("lang", text(&record.lang)),
    ];
    let mut map: Map<String, Value> =
        fields.into_iter().filter_map(|(key, value)| value.map(|v| (key.to_owned(), v))).collect();
    map.extend(record.extra.clone());
    Ok(Value::Object(map))
}

#[cfg(test)]
#[path = "tests/manifest.rs"]
mod tests;

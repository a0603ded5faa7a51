//! MSR-VTT (Xu et al. 2016) as it is distributed: `MSRVTT_data.json` and its kin (`videos`, `sentences`), and the table of the test split
//! that text-to-video retrieval is measured on (`MSRVTT_JSFUSION_test.csv`, Yu et al. 2018). Read wherever a manifest is.
//!
//! A video's file is `VIDEO_ID.mp4` (or `.avi`, `.webm`, `.mkv`) in the folder of the JSON or CSV file, or in a folder below it that bears one
//! of MSR-VTT's names. These files are cut out already: `start time` and `end time` are places in the longer videos that they come
//! from, and are kept among a record's other keys.

use crate::manifest::Record;
use crate::{Error, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that is read, in bytes: MSR-VTT's own have 30 MB.
const MOST: u64 = 256 << 20;
const ENDINGS: [&str; 4] = ["mp4", "avi", "webm", "mkv"];
/// Below the file's folder: the name that everyone uses, then the archives' own.
const FOLDERS: [&str; 6] = ["", "videos", "TrainValVideo", "TestVideo", "videos/all", "all"];

/// The records of one of MSR-VTT's files; `None` for any other file.
///
/// # Errors
/// [`Error::Io`]; [`Error::Manifest`] for a file that has MSR-VTT's form and not its contents.
pub fn load(path: &Path) -> Result<Option<Vec<Record>>> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    if ending != "json" && ending != "csv" {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path, "read"))?;
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(Error::io(path, "read"))?;
    let bad = |line: usize, message: String| Error::Manifest { path: path.to_path_buf(), line, message };
    if bytes.len() as u64 > MOST {
        // Lines have no such bound: it may be a manifest of another name.
        return if ending == "csv" {
            Err(bad(1, format!("the file is larger than {MOST} bytes")))
        } else {
            Ok(None)
        };
    }
    let records = if ending == "csv" {
        let text = String::from_utf8(bytes).map_err(|_| bad(1, "the file is not UTF-8 text".into()))?;
        table(text.trim_start_matches('\u{feff}'), &Videos::below(path)).map_err(|(line, m)| bad(line, m))?
    } else {
        // Many values, one a line, are a manifest.
        let Ok(Value::Object(data)) = serde_json::from_slice(&bytes) else { return Ok(None) };
        if !data.contains_key("videos") || !data.contains_key("sentences") {
            return Ok(None);
        }
        data_file(data, &Videos::below(path)).map_err(|m| bad(1, m))?
    };
    if records.is_empty() {
        return Err(bad(1, "expected MSR-VTT's videos, found none".into()));
    }
    Ok(Some(records))
}

/// Video files by their names without ending.
struct Videos {
    folder: PathBuf,
    files: HashMap<String, PathBuf>,
}

impl Videos {
    fn below(path: &Path) -> Self {
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let mut files = HashMap::new();
        for name in FOLDERS {
            let place = if name.is_empty() { folder.clone() } else { folder.join(name) };
            let read = if place.as_os_str().is_empty() { Path::new(".") } else { &place };
            // A folder that is not there holds nothing.
            let mut found: Vec<(usize, String, PathBuf)> = Vec::new();
            for entry in std::fs::read_dir(read).into_iter().flatten().flatten() {
                let file = place.join(entry.file_name());
                let part = |p: Option<&std::ffi::OsStr>| p.and_then(|p| p.to_str()).map(str::to_owned);
                let (Some(stem), Some(ending)) = (part(file.file_stem()), part(file.extension())) else {
                    continue;
                };
                if let Some(rank) = ENDINGS.iter().position(|e| ending.eq_ignore_ascii_case(e)) {
                    found.push((rank, stem, file));
                }
            }
            found.sort();
            for (_, stem, file) in found {
                files.entry(stem).or_insert(file);
            }
        }
        Self { folder, files }
    }

    /// Where a video lies; where it would be looked for if it is missing, so that whoever decodes it says so.
    fn file(&self, id: &str) -> std::result::Result<PathBuf, String> {
        if id.is_empty() || id.contains(['/', '\\', '\0']) || id == ".." {
            return Err(format!("expected the name of a video, found {id:?}"));
        }
        let missing = || self.folder.join("videos").join(format!("{id}.mp4"));
        Ok(self.files.get(id).cloned().unwrap_or_else(missing))
    }
}

fn text(map: &mut Map<String, Value>, key: &str) -> std::result::Result<String, String> {
    match map.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        found => Err(format!("{key:?} must be a string, found {}", found.unwrap_or_default())),
    }
}

fn objects(value: Option<Value>, key: &str) -> std::result::Result<Vec<Map<String, Value>>, String> {
    let Some(Value::Array(items)) = value else { return Err(format!("{key:?} must be a list")) };
    let object = |(i, v)| match v {
        Value::Object(map) => Ok(map),
        _ => Err(format!("{key}[{i}] must be an object")),
    };
    items.into_iter().enumerate().map(object).collect()
}

/// `{"videos": [{"video_id", "split", …}], "sentences": [{"video_id", "caption", "sen_id"}]}`.
fn data_file(mut data: Map<String, Value>, videos: &Videos) -> std::result::Result<Vec<Record>, String> {
    let mut captions: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for (i, mut sentence) in objects(data.shift_remove("sentences"), "sentences")?.into_iter().enumerate() {
        let place = |m: String| format!("sentences[{i}]: {m}");
        let video = text(&mut sentence, "video_id").map_err(place)?;
        let caption = text(&mut sentence, "caption").map_err(place)?;
        let number = sentence.get("sen_id").and_then(Value::as_i64).unwrap_or(i as i64);
        if !caption.trim().is_empty() {
            captions.entry(video).or_default().push((number, caption));
        }
    }
    let mut records = Vec::new();
    let mut seen = HashSet::new();
    for (i, mut video) in objects(data.shift_remove("videos"), "videos")?.into_iter().enumerate() {
        let place = |m: String| format!("videos[{i}]: {m}");
        let name = text(&mut video, "video_id").map_err(place)?;
        let split = text(&mut video, "split").map_err(place)?;
        let file = videos.file(&name).map_err(place)?;
        if !seen.insert(name.clone()) {
            return Err(place(format!("video_id {name:?} was already used: ids must be unique")));
        }
        let mut said = captions.remove(&name).unwrap_or_default();
        // In the order of their numbers: the first is what a record is named by.
        said.sort_by_key(|(number, _)| *number);
        // Its own `id` is a number of no use here, and the key of a record's name.
        video.shift_remove("id");
        records.push(Record {
            id: name,
            text: said.into_iter().map(|(_, caption)| caption).collect(),
            video: Some(file),
            split: Some(split),
            extra: video,
            ..Record::default()
        });
    }
    if let Some(unknown) = captions.keys().next() {
        return Err(format!("a sentence is of {unknown:?}, which is not among the videos"));
    }
    Ok(records)
}

/// `key,vid_key,video_id,sentence`: one caption a video.
fn table(content: &str, videos: &Videos) -> std::result::Result<Vec<Record>, (usize, String)> {
    let rows = rows(content)?;
    let Some(((_, header), rows)) = rows.split_first() else { return Ok(Vec::new()) };
    let column = |name: &str| {
        let at = header.iter().position(|h| h.trim() == name);
        at.ok_or_else(|| {
            (1, format!("expected the columns key, vid_key, video_id, sentence; found {}", header.join(", ")))
        })
    };
    let (key, video, sentence) = (column("key")?, column("video_id")?, column("sentence")?);
    let mut seen = HashSet::new();
    let mut records = Vec::with_capacity(rows.len());
    for (line, row) in rows {
        if row.len() != header.len() {
            return Err((*line, format!("expected {} columns, found {}", header.len(), row.len())));
        }
        let (id, name) = (row[key].trim(), row[video].trim());
        if id.is_empty() || !seen.insert(id) {
            return Err((*line, format!("key {id:?} is empty or was already used: keys must be unique")));
        }
        records.push(Record {
            id: id.to_owned(),
            text: Some(row[sentence].clone()).filter(|s| !s.trim().is_empty()).into_iter().collect(),
            video: Some(videos.file(name).map_err(|m| (*line, m))?),
            // Rows of one video are right answers for each other.
            label: Some(name.to_owned()),
            split: Some("test".into()),
            ..Record::default()
        });
    }
    Ok(records)
}

type Row = (usize, Vec<String>);

/// Comma-separated values with quotes (RFC 4180), each row with the line that it begins on.
fn rows(content: &str) -> std::result::Result<Vec<Row>, (usize, String)> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut line, mut begun, mut quoted) = (1, 1, false);
    let mut chars = content.chars().peekable();
    while let Some(c) = chars.next() {
        line += usize::from(c == '\n');
        match (quoted, c) {
            (true, '"') if chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            (true, '"') => quoted = false,
            (true, c) => field.push(c),
            (false, '"') if field.is_empty() => quoted = true,
            (false, ',') => row.push(std::mem::take(&mut field)),
            (false, '\r') if chars.peek() == Some(&'\n') => {}
            (false, '\n') => {
                row.push(std::mem::take(&mut field));
                if row.iter().any(|f| !f.trim().is_empty()) {
                    rows.push((begun, std::mem::take(&mut row)));
                }
                row.clear();
                begun = line;
            }
            (false, c) => field.push(c),
        }
    }
    if quoted {
        return Err((begun, "a quoted field has no end".into()));
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push((begun, row));
    }
    Ok(rows)
}

#[cfg(test)]
#[path = "tests/msrvtt.rs"]
mod tests;

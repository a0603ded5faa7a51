//! MSR-VTT (Xu et al. 2016) as it is distributed: `MSRVTT_data.json` and its kin (`videos`, `sentences`), and the table of the test split
//! that text-to-video retrieval is measured on (`MSRVTT_JSFUSION_test.csv`, Yu et al. 2018). A source of its own kind.
//!
//! A video's file is `VIDEO_ID.mp4` (or `.avi`, `.webm`, `.mkv`) in the folder of the JSON or CSV file (or another that is named for them), or in a folder below
//! it that bears one of MSR-VTT's names. These files are cut out already: `start time` and `end time` are places in the longer videos that they come
//! from, and are kept among a record's other keys.

use crate::manifest::line::kind;
use crate::plain::{quoted, utf8};
use crate::table::{Dialect, Row, whole};
use crate::{Error, Record, Result};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use unisono_files::Budget;

/// MSR-VTT's own files have 30 MB and a million values.
const BUDGET: Budget = Budget { bytes: 256 << 20, values: 1 << 22, depth: 64 };
const ENDINGS: [&str; 4] = ["mp4", "avi", "webm", "mkv"];
/// Below the file's folder: the name that everyone uses, then the archives' own.
const FOLDERS: [&str; 6] = ["", "videos", "TrainValVideo", "TestVideo", "videos/all", "all"];

/// What a message lists as its files.
const FILES: &str = "MSRVTT_data.json (videos and sentences) or MSRVTT_JSFUSION_test.csv";

/// The records of one of MSR-VTT's files, whose videos lie in `media` or beside it.
///
/// # Errors
/// [`Error::Files`]; [`Error::Manifest`] for a file that has MSR-VTT's form and not its contents; [`Error::Archive`] for another file.
pub fn load(path: &Path, media: Option<&Path>) -> Result<Vec<Record>> {
    let bad = |line: usize, message: String| Error::Manifest { path: path.to_path_buf(), line, message };
    let other = |found: &str| {
        Error::archive(path, format!("expected one of MSR-VTT's files, {FILES}, found {found}"))
    };
    let videos = Videos::below(media.or(path.parent()).unwrap_or(Path::new("")));
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let records = match ending.as_str() {
        "csv" => {
            let rows = whole(path, Dialect::COMMAS, &BUDGET)?;
            table(&rows, &videos).map_err(|(line, m)| bad(line, m))?
        }
        "json" => {
            let bytes = unisono_files::read(path, &BUDGET)?;
            let text = utf8(&bytes).map_err(|m| bad(1, m))?;
            BUDGET.json(path, text.as_bytes())?;
            let data: Map<String, Value> = serde_json::from_str(text).map_err(|_| other("no JSON object"))?;
            if !data.contains_key("videos") || !data.contains_key("sentences") {
                return Err(other("JSON without these keys"));
            }
            data_file(data, &videos).map_err(|m| bad(1, m))?
        }
        _ => return Err(other("a file of another ending")),
    };
    match records.is_empty() {
        true => Err(bad(1, "expected MSR-VTT's videos, found none".into())),
        false => Ok(records),
    }
}

/// Whether a path is one of MSR-VTT's files: by its name, or by the head of what it holds.
pub(crate) fn is_msrvtt(path: &Path) -> bool {
    const HEAD: u64 = 4 << 10;
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if ["MSRVTT_data.json", "train_val_videodatainfo.json", "test_videodatainfo.json"].contains(&name) {
        return true;
    }
    let (json, csv) = (name.ends_with(".json"), name.ends_with(".csv"));
    let mut head = Vec::new();
    if !(json || csv) || !unisono_files::open(path).is_ok_and(|f| f.take(HEAD).read_to_end(&mut head).is_ok())
    {
        return false;
    }
    let has = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|w| w == word.as_bytes());
    if csv {
        let row = head.split(|b| *b == b'\n').next().unwrap_or_default();
        return ["vid_key", "video_id", "sentence"].iter().all(|column| has(row, column));
    }
    // A line of a manifest may hold anything, but begins with none of its lists.
    let lists = has(&head, "\"videos\"") || has(&head, "\"sentences\"");
    lists && has(&head, "\"video_id\"") && (has(&head, "\"start time\"") || has(&head, "\"sen_id\""))
}

/// Video files by their names without ending.
struct Videos {
    folder: PathBuf,
    files: HashMap<String, PathBuf>,
}

impl Videos {
    fn below(folder: &Path) -> Self {
        let folder = folder.to_path_buf();
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
            return Err(format!("expected the name of a video, found {}", quoted(id)));
        }
        let missing = || self.folder.join("videos").join(format!("{id}.mp4"));
        Ok(self.files.get(id).cloned().unwrap_or_else(missing))
    }
}

fn text(map: &mut Map<String, Value>, key: &str) -> std::result::Result<String, String> {
    match map.shift_remove(key) {
        Some(Value::String(text)) => Ok(text),
        // A number is short; anything else may be of any length.
        Some(Value::Number(n)) => Err(format!("{key:?} must be a string, found {n}")),
        found => Err(format!("{key:?} must be a string, found {}", kind(&found.unwrap_or_default()))),
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
            return Err(place(format!("video_id {} was already used: ids must be unique", quoted(&name))));
        }
        let mut said = captions.remove(&name).unwrap_or_default();
        // In the order of their numbers: the first is what a record is named by.
        said.sort_by_key(|(number, _)| *number);
        // Its own `id` is a number of no use here, and the key of a record's name.
        video.shift_remove("id");
        records.push(Record {
            id: name,
            text: said.into_iter().map(|(_, caption)| caption).collect(),
            video: Some(file.into()),
            split: Some(split),
            extra: video,
            ..Record::default()
        });
    }
    if let Some(unknown) = captions.keys().next() {
        return Err(format!("a sentence is of {}, which is not among the videos", quoted(unknown)));
    }
    Ok(records)
}

const COLUMNS: &str = "key, vid_key, video_id, sentence";

/// `key,vid_key,video_id,sentence`: one caption a video.
fn table(rows: &[Row], videos: &Videos) -> std::result::Result<Vec<Record>, (usize, String)> {
    let Some(((line, header), rows)) = rows.split_first() else { return Ok(Vec::new()) };
    let column = |name: &str| header.iter().position(|h| h.trim() == name);
    let (Some(key), Some(video), Some(sentence)) = (column("key"), column("video_id"), column("sentence"))
    else {
        let missing = ["key", "video_id", "sentence"].into_iter().filter(|name| column(name).is_none());
        let found: Vec<String> = header.iter().take(8).map(|h| quoted(h.trim())).collect();
        return Err((
            *line,
            format!(
                "expected the columns {COLUMNS} of MSR-VTT's test table; {} missing; found {}",
                missing.collect::<Vec<_>>().join(", "),
                found.join(", ")
            ),
        ));
    };
    let mut seen = HashSet::new();
    let mut records = Vec::with_capacity(rows.len());
    for (line, row) in rows {
        if row.len() != header.len() {
            return Err((*line, format!("expected {} columns, found {}", header.len(), row.len())));
        }
        let (id, name) = (row[key].trim(), row[video].trim());
        if id.is_empty() || !seen.insert(id) {
            let id = quoted(id);
            return Err((*line, format!("key {id} is empty or was already used: keys must be unique")));
        }
        records.push(Record {
            id: id.to_owned(),
            text: Some(row[sentence].clone()).filter(|s| !s.trim().is_empty()).into_iter().collect(),
            video: Some(videos.file(name).map_err(|m| (*line, m))?.into()),
            // Rows of one video are right answers for each other.
            label: Some(name.to_owned()),
            split: Some("test".into()),
            ..Record::default()
        });
    }
    Ok(records)
}

#[cfg(test)]
#[path = "tests/msrvtt.rs"]
mod tests;

//! JSON, which says everything and is read back.

use super::forms::path;
use crate::record::{Event, Scene, Shot, VideoRecord, VideoScenes};
use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// The version of these files' form; higher when a reader of the old one would be wrong.
pub const VERSION: u32 = 1;

/// A line of `scenes.jsonl`, `shots.jsonl` or `events.jsonl`: what it is about, and of which video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line<T> {
    /// The video's file, as it can be shown.
    video: String,
    /// Its bytes, where that is not all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    video_hex: Option<String>,
    /// The scene, shot or event.
    #[serde(flatten)]
    pub item: T,
}

impl<T> Line<T> {
    /// A line about `video`.
    pub fn new(video: &Path, item: T) -> Self {
        Self { video: video.to_string_lossy().into_owned(), video_hex: path::hex(video), item }
    }

    /// The video's file.
    ///
    /// # Errors
    /// What is wrong with the hexadecimal bytes.
    pub fn video(&self) -> std::result::Result<PathBuf, String> {
        path::of(self.video.clone(), self.video_hex.as_deref())
    }
}

/// `video.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoFile {
    /// [`VERSION`].
    pub version: u32,
    /// The video.
    #[serde(flatten)]
    pub video: VideoRecord,
    /// Lines of `scenes.jsonl`.
    pub scenes: usize,
    /// Lines of `shots.jsonl`.
    pub shots: usize,
    /// Lines of `events.jsonl`.
    pub events: usize,
    /// The settings that it was made with, as the caller writes them.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub settings: Value,
}

pub(crate) fn video(of: &VideoScenes, settings: &Value, out: &mut dyn Write) -> std::io::Result<()> {
    let file = VideoFile {
        version: VERSION,
        video: of.video.clone(),
        scenes: of.scenes.len(),
        shots: of.shots.len(),
        events: of.events.len(),
        settings: settings.clone(),
    };
    serde_json::to_writer_pretty(&mut *out, &file)?;
    out.write_all(b"\n")
}

pub(crate) fn lines<T: Serialize>(video: &Path, items: &[T], out: &mut dyn Write) -> std::io::Result<()> {
    for item in items {
        serde_json::to_writer(&mut *out, &Line::new(video, item))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads a folder's `video.json`, `scenes.jsonl`, `shots.jsonl` and `events.jsonl` back, exactly as they were written. The scores are
/// not among them.
///
/// # Errors
/// [`Error::Io`]; [`Error::Format`] with the file and line.
pub fn read(dir: &Path) -> Result<VideoScenes> {
    let path = dir.join("video.json");
    let text = std::fs::read(&path).map_err(Error::io(&path, "read"))?;
    let file: VideoFile = serde_json::from_slice(&text).map_err(|e| Error::format(&path, e.to_string()))?;
    if file.version > VERSION {
        let message =
            format!("expected version {VERSION} or older, found {}; a newer unisono reads it", file.version);
        return Err(Error::format(&path, message));
    }
    let found = VideoScenes {
        scenes: read_lines::<Scene>(&dir.join("scenes.jsonl"), &file.video.path)?,
        shots: read_lines::<Shot>(&dir.join("shots.jsonl"), &file.video.path)?,
        events: read_lines::<Event>(&dir.join("events.jsonl"), &file.video.path)?,
        video: file.video,
        scores: Default::default(),
    };
    for (what, lines, said) in [
        ("scenes.jsonl", found.scenes.len(), file.scenes),
        ("shots.jsonl", found.shots.len(), file.shots),
        ("events.jsonl", found.events.len(), file.events),
    ] {
        if lines != said {
            let message =
                format!("expected {said} lines, as video.json says, found {lines}; write the folder again");
            return Err(Error::format(&dir.join(what), message));
        }
    }
    Ok(found)
}

fn read_lines<T: DeserializeOwned>(path: &Path, video: &Path) -> Result<Vec<T>> {
    let file = std::fs::File::open(path).map_err(Error::io(path, "read"))?;
    let mut out = Vec::new();
    for (at, text) in std::io::BufReader::new(file).lines().enumerate() {
        let text = text.map_err(Error::io(path, "read"))?;
        let wrong = |message: String| Error::format(path, format!("line {}: {message}", at + 1));
        let line: Line<T> = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if line.video().map_err(wrong)? != video {
            return Err(wrong(format!("expected the video {}, found {}", video.display(), line.video)));
        }
        out.push(line.item);
    }
    Ok(out)
}

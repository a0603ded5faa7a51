//! Files about scenes, for people and for other programs. `docs/scenes-files.md` describes each.
//!
//! ```text
//! VideoScenes -> all -> video.json, *.jsonl (exact, read back by `read`)
//!                    -> *.csv, scores.csv   (spreadsheets)
//!                    -> *.edl, *.otio       (editing programs)
//!                    -> chapters.ffmeta     (FFmpeg)
//!                    -> report.html         (people)
//! ```

mod chapters;
mod clip;
mod csv;
mod edits;
mod edl;
pub(crate) mod exact;
pub(crate) mod forms;
mod json;
mod otio;
pub(crate) mod text;
mod timecode;

pub use chapters::chapters;
pub use clip::{Cut, clip, clip_name, uncuttable};
pub use edits::Unit;
pub use edl::edl;
pub use json::{Line, VERSION, VideoFile, read};
pub use otio::otio;

use crate::record::VideoScenes;
use crate::{Error, Result, report};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use unisono_files::write_atomic;
use unisono_media::video::Time;

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// `video.json`, `scenes.jsonl`, `shots.jsonl`, `events.jsonl`.
    Json,
    /// `scenes.csv`, `shots.csv`.
    Csv,
    /// `scores.csv`, where there are scores.
    Scores,
    /// `scenes.edl`, `shots.edl`.
    Edl,
    /// `scenes.otio`, `shots.otio`.
    Otio,
    /// `chapters.ffmeta`.
    Chapters,
    /// `report.html`.
    Report,
}

/// Names of all files that are ever written of a video.
pub const FILES: [&str; 13] = [
    "video.json",
    "scenes.jsonl",
    "shots.jsonl",
    "events.jsonl",
    "scenes.csv",
    "shots.csv",
    "scores.csv",
    "scenes.edl",
    "shots.edl",
    "scenes.otio",
    "shots.otio",
    "chapters.ffmeta",
    "report.html",
];

impl Output {
    /// All, in the order in which they are written.
    pub const ALL: [Self; 7] =
        [Self::Json, Self::Csv, Self::Scores, Self::Edl, Self::Otio, Self::Chapters, Self::Report];
}

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Kinds of files.
    pub outputs: Vec<Output>,
    /// Settings to keep in `video.json`; null: none.
    pub settings: serde_json::Value,
    /// Where the file's clock starts, if that is not at its first frame (audio that begins earlier): chapters count from it.
    pub origin: Option<Time>,
    /// The page.
    pub report: report::Options,
}

impl Default for Options {
    /// All of them.
    fn default() -> Self {
        Self {
            outputs: Output::ALL.to_vec(),
            settings: serde_json::Value::Null,
            origin: None,
            report: report::Options::default(),
        }
    }
}

/// Writes every chosen output into `dir`, which is made if need be; each file is whole or not there. Thumbnails for the page are read from
/// `dir`. Returns the files, in the order of [`Output::ALL`].
///
/// # Errors
/// The folder cannot be made or a file cannot be written; those before it stay.
pub fn all(dir: &Path, of: &VideoScenes, options: &Options) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir).map_err(Error::io(dir, "make the folder"))?;
    let mut files = Vec::new();
    let mut file =
        |name: &str, write: &dyn Fn(&mut dyn std::io::Write) -> std::io::Result<()>| -> Result<()> {
            let path = dir.join(name);
            write_atomic(&path, write)?;
            files.push(path);
            Ok(())
        };
    let path = of.video.path.as_path();
    for output in Output::ALL.into_iter().filter(|o| options.outputs.contains(o)) {
        match output {
            Output::Json => {
                file("scenes.jsonl", &|out| json::lines(path, &of.scenes, out))?;
                file("shots.jsonl", &|out| json::lines(path, &of.shots, out))?;
                file("events.jsonl", &|out| json::lines(path, &of.events, out))?;
                // Last: it counts the lines of the others.
                file("video.json", &|out| json::video(of, &options.settings, out))?;
            }
            Output::Csv => {
                file("scenes.csv", &|out| csv::scenes(of, out))?;
                file("shots.csv", &|out| csv::shots(of, out))?;
            }
            Output::Scores if of.scores.names.is_empty() => {}
            Output::Scores => file("scores.csv", &|out| csv::scores(&of.scores, of.video.start.frame, out))?,
            Output::Edl => {
                file("scenes.edl", &|out| out.write_all(edl(of, Unit::Scenes).as_bytes()))?;
                file("shots.edl", &|out| out.write_all(edl(of, Unit::Shots).as_bytes()))?;
            }
            Output::Otio => {
                file("scenes.otio", &|out| out.write_all(otio(of, Unit::Scenes).as_bytes()))?;
                file("shots.otio", &|out| out.write_all(otio(of, Unit::Shots).as_bytes()))?;
            }
            Output::Chapters => {
                file("chapters.ffmeta", &|out| out.write_all(chapters(of, options.origin).as_bytes()))?;
            }
            Output::Report => {
                let page = report::render(of, dir, &options.report);
                file("report.html", &|out| out.write_all(page.as_bytes()))?;
            }
        }
    }
    Ok(files)
}

//! AudioCaps (Kim et al. 2019) and its second edition (2025), <https://audiocaps.github.io>: `train.csv`, `val.csv`, `test.csv` of
//! <https://github.com/cdjkim/audiocaps> (`dataset` or `dataset2.0`), with the columns `audiocap_id`, `youtube_id`, `start_time`, `caption`.
//!
//! Clips last 10 seconds. Rows of one clip are one record with all their captions, under the id `SPLIT/YOUTUBE-ID_START`. The audio is not published
//! with them: it is looked for by name below the data set's folder ([`super::clips`], or by `audiocap_id`); clips that were not fetched are passed over and counted. The
//! repository is under the MIT licence, the audio under terms of whoever put it on YouTube.

use super::files::{Published, name};
use super::media::Fetched;
use super::packed::Packing;
use super::{clips, csv};
use crate::fields::Role;
use crate::{Error, Record, Result, Source};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PUBLISHED: Published = Published {
    set: "AudioCaps",
    names: "train.csv, val.csv, test.csv",
    folders: &["", "dataset", "dataset2.0"],
    is: |name| matches!(name, "train.csv" | "val.csv" | "test.csv"),
    head: &["audiocap_id", "youtube_id"],
};

const COLUMNS: [&str; 4] = ["audiocap_id", "youtube_id", "start_time", "caption"];
/// Seconds that a clip lasts.
const LENGTH: f64 = 10.0;

/// A clip: where it begins in its video, the numbers of its captions, and these.
struct Clip {
    line: usize,
    id: String,
    start: f64,
    numbers: Vec<String>,
    captions: Vec<String>,
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let files = PUBLISHED.find(paths)?;
    let first = files.first().cloned().unwrap_or_default();
    let root = media.map_or_else(|| PUBLISHED.root(&first), Path::to_path_buf);
    let mut sets = Vec::new();
    for path in &files {
        sets.push((path, clips_of(path)?));
    }
    let fetched = Fetched::below(&root, Role::Audio)?;
    let mut packing = Packing::new(&first, &root)?;
    let (mut count, mut missing) = (0_usize, 0_usize);
    for (path, set) in sets {
        let split = name(path).trim_end_matches(".csv");
        for clip in set {
            count += 1;
            let file = clips::find(&fetched, &clip.id, clip.start, clip.start + LENGTH);
            let Some(file) = file.or_else(|| fetched.find(&clip.numbers)) else {
                missing += 1;
                continue;
            };
            let record = Record {
                id: format!("{split}/{}_{}", clip.id, clip.start),
                text: clip.captions,
                audio: vec![file.into()],
                split: Some(split.into()),
                ..Record::default()
            };
            let bad = |message| Error::Manifest { path: path.clone(), line: clip.line, message };
            packing.push(&record).map_err(bad)?;
        }
    }
    if missing > 0 {
        let (path, root) = (first.display(), fetched.root().display());
        packing.note(format!(
            "{path}: {missing} of {count} clips passed over: no audio file of theirs in {root}"
        ));
    }
    packing.source(&format!(
        "expected audio files of its clips (YOUTUBE-ID.wav, YYOUTUBE-ID.wav, YOUTUBE-ID_START.wav and the like) in {}, found none: name their folder by media",
        fetched.root().display()
    ))
}

/// The clips of a file, in the order in which they come first.
fn clips_of(path: &Path) -> Result<Vec<Clip>> {
    let mut clips: Vec<Clip> = Vec::new();
    let mut places: HashMap<(String, u64), usize> = HashMap::new();
    for (line, row) in csv::read(path, PUBLISHED.set, &COLUMNS)? {
        let bad = |message| Error::Manifest { path: path.into(), line, message };
        let [number, id, start, caption] = &row[..] else { continue };
        let id = clips::id(id).map_err(bad)?;
        let start = clips::seconds("start_time", start).map_err(bad)?;
        let place = *places.entry((id.to_owned(), start.to_bits())).or_insert(clips.len());
        if place == clips.len() {
            clips.push(Clip { line, id: id.into(), start, numbers: Vec::new(), captions: Vec::new() });
        }
        clips[place].numbers.push(number.clone());
        clips[place].captions.push(caption.clone());
    }
    Ok(clips)
}

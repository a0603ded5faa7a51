//! MSVD, the Microsoft Research Video Description Corpus (Chen and Dolan 2011), <https://www.cs.utexas.edu/users/ml/clamp/videoDescription/>:
//! `AllVideoDescriptions.txt`, the English descriptions, a line each behind the name of their clip (lines that begin with `#` are remarks):
//!
//! ```text
//! -4wsuPCjDBc_5_15 a squirrel is eating a peanut in it's shell
//! ```
//!
//! Clips are cut out already: `-4wsuPCjDBc_5_15.avi` in `YouTubeClips`, as `YouTubeClips.tar` unpacks, or anywhere below the data set's folder. The usual splits
//! (Venugopalan et al. 2015: 1,200, 100 and 670 clips) are `train_list.txt`, `val_list.txt`, `test_list.txt` beside the file, a clip's name a line; without
//! them records have no split. A clip is a record with all its descriptions. The page names no licence.

use super::files::Published;
use super::media::{Fetched, within};
use super::packed::Packing;
use crate::fields::Role;
use crate::plain::{quoted, utf8};
use crate::{Error, Record, Result, Source};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use unisono_files::Budget;

pub(super) const PUBLISHED: Published = Published {
    set: "MSVD",
    names: "AllVideoDescriptions.txt, with train_list.txt, val_list.txt, test_list.txt beside it where there are splits",
    folders: &[""],
    is: |name| name == "AllVideoDescriptions.txt",
    head: &[],
};

/// The descriptions have 5 MB.
const BUDGET: Budget = Budget { bytes: 128 << 20, values: 1 << 22, depth: 1 };
const SPLITS: [&str; 3] = ["train", "val", "test"];

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let path = PUBLISHED.one(paths)?;
    let bad = |line: usize, message: String| Error::Manifest { path: path.clone(), line, message };
    let mut clips: Vec<(String, Vec<String>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (line, text) in lines(&path)? {
        let Some((clip, description)) = text.split_once(char::is_whitespace) else {
            let found = quoted(&text);
            return Err(bad(
                line,
                format!("expected a clip's name and a description behind it, found {found}"),
            ));
        };
        let name = within(clip).ok().filter(|name| !name.contains('/'));
        let name =
            name.ok_or_else(|| bad(line, format!("expected the name of a clip, found {}", quoted(clip))))?;
        let place = *places.entry(name.to_owned()).or_insert(clips.len());
        if place == clips.len() {
            clips.push((name.to_owned(), Vec::new()));
        }
        clips[place].1.push(description.trim().to_owned());
    }
    let splits = splits(&path, &places)?;
    let root = media.map_or_else(|| PUBLISHED.root(&path), Path::to_path_buf);
    let fetched = Fetched::below(&root, Role::Video)?;
    let mut packing = Packing::new(&path, &root)?;
    for (clip, text) in clips {
        // Where it is published to lie, so that whoever opens it says that it is not there.
        let missing = || root.join("YouTubeClips").join(format!("{clip}.avi"));
        let record = Record {
            video: Some(fetched.find([&clip]).unwrap_or_else(missing).into()),
            split: splits.get(&clip).map(|split| (*split).to_owned()),
            text,
            id: clip,
            ..Record::default()
        };
        packing.push(&record).map_err(|m| Error::archive(&path, m))?;
    }
    packing.source("expected descriptions of clips, found none")
}

/// The lines that say something, with their numbers.
fn lines(path: &Path) -> Result<Vec<(usize, String)>> {
    let bytes = unisono_files::read(path, &BUDGET)?;
    let text = utf8(&bytes).map_err(|message| Error::archive(path, message))?;
    let mut left = BUDGET.of(path);
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        left.values(1)?;
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            lines.push((i + 1, line.to_owned()));
        }
    }
    Ok(lines)
}

/// The split of each clip that a list beside the descriptions names.
fn splits(path: &Path, clips: &HashMap<String, usize>) -> Result<HashMap<String, &'static str>> {
    let mut splits = HashMap::new();
    for split in SPLITS {
        let list = path.with_file_name(format!("{split}_list.txt"));
        if !list.exists() {
            continue;
        }
        for (line, clip) in lines(&list)? {
            let bad = |message: String| Error::Manifest { path: list.clone(), line, message };
            if !clips.contains_key(&clip) {
                let (clip, file) = (quoted(&clip), path.display());
                return Err(bad(format!("expected the name of a clip that {file} describes, found {clip}")));
            }
            if let Some(other) = splits.insert(clip.clone(), split).filter(|other| *other != split) {
                return Err(bad(format!("{} is of the split {other}, too", quoted(&clip))));
            }
        }
    }
    Ok(splits)
}

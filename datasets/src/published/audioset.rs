//! AudioSet (Gemmeke et al. 2017), <https://research.google.com/audioset/download.html>: `balanced_train_segments.csv`,
//! `unbalanced_train_segments.csv`, `eval_segments.csv`, with `class_labels_indices.csv` (`index`, `mid`, `display_name`) beside them:
//!
//! ```text
//! # YTID, start_seconds, end_seconds, positive_labels
//! --PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
//! ```
//!
//! A segment has the names of its classes as captions ("Speech", "Gush"), and in `extra` their `mids` and the seconds; it has no label, since it may be of several classes.
//! Both train files are the split `train`, the other is `test`; ids are `balanced_train/--PJHxphWEs` and the like. The audio is not published: it is looked for
//! by name below the data set's folder ([`super::clips`]); segments that were not fetched are passed over. Rows are read by position. Licence of the lists: CC BY 4.0.

use super::clips;
use super::csv;
use super::files::{Published, name};
use super::media::Fetched;
use super::noted::Noted;
use crate::fields::Role;
use crate::folder::Joined;
use crate::lines::{Form, Lined};
use crate::plain::{quoted, utf8};
use crate::table::Dialect;
use crate::{Error, Record, Result, Source};
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PUBLISHED: Published = Published {
    set: "AudioSet",
    names: "balanced_train_segments.csv, unbalanced_train_segments.csv, eval_segments.csv, with class_labels_indices.csv beside them",
    folders: &["", "metadata", "csv"],
    is: |name| subset(name).is_some(),
    head: &["YTID", "positive_labels"],
};

const CLASSES: &str = "class_labels_indices.csv";
const DIALECT: Dialect = Dialect { blanks: true, ..Dialect::COMMAS };
/// Longest remarks before the first row.
const HEAD: u64 = 64 << 10;

/// The published name and the split of a file.
fn subset(name: &str) -> Option<(&'static str, &'static str)> {
    let subsets = [("balanced_train", "train"), ("unbalanced_train", "train"), ("eval", "test")];
    let subset = name.strip_suffix("_segments.csv")?;
    subsets.into_iter().find(|(name, _)| *name == subset)
}

pub(super) fn open(paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    let files = PUBLISHED.find(paths)?;
    let first = files.first().cloned().unwrap_or_default();
    let root = media.map_or_else(|| PUBLISHED.root(&first), Path::to_path_buf);
    let classes = Arc::new(classes(&first)?);
    let heads = files.iter().map(|path| head(path)).collect::<Result<Vec<_>>>()?;
    let fetched = Arc::new(Fetched::below(&root, Role::Audio)?);
    let sum = fetched.sum();
    let mut parts: Vec<Arc<dyn Source>> = Vec::new();
    for (path, head) in files.iter().zip(heads) {
        let Some((subset, split)) = subset(name(path)) else { continue };
        let (classes, fetched) = (classes.clone(), fetched.clone());
        let form = Segments { subset, split, classes, fetched, head, sum: sum.clone() };
        let lined = Lined::open(path, form)?;
        let (path, root) = (path.display(), root.display());
        let note = format!(
            "{path}: {} segments have their audio file in {root}; others are passed over",
            lined.len()
        );
        parts.push(Arc::new(Noted::new(lined, note)));
    }
    Ok(Joined::of(&first, parts))
}

/// The classes' names, by their mids.
fn classes(segments: &Path) -> Result<HashMap<String, String>> {
    let beside = segments.with_file_name(CLASSES);
    let above = PUBLISHED.root(segments).join(CLASSES);
    let Some(path) = [beside, above].into_iter().find(|path| path.exists()) else {
        return Err(Error::archive(segments, format!("expected {CLASSES} beside it, found none")));
    };
    let mut classes = HashMap::new();
    for (line, row) in csv::read(&path, "AudioSet's classes", &["mid", "display_name"])? {
        let [mid, name] = &row[..] else { continue };
        if mid.is_empty() || name.is_empty() || classes.insert(mid.clone(), name.clone()).is_some() {
            let message = format!("mid {} is empty, has no name or stands twice", quoted(mid));
            return Err(Error::Manifest { path, line, message });
        }
    }
    Ok(classes)
}

/// The bytes and lines of the remarks before the first row.
fn head(path: &Path) -> Result<(usize, u64)> {
    let mut bytes = Vec::new();
    unisono_files::open(path)?.take(HEAD).read_to_end(&mut bytes).map_err(Error::io(path, "read"))?;
    let (mut length, mut lines, mut columns) = (0, 0, false);
    for line in bytes.split_inclusive(|b| *b == b'\n').take_while(|line| line.starts_with(b"#")) {
        length += line.len();
        lines += 1;
        columns |= line.windows(4).any(|word| word == b"YTID");
    }
    match columns {
        true => Ok((length, lines)),
        false => {
            let message = "expected AudioSet's remarks, the last \"# YTID, start_seconds, end_seconds, positive_labels\", found none";
            Err(Error::Manifest { path: path.into(), line: 1, message: message.into() })
        }
    }
}

/// The rows of a file.
#[derive(Debug)]
struct Segments {
    subset: &'static str,
    split: &'static str,
    classes: Arc<HashMap<String, String>>,
    fetched: Arc<Fetched>,
    head: (usize, u64),
    /// Over what was fetched: with more of it there are more records.
    sum: String,
}

impl Form for Segments {
    fn identity(&self) -> String {
        format!("audioset 1 {} {}", self.subset, self.sum)
    }

    fn head(&self) -> (usize, u64) {
        self.head
    }

    fn end(&self, bytes: &[u8], last: bool) -> std::result::Result<Option<usize>, String> {
        DIALECT.end(bytes, last)
    }

    fn record(&self, bytes: &[u8], _: u64) -> std::result::Result<Option<Record>, String> {
        let fields = DIALECT.fields(utf8(bytes)?)?;
        let [id, start, end, labels] = &fields[..] else {
            return match fields.iter().all(|field| field.trim().is_empty()) {
                true => Ok(None),
                false => Err(format!("expected 4 columns, found {}", fields.len())),
            };
        };
        let id = clips::id(id.trim())?;
        let (start, end) = (clips::seconds("start_seconds", start)?, clips::seconds("end_seconds", end)?);
        let mids: Vec<&str> = labels.split(',').map(str::trim).collect();
        let class = |mid: &&str| {
            let name = self.classes.get(*mid).cloned();
            name.ok_or_else(|| {
                format!("positive_labels: expected classes of {CLASSES}, found {}", quoted(mid))
            })
        };
        let text = mids.iter().map(class).collect::<std::result::Result<_, _>>()?;
        let Some(file) = clips::find(&self.fetched, id, start, end) else { return Ok(None) };
        let extra: [(&str, Value); 3] =
            [("mids", mids.into()), ("start_seconds", start.into()), ("end_seconds", end.into())];
        Ok(Some(Record {
            id: format!("{}/{id}", self.subset),
            text,
            audio: vec![file.into()],
            split: Some(self.split.into()),
            extra: extra.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            ..Record::default()
        }))
    }

    fn none(&self) -> String {
        let root = self.fetched.root().display();
        format!(
            "expected audio files of its segments (YTID.wav, YYTID.wav, YTID_30_40.wav and the like) in {root}, found none: name their folder by media"
        )
    }
}

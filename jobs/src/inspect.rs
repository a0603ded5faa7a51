//! What a manifest holds, and what is wrong with it.

use crate::item::Skip;
use crate::ordered::ordered;
use crate::{Error, Flow, Progress, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use unisono_datasets::sample::verify_groups;
use unisono_datasets::{ImageOptions, Manifest, MediaLimits, Record, decode};

/// Counts of one split, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records.
    pub records: usize,
    /// Distinct labels (ids where there is none).
    pub labels: usize,
    /// Texts.
    pub text: usize,
    /// Pictures, a file that several records name counted once.
    pub image: usize,
    /// Sounds, counted so too.
    pub audio: usize,
    /// Videos, counted so too.
    pub video: usize,
}

/// A manifest, looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// All records.
    pub total: Counts,
    /// By split; records without one under the empty name.
    pub splits: BTreeMap<String, Counts>,
    /// Records by language; records without one under the empty name.
    pub languages: BTreeMap<String, usize>,
    /// Files that are missing or, where all were opened, broken.
    pub problems: Vec<Skip>,
    /// Groups of near-copies that stand in two splits, with those: what was learned would be tested.
    pub crossing_groups: Vec<(String, String, String)>,
    /// Whether every file was opened and decoded.
    pub files_opened: bool,
}

/// Counts a manifest and looks for its files; `open` decodes every one within these limits, on `workers` threads.
///
/// # Errors
/// [`Error::Interrupted`] when `progress` says stop.
pub fn inspect(
    manifest: &Manifest,
    open: Option<&MediaLimits>,
    workers: usize,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Inspection> {
    let mut by_split: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    let mut languages = BTreeMap::new();
    for record in &manifest.records {
        by_split.entry(record.split.clone().unwrap_or_default()).or_default().push(record);
        *languages.entry(record.lang.clone().unwrap_or_default()).or_insert(0) += 1;
    }
    let files: Vec<(&Path, Kind)> = files(&manifest.records).into_iter().collect();
    let mut problems = Vec::new();
    let stage = if open.is_some() { "open files" } else { "look for files" };
    let total = files.len();
    let check = |(path, kind): &(&Path, Kind)| check(path, *kind, open);
    ordered(
        &files,
        workers,
        16,
        check,
        |index, outcome| {
            if let Err(reason) = outcome {
                problems.push(Skip { id: files[index].0.display().to_string(), reason });
            }
            progress(Progress { stage, done: index + 1, total, skipped: problems.len() }).check()
        },
        |index| Error::Worker { id: files[index].0.display().to_string() },
    )?;
    Ok(Inspection {
        total: counts(&manifest.records.iter().collect::<Vec<_>>()),
        splits: by_split.iter().map(|(split, records)| (split.clone(), counts(records))).collect(),
        languages,
        problems,
        crossing_groups: verify_groups(&manifest.records, |s| Some(s.to_owned())).err().unwrap_or_default(),
        files_opened: open.is_some(),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Picture,
    Sound,
    Video,
}

fn files(records: &[Record]) -> BTreeSet<(&Path, Kind)> {
    let mut files = BTreeSet::new();
    for record in records {
        files.extend(record.image.iter().map(|p| (p.as_path(), Kind::Picture)));
        files.extend(record.audio.iter().map(|p| (p.as_path(), Kind::Sound)));
        files.extend(record.video.iter().map(|p| (p.as_path(), Kind::Video)));
    }
    files
}

fn check(path: &Path, kind: Kind, open: Option<&MediaLimits>) -> std::result::Result<(), String> {
    let meta = std::fs::metadata(path).map_err(|e| e.to_string())?;
    if !meta.is_file() {
        return Err("not a file".into());
    }
    if meta.len() == 0 {
        return Err("an empty file".into());
    }
    let Some(limits) = open.map(MediaLimits::files) else { return Ok(()) };
    let decoded = catch_unwind(AssertUnwindSafe(|| match kind {
        Kind::Picture => decode::image(path, &ImageOptions { limits, ..ImageOptions::default() }).map(drop),
        Kind::Sound => decode::sound(path, &limits).map(drop),
        Kind::Video => Ok(()),
    }));
    let prefix = format!("{}: ", path.display());
    match decoded {
        Ok(outcome) => outcome.map_err(|e| e.to_string().replacen(&prefix, "", 1)),
        Err(_) => Err("its decoder panicked (this is a bug, please report it)".into()),
    }
}

fn counts(records: &[&Record]) -> Counts {
    let distinct = |paths: &mut dyn Iterator<Item = &Path>| paths.collect::<HashSet<_>>().len();
    Counts {
        records: records.len(),
        labels: records.iter().map(|r| r.key()).collect::<HashSet<_>>().len(),
        text: records.iter().map(|r| r.text.len()).sum(),
        image: distinct(&mut records.iter().filter_map(|r| r.image.as_deref())),
        audio: distinct(&mut records.iter().flat_map(|r| r.audio.iter().map(|p| p.as_path()))),
        video: distinct(&mut records.iter().filter_map(|r| r.video.as_deref())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn counts_and_problems() {
        let dir = tempfile::tempdir().unwrap();
        image::RgbImage::new(2, 2).save(dir.path().join("ok.png")).unwrap();
        fs::write(dir.path().join("broken.png"), b"\x89PNG\r\n\x1a\n cut").unwrap();
        fs::write(dir.path().join("empty.wav"), "").unwrap();
        let path = dir.path().join("m.jsonl");
        let lines = [
            r#"{"id":"1","text":["a","b"],"image":"ok.png","label":"x","split":"train","lang":"en","group":"g"}"#,
            r#"{"id":"2","image":"ok.png","label":"x","split":"train","group":"g"}"#,
            r#"{"id":"3","image":"broken.png","split":"test","group":"g"}"#,
            r#"{"id":"4","audio":["empty.wav","gone.wav"]}"#,
        ];
        fs::write(&path, lines.join("\n")).unwrap();
        let manifest = Manifest::load(&path).unwrap();
        let look = |open| inspect(&manifest, open, 2, &mut |_| Flow::Continue).unwrap();
        let found = look(None);
        assert_eq!(found.total, Counts { records: 4, labels: 3, text: 2, image: 2, audio: 2, video: 0 });
        assert_eq!(
            found.splits["train"],
            Counts { records: 2, labels: 1, text: 2, image: 1, ..Counts::default() }
        );
        assert_eq!(found.splits[""].audio, 2);
        assert_eq!((found.languages["en"], found.languages[""]), (1, 3));
        assert_eq!(found.crossing_groups, [("g".to_owned(), "train".to_owned(), "test".to_owned())]);
        let names = |i: &Inspection| {
            i.problems.iter().map(|p| p.id.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&found), ["empty.wav", "gone.wav"]);
        assert_eq!(names(&look(Some(&MediaLimits::default()))), ["broken.png", "empty.wav", "gone.wav"]);
        let stopped = inspect(&manifest, None, 1, &mut |_| Flow::Stop);
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }
}

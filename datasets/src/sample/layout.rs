//! The folder of a sample data set: when it is complete, and how it gets so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use tempfile::TempDir;
use unisono_files::{Budget, Lock, folder_beside, place_folder, sweep};

use super::groups::verify_groups;
use super::{SampleOptions, SampleReport};
use crate::{Error, Manifest, Record, Result};
use unisono_files::write_atomic;
use unisono_media::Blob;

const MANIFEST: &str = "manifest.jsonl";
const SOURCES: &str = "SOURCES.txt";
/// Written last: its report says that everything else is there.
const STAMP: &str = "sample.json";

#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    /// Name and version of what made the folder; another one makes it anew.
    recipe: String,
    /// None while the folder is being filled.
    report: Option<SampleReport>,
}

/// The report of a folder that `recipe` completed earlier and that has lost nothing since.
pub(super) fn complete(options: &SampleOptions, recipe: &str) -> Option<SampleReport> {
    let stamp = stamp(&options.out)?;
    let report = stamp.report?;
    let manifest = Manifest::load(&options.out.join(MANIFEST)).ok()?;
    let whole = |path: &Path| fs::metadata(path).is_ok_and(|m| m.len() > 0);
    let media: BTreeSet<&Path> =
        manifest.records.iter().flat_map(|r| r.image.iter().chain(&r.audio)).map(Blob::name).collect();
    let same = stamp.recipe == recipe && media.into_iter().all(whole);
    same.then(|| SampleReport { manifest: options.out.join(MANIFEST), up_to_date: true, ..report })
}

fn stamp(out: &Path) -> Option<Stamp> {
    unisono_files::read_json(&out.join(STAMP), &Budget::CONFIG).ok()
}

/// Takes the output folder, whose media lie in `name`, until the lock is dropped: it is made where it is missing. One that holds such files but was
/// not made here, or whose media have company, is refused: all of that would be replaced.
pub(super) fn claim(out: &Path, name: &str) -> Result<Lock> {
    let lock = Lock::within(out)?;
    let there = |file: &str| fs::symlink_metadata(out.join(file)).is_ok();
    let foreign = |path: &Path| {
        let message = "expected this name free, or a sample data set that this command made here, found something else; nothing is replaced: \
                       choose another folder";
        Err(Error::archive(path, message))
    };
    if stamp(out).is_none() {
        if let Some(file) = [STAMP, MANIFEST, SOURCES, name].into_iter().find(|file| there(file)) {
            return foreign(&out.join(file));
        }
    } else if let (true, Ok(manifest)) = (there(name), Manifest::load(&out.join(MANIFEST))) {
        let media = manifest.records.iter().flat_map(|r| r.image.iter().chain(&r.audio));
        let known: BTreeSet<PathBuf> =
            media.filter_map(|blob| std::path::absolute(blob.name()).ok()).collect();
        for entry in WalkFiles::new(&out.join(name)) {
            if !std::path::absolute(&entry).is_ok_and(|path| known.contains(&path)) {
                return foreign(&entry);
            }
        }
    }
    // What a run that was killed left half made.
    sweep(out);
    Ok(lock)
}

/// The files below a folder, in no order; links are not followed.
struct WalkFiles(Vec<PathBuf>);

impl WalkFiles {
    fn new(folder: &Path) -> Self {
        Self(vec![folder.to_path_buf()])
    }
}

impl Iterator for WalkFiles {
    type Item = PathBuf;

    fn next(&mut self) -> Option<PathBuf> {
        loop {
            let path = self.0.pop()?;
            if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                return Some(path);
            }
            self.0.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
    }
}

/// An empty folder beside the media's place, which vanishes with what is in it unless it is [published](publish).
pub(super) fn begin(out: &Path, name: &str) -> Result<TempDir> {
    Ok(folder_beside(&out.join(name))?)
}

/// Gives the finished media folder its final name. From here on the output is not complete until [`finish`].
pub(super) fn publish(part: TempDir, out: &Path, name: &str, recipe: &str) -> Result<PathBuf> {
    write_stamp(out, &Stamp { recipe: recipe.to_owned(), report: None })?;
    remove(&out.join(MANIFEST))?;
    let target = out.join(name);
    place_folder(part, &target)?;
    Ok(target)
}

fn write_stamp(out: &Path, stamp: &Stamp) -> Result<()> {
    Ok(unisono_files::write_json(&out.join(STAMP), stamp)?)
}

/// Writes the manifest, a note on sources and licences, and last the mark of completeness. Near-copies that cross from one
/// side to another would make every evaluation a lie: then nothing is written.
pub(super) fn finish(
    options: &SampleOptions,
    recipe: &str,
    records: &[Record],
    side: impl Fn(&str) -> &'static str,
    images: usize,
    licences: Vec<String>,
) -> Result<SampleReport> {
    let manifest = options.out.join(MANIFEST);
    if let Err(crossing) = verify_groups(records, |split| Some(side(split).to_owned())) {
        let (group, a, b) = crossing.into_iter().next().unwrap_or_default();
        return Err(Error::archive(
            &manifest,
            format!("group {group} of near-copies is in both {a} and {b} (a bug)"),
        ));
    }
    Manifest::write(&manifest, records)?;
    let text = format!(
        "Made from these packages; their licences hold for the media here.\n\n{}\n",
        licences.join("\n")
    );
    write_atomic(&options.out.join(SOURCES), |w| w.write_all(text.as_bytes()))?;
    let report = summarise(manifest, records, images, licences);
    // The stamp's own path would be wrong after the folder moves: it is filled in when read.
    let portable = SampleReport { manifest: MANIFEST.into(), ..report.clone() };
    write_stamp(&options.out, &Stamp { recipe: recipe.to_owned(), report: Some(portable) })?;
    Ok(report)
}

fn summarise(manifest: PathBuf, records: &[Record], images: usize, licences: Vec<String>) -> SampleReport {
    let mut report = SampleReport { manifest, images, licences, ..SampleReport::default() };
    let mut labels: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for record in records {
        let split = record.split.clone().unwrap_or_default();
        labels.entry(split.clone()).or_default().insert(record.key());
        *report.splits.entry(split).or_insert(0) += 1;
        let lang = record.lang.clone().unwrap_or_default();
        if record.lang.is_some() && !record.audio.is_empty() {
            *report.recordings.entry(lang.clone()).or_insert(0) += record.audio.len();
        }
        *report.languages.entry(lang).or_insert(0) += 1;
    }
    report.labels = labels.into_iter().map(|(split, set)| (split, set.len())).collect();
    report
}

fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(_) => Ok(()),
        Ok(_) => fs::remove_file(path).map_err(Error::io(path, "remove")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(out: &Path) -> SampleOptions {
        SampleOptions { out: out.to_path_buf(), ..SampleOptions::default() }
    }

    fn made(out: &Path) {
        let _held = claim(out, "media").unwrap();
        let part = begin(out, "media").unwrap();
        fs::write(part.path().join("a.png"), "picture").unwrap();
        let media = publish(part, out, "media", "r1").unwrap();
        let record = Record { id: "a".into(), image: Some(media.join("a.png").into()), ..Record::default() };
        finish(&options(out), "r1", &[record], |_| "seen", 1, vec!["a: CC0".into()]).unwrap();
    }

    #[test]
    fn a_folder_is_made_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("deep/stamps");
        made(&out);
        assert!(complete(&options(&out), "r1").is_some_and(|report| report.up_to_date));
        assert!(complete(&options(&out), "r2").is_none());
        made(&out);
        let mut names: Vec<_> =
            fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["SOURCES.txt", "manifest.jsonl", "media", "sample.json"]);
        let held = claim(&out, "media").unwrap();
        assert!(claim(&out, "media").unwrap_err().to_string().contains("is being written by another run"));
        drop(held);
        // Stopped between the media and the manifest.
        let held = claim(&out, "media").unwrap();
        publish(begin(&out, "media").unwrap(), &out, "media", "r1").unwrap();
        drop(held);
        assert!(complete(&options(&out), "r1").is_none());
        made(&out);
    }

    #[test]
    fn what_was_not_made_here_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for name in [MANIFEST, SOURCES, STAMP] {
            let out = dir.path().join(name);
            fs::create_dir(&out).unwrap();
            fs::write(out.join(name), "a user's").unwrap();
            let said = claim(&out, "media").unwrap_err().to_string();
            assert!(said.contains(name) && said.contains("nothing is replaced"), "{said}");
            assert_eq!(fs::read_to_string(out.join(name)).unwrap(), "a user's");
        }
        let out = dir.path().join("company");
        made(&out);
        fs::write(out.join("media/holiday.png"), "a user's").unwrap();
        assert!(claim(&out, "media").unwrap_err().to_string().contains("holiday.png"));
        fs::write(out.join("notes.txt"), "beside").unwrap();
        fs::remove_file(out.join("media/holiday.png")).unwrap();
        made(&out);
        assert!(out.join("notes.txt").exists());
    }
}

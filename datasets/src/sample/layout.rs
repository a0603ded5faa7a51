//! The folder of a sample data set: when it is complete, and how it gets so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::groups::verify_groups;
use super::{SampleOptions, SampleReport};
use crate::{Error, Manifest, Record, Result, write_atomic};

const MANIFEST: &str = "manifest.jsonl";
/// Written last: its presence says that everything else is there.
const STAMP: &str = "sample.json";

#[derive(Debug, Serialize, Deserialize)]
struct Stamp {
    /// Name and version of what made the folder; another one makes it anew.
    recipe: String,
    report: SampleReport,
}

/// The report of a folder that `recipe` completed earlier and that has lost nothing since.
pub(super) fn complete(options: &SampleOptions, recipe: &str) -> Option<SampleReport> {
    let text = fs::read_to_string(options.out.join(STAMP)).ok()?;
    let stamp: Stamp = serde_json::from_str(&text).ok()?;
    let manifest = Manifest::load(&options.out.join(MANIFEST)).ok()?;
    let whole = |path: &Path| fs::metadata(path).is_ok_and(|m| m.len() > 0);
    let media: BTreeSet<&PathBuf> =
        manifest.records.iter().flat_map(|r| r.image.iter().chain(&r.audio)).collect();
    let same = stamp.recipe == recipe && media.into_iter().all(|p| whole(p));
    same.then(|| SampleReport { manifest: options.out.join(MANIFEST), up_to_date: true, ..stamp.report })
}

/// An empty folder `name.part` in the output folder; remains of an interrupted run are removed.
pub(super) fn begin(out: &Path, name: &str) -> Result<PathBuf> {
    let part = out.join(format!("{name}.part"));
    // Whatever follows, the folder is not complete any more.
    for old in [out.join(STAMP), out.join(MANIFEST)] {
        remove(&old)?;
    }
    remove(&part)?;
    fs::create_dir_all(&part).map_err(Error::io(&part, "create folder"))?;
    Ok(part)
}

/// Gives the finished media folder its final name.
pub(super) fn publish(part: &Path, out: &Path, name: &str) -> Result<PathBuf> {
    let target = out.join(name);
    remove(&target)?;
    fs::rename(part, &target).map_err(Error::io(&target, "write"))?;
    Ok(target)
}

/// Writes the manifest, a note on sources and licences, and last the mark of completeness. Near-copies that cross from one
/// side to another would make every evaluation a lie: then nothing is written.
pub(super) fn finish(
    options: &SampleOptions,
    recipe: &str,
    records: &[Record],
    side: impl Fn(&str) -> &'static str,
    pictures: usize,
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
    write_atomic(&options.out.join("SOURCES.txt"), |w| w.write_all(text.as_bytes()))?;
    let report = summarise(manifest, records, pictures, licences);
    // The stamp's own path would be wrong after the folder moves: it is filled in when read.
    let portable = SampleReport { manifest: MANIFEST.into(), ..report.clone() };
    let stamp = Stamp { recipe: recipe.to_owned(), report: portable };
    write_atomic(&options.out.join(STAMP), |w| Ok(serde_json::to_writer_pretty(w, &stamp)?))?;
    Ok(report)
}

fn summarise(manifest: PathBuf, records: &[Record], pictures: usize, licences: Vec<String>) -> SampleReport {
    let mut report = SampleReport { manifest, pictures, licences, ..SampleReport::default() };
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
    let result = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    result.map_err(Error::io(path, "remove"))
}

//! What a manifest holds, and what is wrong with it.

mod check;
mod form;

pub use check::Opening;

use crate::pipeline::ordered;
use crate::{Error, Flow, Progress, Result, Skip};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use unisono_datasets::sample::verify_groups;
use unisono_datasets::{Manifest, Record};
use unisono_media::Blob;

/// Counts of one split, or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Records.
    pub records: usize,
    /// Distinct labels (ids where there is none).
    pub labels: usize,
    /// Texts.
    pub text: usize,
    /// Images, a file that several records name counted once.
    pub image: usize,
    /// Audio files, counted so too.
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
    /// Files whose content is not what their names' endings promise, where all were opened. They are read by their content.
    pub misnamed: Vec<Misnamed>,
    /// Groups of near-copies that stand in two splits, with those: what was learned would be tested.
    pub crossing_groups: Vec<(String, String, String)>,
    /// Whether every file was opened and decoded.
    pub files_opened: bool,
}

/// A file with another ending than its content has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Misnamed {
    /// The file.
    pub path: String,
    /// What it is: "a JPEG image".
    pub content: &'static str,
}

/// Counts a manifest and looks for its files; with `opening` each is decoded, on `workers` threads: images and audio files whole, of videos the
/// beginning and every part that is named.
///
/// # Errors
/// [`Error::Interrupted`] when `progress` says stop; videos to open and no ffmpeg.
pub fn inspect(
    manifest: &Manifest,
    opening: Option<&Opening>,
    workers: usize,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Inspection> {
    let mut by_split: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
    let mut languages = BTreeMap::new();
    for record in &manifest.records {
        by_split.entry(record.split.clone().unwrap_or_default()).or_default().push(record);
        *languages.entry(record.lang.clone().unwrap_or_default()).or_insert(0) += 1;
    }
    let ffmpeg = match opening {
        Some(opening) => check::ffmpeg(&manifest.records, opening)?,
        None => None,
    };
    let files = check::files(manifest);
    let (mut problems, mut misnamed) = (Vec::new(), Vec::new());
    let stage = if opening.is_some() { "open files" } else { "look for files" };
    let total = files.len();
    let id = |index: usize| -> String { files[index].blob.name().display().to_string() };
    ordered(
        0..files.len(),
        workers,
        16,
        |index| check::check(&files[index], opening.map(|opening| (opening, ffmpeg.as_ref()))),
        |index, seen| {
            problems.extend(seen.problems.into_iter().map(|reason| Skip { id: id(index), reason }));
            misnamed.extend(seen.misnamed.map(|content| Misnamed { path: id(index), content }));
            progress(Progress { stage, done: index + 1, total, skipped: problems.len() }).check()
        },
        |index| Error::Worker { id: id(index) },
    )?;
    Ok(Inspection {
        total: counts(&manifest.records.iter().collect::<Vec<_>>()),
        splits: by_split.iter().map(|(split, records)| (split.clone(), counts(records))).collect(),
        languages,
        problems,
        misnamed,
        crossing_groups: verify_groups(&manifest.records, |s| Some(s.to_owned())).err().unwrap_or_default(),
        files_opened: opening.is_some(),
    })
}

fn counts(records: &[&Record]) -> Counts {
    let distinct = |blobs: &mut dyn Iterator<Item = &Blob>| blobs.collect::<HashSet<_>>().len();
    Counts {
        records: records.len(),
        labels: records.iter().map(|r| r.key()).collect::<HashSet<_>>().len(),
        text: records.iter().map(|r| r.text.len()).sum(),
        image: distinct(&mut records.iter().filter_map(|r| r.image.as_ref())),
        audio: distinct(&mut records.iter().flat_map(|r| &r.audio)),
        video: distinct(&mut records.iter().filter_map(|r| r.video.as_ref())),
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
        let opening = Opening::default();
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
        assert_eq!(names(&look(Some(&opening))), ["broken.png", "empty.wav", "gone.wav"]);
        let stopped = inspect(&manifest, None, 1, &mut |_| Flow::Stop);
        assert!(matches!(stopped, Err(Error::Interrupted)));
    }

    #[test]
    fn files_are_judged_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        image::RgbImage::new(2, 2).save(at("ok.png")).unwrap();
        fs::copy(at("ok.png"), at("picture.jpg")).unwrap();
        fs::copy(at("ok.png"), at("ok")).unwrap();
        fs::write(at("words.png"), "not found").unwrap();
        fs::write(at("words.wav"), "not found").unwrap();
        let lines = [
            r#"{"id":"1","image":"ok.png"}"#,
            r#"{"id":"2","image":"picture.jpg"}"#,
            r#"{"id":"3","image":"ok"}"#,
            r#"{"id":"4","image":"words.png"}"#,
            r#"{"id":"5","audio":"words.wav"}"#,
            r#"{"id":"6","image":"."}"#,
        ];
        fs::write(at("m.jsonl"), lines.join("\n")).unwrap();
        let manifest = Manifest::load(&at("m.jsonl")).unwrap();
        let found = inspect(&manifest, Some(&Opening::default()), 2, &mut |_| Flow::Continue).unwrap();
        let said = |name: &str| {
            found.problems.iter().find(|p| p.id.ends_with(name)).map_or("", |p| p.reason.as_str()).to_owned()
        };
        assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
        assert!(said("/.").contains("a folder"), "{}", said("/."));
        assert!(said("words.png").ends_with("found text") && said("words.wav").ends_with("found text"));
        assert_eq!(found.misnamed.len(), 1);
        assert!(found.misnamed[0].path.ends_with("picture.jpg"));
        assert_eq!(found.misnamed[0].content, "a PNG image");
    }
}

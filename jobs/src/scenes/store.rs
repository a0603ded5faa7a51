//! Where a job's work lies: a folder for each video, which appears whole.

use super::inputs::SceneInput;
use super::job::{SceneJob, VideoDone};
use super::models::Models;
use crate::identity::hex;
use crate::output::safetensors;
use crate::{Error, Result, Vectors};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use tempfile::TempDir;
use unisono_files::{Budget, folder_beside, place_folder, read_text, write_atomic};
use unisono_scenes::detect::Settings as Detector;
use unisono_scenes::record::VideoScenes;
use unisono_scenes::report::{Curve, Options as Page};
use unisono_scenes::write::{self, VideoFile};

/// In a folder that a video's is made in: the name that it will have. It tells that the folder is ours, and whose lock to look at.
pub(super) const MARK: &str = "unisono-scenes-of";
/// Folder of thumbnails, beside a video's files.
pub(super) const THUMBNAILS: &str = "thumbnails";
/// Folder of clips, there too.
pub(super) const CLIPS: &str = "clips";
/// Vectors of a video's scenes.
pub(super) const VECTORS: &str = "vectors.safetensors";

pub(super) struct Store {
    out: PathBuf,
    /// Of everything besides the video that changes a result.
    fingerprint: String,
}

impl Store {
    pub(super) fn open(job: &SceneJob, models: &Models) -> Result<Self> {
        let out = std::path::absolute(job.out).map_err(Error::io(job.out, "resolve"))?;
        if out.exists() && !out.is_dir() {
            return Err(Error::format(&out, "expected a folder, found a file; choose another name"));
        }
        std::fs::create_dir_all(&out).map_err(Error::io(&out, "create"))?;
        // What a file may cost changes no result.
        let mut settings = serde_json::to_value(job.settings).map_err(|e| Error::Input(e.to_string()))?;
        settings.as_object_mut().map(|settings| settings.shift_remove("limits"));
        let settings = settings.to_string();
        let mut hash = Sha256::new();
        let track = job.audio_track.map_or_else(String::new, |n| format!(" track {n}"));
        let images = models.sees_frames() || job.outputs.contains(&write::Output::Report);
        for part in [
            settings,
            models.fingerprint(),
            format!("{:?} {:?} {} {images}{track}", job.outputs, job.clips, job.rate),
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let store = Self { out, fingerprint: hex(&hash.finalize()) };
        store.check_gathered()?;
        Ok(store)
    }

    /// The file of all scenes.
    pub(super) fn gathered(&self) -> PathBuf {
        self.out.join("scenes.jsonl")
    }

    /// Where videos' folders lie.
    pub(super) fn videos(&self) -> PathBuf {
        self.out.join("videos")
    }

    pub(super) fn out(&self) -> &Path {
        &self.out
    }

    /// Whether a file is one of those that a job has written into a video's folder. What else lies in `OUT` are inputs as any.
    pub(super) fn made(&self, path: &Path) -> bool {
        let videos = self.videos();
        let mut within = path.strip_prefix(&videos).into_iter().flat_map(Path::components);
        let folder = within.next().map(|name| videos.join(name));
        within.next().is_some() && folder.is_some_and(|f| f.join("video.json").is_file())
    }

    /// The folder of a video's files: its name and a sum over its place, so that equal names do not meet.
    pub(super) fn folder(&self, source: &SceneInput) -> PathBuf {
        self.videos().join(folder_name(source.path()))
    }

    /// What an earlier run made of a video; `None` where there is none, or the file has changed since.
    ///
    /// # Errors
    /// A run with other settings made it.
    pub(super) fn done(&self, source: &SceneInput) -> Result<Option<VideoDone>> {
        let folder = self.folder(source);
        let Some(file) = written(&folder) else { return self.check(source).map(|()| None) };
        if file.settings["of"] != of(source) {
            return Ok(None);
        }
        if file.settings["fingerprint"] != self.fingerprint {
            let message = "holds scenes made with other settings, models or outputs; give --fresh to make them again, or another --out";
            return Err(Error::format(&folder, message));
        }
        Ok(Some(VideoDone {
            path: source.path().to_owned(),
            folder,
            frames: file.video.end.frame,
            seconds: seconds(&file.video),
            shots: file.shots,
            scenes: file.scenes,
            failures: file.video.failures.count,
            complaint: file.video.failures.first,
            before: true,
        }))
    }

    /// A folder to work in; it vanishes unless it is [placed](Self::place).
    pub(super) fn begin(&self, source: &SceneInput) -> Result<Begun> {
        let name = folder_name(source.path());
        let around = folder_beside(&self.videos().join(&name))?;
        let mark = |out: &mut dyn Write| out.write_all(name.as_bytes());
        write_atomic(&around.path().join(MARK), mark)?;
        let made = folder_beside(&around.path().join("made"))?;
        Ok(Begun { made, _around: around })
    }

    /// Writes a video's files and gives their folder its name. The file was as [`of`] says when it was opened.
    pub(super) fn place(
        &self,
        source: &SceneInput,
        of: Value,
        folder: Begun,
        made: &VideoScenes,
        vectors: Option<Vectors>,
        job: &SceneJob,
    ) -> Result<VideoDone> {
        if let Some(vectors) = &vectors {
            safetensors(&folder.path().join(VECTORS), vectors, HashMap::new())?.place()?;
        }
        let settings = json!({ "fingerprint": self.fingerprint, "of": of, "settings": job.settings });
        let options = write::Options {
            outputs: job.outputs.to_vec(),
            settings,
            origin: None,
            report: Page { curves: curves(job, made) },
        };
        write::all(folder.path(), made, &options)?;
        let place = self.folder(source);
        self.check(source)?;
        place_folder(folder.made, &place)?;
        Ok(VideoDone {
            path: source.path().to_owned(),
            folder: place,
            frames: made.video.end.frame,
            seconds: seconds(&made.video),
            shots: made.shots.len(),
            scenes: made.scenes.len(),
            failures: made.video.failures.count,
            complaint: made.video.failures.first.clone(),
            before: false,
        })
    }
}

/// A folder in work.
pub(super) struct Begun {
    made: TempDir,
    /// It lies in this one, with the mark beside it, which is no part of what is made.
    _around: TempDir,
}

impl Begun {
    pub(super) fn path(&self) -> &Path {
        self.made.path()
    }
}

/// Its name and a sum over its place, so that equal names do not meet.
pub(super) fn folder_name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let safe: String = stem
        .chars()
        .map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .take(60)
        .collect();
    let sum = hex(&Sha256::digest(path.as_os_str().as_encoded_bytes()));
    format!("{}-{}", safe.trim_start_matches('.'), &sum[..8])
}

/// What this program wrote of a video into a folder; `None`: it did not.
pub(super) fn written(folder: &Path) -> Option<VideoFile> {
    let path = folder.join("video.json");
    serde_json::from_str(&read_text(&path, &Budget::CONFIG).ok()?).ok()
}

fn seconds(video: &unisono_scenes::record::VideoRecord) -> f64 {
    video.end.time.seconds() - video.start.time.seconds()
}

/// What tells that a file is still the one that was looked at: its length and when it was written; of a folder, those of all in it.
pub(super) fn of(source: &SceneInput) -> Value {
    let about = |path: &Path| {
        let meta = std::fs::metadata(path).ok();
        let written = meta.as_ref().and_then(|m| m.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        json!({ "bytes": meta.map(|m| m.len()), "written_ns": written.map(|w| w.as_nanos().to_string()) })
    };
    let SceneInput::Folder(folder) = source else { return about(source.path()) };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update(about(file).to_string());
    }
    json!({ "files": files.len(), "sha256": hex(&hash.finalize()) })
}

/// The curves of the page: each detector's own score with its threshold.
fn curves(job: &SceneJob, made: &VideoScenes) -> Vec<Curve> {
    let mut curves = Vec::new();
    let mut add = |name: &str, threshold: f64| {
        if let Some(column) = made.scores.names.iter().find(|n| n.starts_with(name)) {
            curves.push(Curve { name: column.clone(), threshold: Some(threshold) });
        }
    };
    for detector in job.settings.classical() {
        match detector {
            Detector::Content(s) => add("content_val", s.threshold),
            Detector::Adaptive(s) => {
                add("adaptive_ratio", s.adaptive_threshold);
                add("content_val", s.min_content_val);
            }
            Detector::Threshold(s) => add("average_rgb", s.threshold),
            Detector::Histogram(s) => add("hist_diff", 1.0 - s.threshold),
            Detector::Hash(s) => add("hash_dist", s.threshold),
        }
    }
    if job.settings.learned() {
        add("transnet", job.settings.transnet.threshold.into());
    }
    curves
}

//! Scenes of videos, found one video after another while other requests go on.

use crate::refusal::{Answer, Refusal};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use unisono_jobs::scenes::{Models, Output, SceneInput, SceneJob, SceneSettings, Shard, scenes};
use unisono_jobs::{Error as JobError, Flow};
use unisono_media::MediaLimits;

/// Jobs that are remembered; the oldest that is done goes first.
const KEPT: usize = 32;

/// A video whose scenes are wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The file, and the folder that it lies in where it was uploaded.
    pub(crate) path: PathBuf,
    pub(crate) held: Option<TempDir>,
    pub(crate) settings: SceneSettings,
    pub(crate) limits: MediaLimits,
    pub(crate) ffmpeg: Option<PathBuf>,
}

#[derive(Debug)]
struct Job {
    state: State,
    frames: Arc<AtomicU64>,
    share: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
enum State {
    Waiting,
    Running,
    Done(Value),
    Failed(String),
}

/// All jobs.
#[derive(Debug, Clone)]
pub(crate) struct Scenes {
    jobs: Arc<Mutex<BTreeMap<u64, Job>>>,
    next: Arc<AtomicU64>,
    /// One after another: each decodes on all cores.
    alone: Arc<Semaphore>,
}

impl Default for Scenes {
    fn default() -> Self {
        Self { jobs: Arc::default(), next: Arc::new(AtomicU64::new(1)), alone: Arc::new(Semaphore::new(1)) }
    }
}

impl Scenes {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a job; its number.
    pub(crate) fn begin(&self, wanted: Wanted) -> Answer<u64> {
        let id = self.next.fetch_add(1, Ordering::SeqCst);
        let job = Job {
            state: State::Waiting,
            frames: Arc::default(),
            share: Arc::default(),
            stop: Arc::default(),
        };
        let (frames, share, stop) = (job.frames.clone(), job.share.clone(), job.stop.clone());
        {
            let mut jobs = self.lock();
            let over = |job: &Job| matches!(job.state, State::Done(_) | State::Failed(_));
            if jobs.len() >= KEPT {
                let Some(oldest) = jobs.iter().find(|(_, job)| over(job)).map(|(id, _)| *id) else {
                    return Err(Refusal::busy(30));
                };
                jobs.remove(&oldest);
            }
            jobs.insert(id, job);
        }
        let all = self.clone();
        tokio::spawn(async move {
            let Ok(_alone) = all.alone.clone().acquire_owned().await else { return };
            all.set(id, State::Running);
            let work = move || {
                let mut tell = |now: unisono_jobs::scenes::SceneProgress| {
                    frames.store(now.frames, Ordering::Relaxed);
                    share.store(now.bytes * 1000 / now.all_bytes.max(1), Ordering::Relaxed);
                    if stop.load(Ordering::SeqCst) { Flow::Stop } else { Flow::Continue }
                };
                if tell_stopped(&stop) { Err(JobError::Interrupted) } else { found(&wanted, &mut tell) }
            };
            let state = match tokio::task::spawn_blocking(work).await {
                Ok(Ok(value)) => State::Done(value),
                Ok(Err(e)) => State::Failed(Refusal::from(e).message),
                Err(_) => State::Failed("the analysis stopped (this is a bug, please report it)".into()),
            };
            all.set(id, state);
        });
        Ok(id)
    }

    fn set(&self, id: u64, state: State) {
        if let Some(job) = self.lock().get_mut(&id) {
            job.state = state;
        }
    }

    /// How far a job is, and what it found.
    pub(crate) fn show(&self, id: u64) -> Answer<Value> {
        let jobs = self.lock();
        let job = jobs.get(&id).ok_or_else(|| Refusal::missing(format!("there is no job {id}")))?;
        let frames = job.frames.load(Ordering::Relaxed);
        let share = job.share.load(Ordering::Relaxed).min(1000) as f64 / 1000.0;
        let (status, share) = match job.state {
            State::Waiting => ("waiting", 0.0),
            State::Running => ("running", share),
            State::Done(_) => ("done", 1.0),
            State::Failed(_) => ("failed", share),
        };
        let mut told =
            json!({ "id": id, "status": status, "progress": { "frames": frames, "share": share } });
        match &job.state {
            State::Done(value) => told["result"] = value.clone(),
            State::Failed(message) => told["error"] = json!({ "message": message }),
            _ => (),
        }
        Ok(told)
    }

    /// Stops a job and forgets it.
    pub(crate) fn remove(&self, id: u64) -> Answer<()> {
        let job = self.lock().remove(&id).ok_or_else(|| Refusal::missing(format!("there is no job {id}")))?;
        job.stop.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Stops all.
    pub(crate) fn stop(&self) {
        self.lock().values().for_each(|job| job.stop.store(true, Ordering::SeqCst));
    }
}

fn tell_stopped(stop: &AtomicBool) -> bool {
    stop.load(Ordering::SeqCst)
}

/// The scenes of a video, as `unisono scenes` writes them.
pub(crate) fn found(
    wanted: &Wanted,
    progress: &mut dyn FnMut(unisono_jobs::scenes::SceneProgress) -> Flow,
) -> Result<Value, JobError> {
    let out = tempfile::tempdir().map_err(|e| JobError::Input(format!("a temporary folder: {e}")))?;
    let job = SceneJob {
        workers: Some(1),
        outputs: &[Output::Json],
        ffmpeg: wanted.ffmpeg.as_deref(),
        limits: wanted.limits,
        ..SceneJob::new(out.path(), &wanted.settings)
    };
    let source = [SceneInput::Video(wanted.path.clone())];
    let made = scenes(&job, &Models::default(), &source, Shard::WHOLE, progress)?;
    let Some(video) = made.videos.first() else {
        return Err(JobError::Input("the video has no scenes".into()));
    };
    let text =
        unisono_files::read_text(&video.folder.join("scenes.jsonl"), &unisono_files::Budget::VOCABULARY)?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let scenes: Vec<Value> = lines
        .map(|mut scene| {
            // The upload's own place means nothing to whoever asked.
            if let (Some(object), true) = (scene.as_object_mut(), wanted.held.is_some()) {
                object.retain(|key, _| !["path", "video", "id"].contains(&key.as_str()));
            }
            scene
        })
        .collect();
    Ok(json!({ "seconds": video.seconds, "frames": video.frames, "shots": video.shots, "scenes": scenes }))
}

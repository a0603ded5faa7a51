//! Scenes of many videos: worker threads decode and detect, this thread embeds their frames meanwhile, and another says what films that are over
//! show and writes it: no decoder waits for a transcript. A video's folder appears whole or not at all; what is there is not done again.
//!
//! ```text
//! OUT/videos/<name>-<sum>/   video.json scenes.jsonl … report.html thumbnails/ vectors.safetensors
//! OUT/scenes.jsonl           all scenes of all videos
//! OUT/index/                 their vectors, for unisono search
//! ```

mod analyse;
mod claim;
mod clips;
mod finish;
mod frames;
mod gather;
mod images;
mod inputs;
mod job;
mod keep;
mod losses;
mod models;
mod shots;
mod spool;
mod store;
mod work;

pub use crate::shard::Shard;
pub use clips::cut_span;
pub use inputs::{FRAMES, SceneInput, list};
pub use job::{Gathered, SceneJob, SceneProgress, SceneReport, VideoDone};
pub use models::Models;

use crate::pipeline::check_skips;
use crate::{Error, Flow, Result, Skip, Vectors};
use serde_json::Value;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel, sync_channel};
use std::time::Duration;
use store::Store;
use unisono_media::video::Ffmpeg;
use unisono_transnet::TransNet;
use work::{Analysis, Message, Seen, Wanted};

pub use unisono_scenes::settings::SceneSettings;
pub use unisono_scenes::write::{self, Output};

/// Analyses `sources`; with a `shard`, only its part of them.
///
/// # Errors
/// JobRun of other settings in `out`, or of other programs where something would be replaced; another run that does the same; more unusable
/// videos than allowed, none usable at all, the models', or [`Error::Interrupted`].
pub fn scenes(
    job: &SceneJob,
    models: &Models,
    sources: &[SceneInput],
    shard: Shard,
    progress: &mut dyn FnMut(SceneProgress) -> Flow,
) -> Result<SceneReport> {
    job.settings.validate().map_err(Error::from)?;
    let store = Store::open(job, models)?;
    let _alone = store.lock_run(shard)?;
    store.sweep();
    // Clips that an earlier run cut may lie below a folder that was named.
    let sources: Vec<SceneInput> = sources.iter().filter(|s| !store.made(s.path())).cloned().collect();
    let mine: Vec<&SceneInput> =
        sources.iter().enumerate().filter(|(i, _)| shard.has(*i)).map(|(_, s)| s).collect();
    let mut done: BTreeMap<usize, VideoDone> = BTreeMap::new();
    let mut rest = Vec::new();
    for (i, source) in mine.iter().enumerate() {
        let before = if job.fresh { store.check(source).map(|()| None)? } else { store.done(source)? };
        match before {
            Some(video) => drop(done.insert(i, video)),
            None => rest.push(i),
        }
    }
    let needs_ffmpeg = rest.iter().any(|i| mine[*i].needs_ffmpeg());
    let ffmpeg = if needs_ffmpeg || job.clips.is_some() {
        Some(Ffmpeg::find(job.ffmpeg)?.hearing(job.audio_track))
    } else {
        None
    };
    let transnet = if job.settings.learned() && !rest.is_empty() {
        Some(crate::shots::transnet_dir(job.transnet)?)
    } else {
        None
    };
    let work = JobRun { job, models, store: &store, ffmpeg: ffmpeg.as_ref(), transnet: transnet.as_deref() };
    let mut skipped = Vec::new();
    work.run(&mine, &rest, &mut done, &mut skipped, progress)?;
    if let (true, Some(first)) = (done.is_empty(), skipped.first()) {
        let (id, reason) = (first.id.clone(), first.reason.clone());
        return Err(match mine.len() {
            1 => Error::Input(format!("{id}: {reason}")),
            count => Error::AllSkipped { count, id, reason },
        });
    }
    let unusable: Vec<&str> = skipped.iter().map(|s| s.id.as_str()).collect();
    // Shards that end together wait for each other: each finds what was done meanwhile.
    let _gathering = loop {
        match store.lock_gathered()? {
            Some(lock) => break lock,
            None => {
                let (videos, total, skipped) = (done.len(), mine.len(), skipped.len());
                let now = SceneProgress { videos, total, frames: 0, bytes: 0, all_bytes: 0, skipped };
                progress(now).check()?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    };
    let gathered = gather::gather(&store, models, &sources, &unusable, shard)?;
    Ok(SceneReport { videos: done.into_values().collect(), skipped, gathered })
}

struct JobRun<'a> {
    job: &'a SceneJob<'a>,
    models: &'a Models,
    store: &'a Store,
    ffmpeg: Option<&'a Ffmpeg>,
    transnet: Option<&'a Path>,
}

impl JobRun<'_> {
    fn run(
        &self,
        mine: &[&SceneInput],
        rest: &[usize],
        done: &mut BTreeMap<usize, VideoDone>,
        skipped: &mut Vec<Skip>,
        progress: &mut dyn FnMut(SceneProgress) -> Flow,
    ) -> Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = self.job.workers.unwrap_or(cores).clamp(1, rest.len().max(1));
        let bytes: Vec<u64> = rest.iter().map(|i| mine[*i].bytes()).collect();
        let all_bytes: u64 = bytes.iter().sum();
        let (stop, next) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (frames, behind) = (AtomicU64::new(0), AtomicU64::new(0));
        let before = done.len();
        let mut tell = |videos: usize, skipped: usize| {
            let (frames, bytes) = (frames.load(Ordering::Relaxed), behind.load(Ordering::Relaxed));
            progress(SceneProgress { videos, total: mine.len(), frames, bytes, all_bytes, skipped }).check()
        };
        tell(before, 0)?;
        if rest.is_empty() {
            return Ok(());
        }
        let (limits, files) = (self.job.limits.over(self.job.settings.limits), self.job.limits.files());
        let wanted = Wanted {
            settings: self.job.settings,
            image: self.models.image_processor(),
            audio_rate: self.models.audio_rate(),
            speech: self.models.speech_processor(),
            caption: self.models.caption_processor(),
            images: self.models.sees_frames() || self.job.outputs.contains(&Output::Report),
            scores: self.job.outputs.contains(&Output::Scores),
            ffmpeg: self.ffmpeg,
            transnet: self.transnet,
            spool: self.store.out(),
            limits: &limits,
            files: &files,
            rate: self.job.rate,
            threads: (cores / workers).max(1),
            stop: &stop,
            frames: &frames,
            behind: &behind,
        };
        std::thread::scope(|scope| {
            // Few frames at a time wait for the models: decoders wait with them.
            let (sender, messages) = sync_channel::<Message>(32);
            // Nor do films that are over gather: one for each worker, and one more, are in work or wait to be written.
            let (begin, begun) = sync_channel::<()>(workers + 1);
            let (over, seen) = channel::<Seen>();
            let mut started = 0;
            for worker in 0..workers {
                let (sender, wanted, next, stop, bytes) = (sender.clone(), &wanted, &next, &stop, &bytes);
                let begin = begin.clone();
                let store = self.store;
                let body = move || {
                    // Loaded at the first video, kept for all of this thread's.
                    let mut net = None;
                    loop {
                        let waited = begin.send(());
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        if waited.is_err() || at >= rest.len() || stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let source = mine[rest[at]];
                        // As it is now: a file that changes from here on is not what was looked at.
                        let of = store::of(source);
                        let work = || {
                            let lock = store.lock(source)?;
                            if let (None, Some(dir)) = (&net, wanted.transnet) {
                                net = Some(TransNet::load(dir, tch::Device::Cpu)?);
                            }
                            let net = net.as_ref();
                            Ok((analyse::analyse(source, at, bytes[at], &of, wanted, net, &sender)?, lock))
                        };
                        let found = match catch_unwind(AssertUnwindSafe(work)) {
                            Ok(found) => found,
                            Err(_) => Err(Error::Input(
                                "its decoder panicked (this is a bug, please report it)".into(),
                            )),
                        };
                        if sender.send(Message::Done { at, of, found: Box::new(found) }).is_err() {
                            return;
                        }
                    }
                };
                let name = format!("scenes-{worker}");
                // Where the system gives no thread, the others do its work; where it gives none at all, nobody does, which is an error.
                if std::thread::Builder::new().name(name).spawn_scoped(scope, body).is_err() {
                    break;
                }
                started += 1;
            }
            drop(begin);
            let ending = &stop;
            let body = move || {
                for Seen { at, of, analysis, vectors, lock } in seen {
                    let mut go_on =
                        || if ending.load(Ordering::Relaxed) { Flow::Stop } else { self.models.flow() };
                    let finish = || self.finish(mine[rest[at]], of, analysis, vectors, &mut go_on);
                    let panicked =
                        "what it shows could not be said: a panic (this is a bug, please report it)";
                    let made = catch_unwind(AssertUnwindSafe(finish))
                        .unwrap_or_else(|_| Err(Error::Input(panicked.into())));
                    drop(lock);
                    // Nobody listens any more: the job is ending.
                    if sender.send(Message::Written { at, made }).is_err() {
                        return;
                    }
                }
            };
            let writer = std::thread::Builder::new().name("scenes-writer".into());
            if writer.spawn_scoped(scope, body).is_err() {
                started = 0;
            }
            let mut looks: BTreeMap<usize, models::FrameEmbedder> = BTreeMap::new();
            let mut left = rest.len();
            let mut work = || -> Result<()> {
                while left > 0 {
                    let lost = || Error::Worker { id: mine[rest[0]].id() };
                    if started == 0 {
                        return Err(lost());
                    }
                    match messages.recv_timeout(Duration::from_millis(200)) {
                        Ok(Message::Image { at, image }) => {
                            looks.entry(at).or_default().push(self.models, image)?;
                        }
                        Ok(Message::Done { at, of, found }) => {
                            let look = looks.remove(&at).unwrap_or_default();
                            let seen = found.and_then(|(analysis, lock)| {
                                let vectors = look.finish(self.models)?;
                                over.send(Seen { at, of, analysis, vectors, lock }).map_err(|_| lost())
                            });
                            if let Err(e) = seen {
                                left -= 1;
                                begun.try_recv().ok();
                                self.left_out(mine[rest[at]], e, skipped)?;
                            }
                        }
                        Ok(Message::Written { at, made }) => {
                            left -= 1;
                            begun.try_recv().ok();
                            match made {
                                Ok(video) => drop(done.insert(rest[at], video)),
                                Err(e) => self.left_out(mine[rest[at]], e, skipped)?,
                            }
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        // The writer has a sender as long as it is there.
                        Err(RecvTimeoutError::Disconnected) => return Err(lost()),
                    }
                    tell(before + rest.len() - left, skipped.len())?;
                }
                Ok(())
            };
            let outcome = work();
            // Whoever decodes still looks at this after each frame; whoever sends finds nobody.
            stop.store(true, Ordering::Relaxed);
            drop((messages, begun, over));
            outcome
        })
    }

    fn finish(
        &self,
        source: &SceneInput,
        of: Value,
        analysis: Analysis,
        vectors: Option<Vectors>,
        go_on: &mut dyn FnMut() -> Flow,
    ) -> Result<VideoDone> {
        let folder = self.store.begin(source)?;
        let with = (self.ffmpeg, go_on);
        let (made, vectors) =
            finish::finish(self.job, self.models, source, analysis, vectors, folder.path(), with)?;
        self.store.place(source, of, folder, &made, vectors, self.job)
    }

    /// A video that cannot be used, or an error that ends the job.
    fn left_out(&self, source: &SceneInput, e: Error, skipped: &mut Vec<Skip>) -> Result<()> {
        if ends(&e, self.store.out(), &self.store.folder(source)) {
            return Err(e);
        }
        let (id, text) = (source.id(), e.to_string());
        let reason = text.strip_prefix(&id).and_then(|r| r.strip_prefix(": ")).unwrap_or(&text);
        skipped.push(Skip { reason: reason.to_owned(), id });
        check_skips(skipped, self.job.max_skip)
    }
}

/// Whether an error ends the job: those of the models, and those of what is written. The others are about one video, which is left out.
fn ends(error: &Error, out: &Path, folder: &Path) -> bool {
    use unisono_files::Error as Files;
    use unisono_media::Error as Media;
    use unisono_scenes::Error as Scenes;
    match error {
        Error::Interrupted | Error::Nn(_) | Error::Encoders(_) | Error::Fusion(_) => true,
        Error::Files(Files::Io { path, .. })
        | Error::Scenes(Scenes::Io { path, .. } | Scenes::Media(Media::Files(Files::Io { path, .. })))
        | Error::Media(Media::Files(Files::Io { path, .. })) => path.starts_with(out),
        // The video's place is another run's, or another program's.
        Error::Files(Files::Format { path, .. }) => path.starts_with(folder),
        _ => false,
    }
}

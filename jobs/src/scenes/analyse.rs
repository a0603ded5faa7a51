//! One video, analysed once: detectors, the network, and the frames that models and people will see, each on a thread of its own.

use super::SceneInput;
use super::frames::{FrameAnalyser, FrameAnalysis};
use super::keep::Keeper;
use super::losses::{complain, unseen};
use super::spool::Spool;
use super::work::{Analysis, FileProgress, Heard, Kept, Message, TINY, VideoTask, Wanted};
use crate::understand::AudioTiming;
use crate::{Error, Result};
use image::RgbImage;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use unisono_media::decode::Resampling;
use unisono_media::video::{self, Ffmpeg, StreamOptions, Time, Track, Video};
use unisono_scenes::detect::Shrink;
use unisono_scenes::record::FailureRecord;
use unisono_transnet::{TransNet, TransNetStream};

/// Watches one video, which was as `of` says before. Frames for the model go to `sender` as they come.
pub(super) fn analyse(
    source: &SceneInput,
    at: usize,
    bytes: u64,
    of: &serde_json::Value,
    wanted: &Wanted,
    net: Option<&TransNet>,
    sender: &SyncSender<Message>,
) -> Result<Analysis> {
    let progress = FileProgress { share: AtomicU64::new(0), bytes, behind: wanted.behind };
    let task = VideoTask { at, wanted, sender, progress: &progress };
    let made = match (source, wanted.ffmpeg) {
        (SceneInput::Video(path), Some(ffmpeg)) => task.video(path, ffmpeg, net),
        (SceneInput::Animation(path), _) => task.images(video::animation(path, wanted.limits)?, source, net),
        (SceneInput::Folder(path), _) => {
            task.images(video::folder(path, wanted.rate, wanted.limits, wanted.files)?, source, net)
        }
        (SceneInput::Video(_), None) => Err(Error::Input("no ffmpeg".into())),
    };
    progress.all();
    made.map(|mut made| {
        // What was read is of the one or the other file, or of both.
        if *of != super::store::of(source) {
            complain(&mut made.failures, 1, || "it changed while it was read".into());
        }
        made
    })
}

impl VideoTask<'_> {
    fn video(&self, path: &Path, ffmpeg: &Ffmpeg, net: Option<&TransNet>) -> Result<Analysis> {
        let wanted = self.wanted;
        let (settings, limits) = (wanted.settings, wanted.limits);
        let video = ffmpeg.probe(path, limits)?;
        let whole = !settings.classical().is_empty();
        // Where detectors look at few pixels, FFmpeg hands over no others: most of the cost of whole frames is their way here.
        let picked = match video.size {
            Some((width, height)) => Shrink::new(width as usize, height as usize)?.grid(),
            None => None,
        };
        let options = StreamOptions {
            whole,
            picked,
            small: net.is_some().then_some(TINY),
            every: wanted.images.then_some(settings.sample.every),
            threads: Some(wanted.threads),
        };
        let mut stream = ffmpeg.stream(&video, &options, limits)?;
        let (whole, every) = (stream.whole.take(), stream.every.take());
        let (analysed, learned, kept) = std::thread::scope(|scope| {
            let analysed = scope.spawn(|| self.analyse_frames(whole, &video));
            let kept = scope.spawn(|| self.keep(every));
            // The network's tensors stay on this thread.
            let learned = self.learn(stream.small.take(), net, &video);
            (joined(analysed), learned, joined(kept))
        });
        let failures = stream.ending.failures()?;
        // What one thread found wrong ends the others with less to say: the first that says more is it.
        let (learned, alone) = learned?;
        let (analysed, (kept, spool)) = (alone.map_or(analysed, Ok)?, kept?);
        if analysed.times.frames.is_empty() {
            return Err(Error::format(path, "expected at least one frame, found none"));
        }
        let mut failures = unseen(&video, ffmpeg, limits, &analysed, failures)?;
        let Listened { samples, speech } = self.listen(&video, ffmpeg, &mut failures)?;
        Ok(Analysis {
            times: analysed.times,
            size: analysed.size,
            sizes: analysed.sizes,
            rate: analysed.rate,
            found: analysed.found,
            gradual: analysed.gradual,
            learned,
            kept,
            spool,
            audio: video.sample_rate.is_some(),
            samples,
            speech,
            failures,
            video: Some(video),
        })
    }

    /// Counts a frame, so many seconds from the first, for the progress.
    fn seen(&self, since_start: f64, video: &Video) {
        self.wanted.frames.fetch_add(1, Ordering::Relaxed);
        if let Some(seconds) = video.duration.filter(|s| *s > 0.0) {
            self.progress.to(since_start / seconds);
        }
    }

    /// Every frame, by detectors.
    fn analyse_frames(&self, track: Option<Track>, video: &Video) -> Result<FrameAnalysis> {
        let Some(mut track) = track else { return Ok(FrameAnalysis::default()) };
        let mut analyser = FrameAnalyser::new(self.wanted, Some(video));
        let mut data = Vec::new();
        while let Some(shape) = track.next(&mut data)? {
            self.go_on()?;
            analyser.push(&shape, &data)?;
            self.seen(analyser.since_start(shape.time), video);
        }
        analyser.finish()
    }

    /// Every frame, by the network. Where no detector watches, its frames tell the times.
    #[expect(
        clippy::type_complexity,
        reason = "the network's words, and what was watched instead of detectors"
    )]
    fn learn(
        &self,
        track: Option<Track>,
        net: Option<&TransNet>,
        video: &Video,
    ) -> Result<(Vec<(f32, f32)>, Option<FrameAnalysis>)> {
        let (Some(mut track), Some(net)) = (track, net) else { return Ok((Vec::new(), None)) };
        let (mut stream, mut found) = (TransNetStream::new(net, 1), Vec::new());
        let alone = self.wanted.settings.classical().is_empty();
        let mut analyser = FrameAnalyser::new(self.wanted, Some(video));
        let mut data = Vec::new();
        while let Some(shape) = track.next(&mut data)? {
            self.go_on()?;
            found.extend(stream.push(&data)?);
            if alone {
                analyser.small(&shape, &data);
                self.seen(analyser.since_start(shape.time), video);
            }
        }
        found.extend(stream.finish()?);
        let found = found.iter().map(|b| (b.single, b.many_hot)).collect();
        Ok((found, if alone { Some(analyser.finish()?) } else { None }))
    }

    /// Frames that models and people will see.
    fn keep(&self, track: Option<Track>) -> Result<(Vec<Kept>, Option<File>)> {
        let Some(mut track) = track else { return Ok((Vec::new(), None)) };
        let mut keeper = Keeper::new(self)?;
        let mut data = Vec::new();
        while let Some(shape) = track.next(&mut data)? {
            self.go_on()?;
            let pixels = std::mem::take(&mut data);
            if let Some(image) = RgbImage::from_raw(shape.width, shape.height, pixels) {
                keeper.push(shape.frame, shape.time, &image)?;
                data = image.into_raw();
            }
        }
        Ok((keeper.kept, Some(keeper.spool)))
    }

    /// The audio track, as far as models want it, at their rates on the disk: a piece of it is in memory, however long it is.
    fn listen(&self, video: &Video, ffmpeg: &Ffmpeg, failures: &mut FailureRecord) -> Result<Listened> {
        let wanted = self.wanted;
        let spoken = wanted.speech.map(|front| front.config().sample_rate);
        let rates: BTreeSet<u32> = wanted.audio_rate.into_iter().chain(spoken).collect();
        let (Some(native), false) = (video.sample_rate, rates.is_empty()) else {
            return Ok(Listened::default());
        };
        self.go_on()?;
        let start = ffmpeg.audio_start(video, wanted.limits)?.map_or(0.0, Time::seconds);
        let mut ways = Vec::with_capacity(rates.len());
        for rate in &rates {
            ways.push((Resampling::new(native, *rate)?, Spool::new(wanted.spool)?));
        }
        let (mut count, mut told, mut piece) = (0u64, Ok(()), Vec::new());
        let heard = ffmpeg.audio_pieces(video, wanted.limits, &mut |samples| {
            count += samples.len() as u64;
            told = self.go_on().and_then(|()| {
                ways.iter_mut().try_for_each(|(resampling, spool)| {
                    piece.clear();
                    resampling.push(samples, &mut piece)?;
                    spool.push(&piece)
                })
            });
            told.is_ok()
        });
        told?;
        if let Err(e) = heard {
            // As the image is there, the scenes are: without audio, which is said.
            let line = e.to_string();
            let reason = line.strip_prefix(&format!("{}: ", video.blob.name().display())).unwrap_or(&line);
            complain(failures, 1, || format!("the audio is left out: {reason}"));
            return Ok(Listened::default());
        }
        let timing = AudioTiming { start, seconds: count as f64 / f64::from(native) };
        let mut made = BTreeMap::new();
        for (rate, (resampling, mut spool)) in rates.iter().copied().zip(ways) {
            piece.clear();
            resampling.finish(&mut piece)?;
            spool.push(&piece)?;
            made.insert(rate, Heard { samples: Arc::new(spool.finish(None)?), rate, timing });
        }
        let of = |rate: Option<u32>| rate.and_then(|rate| made.get(&rate).cloned());
        Ok(Listened { samples: of(wanted.audio_rate), speech: of(spoken) })
    }
}

/// What models hear of a video.
#[derive(Default)]
struct Listened {
    /// For the embedding model.
    samples: Option<Heard>,
    /// For the speech model.
    speech: Option<Heard>,
}

/// What a thread found. One that panicked ends this video, whose worker says so.
fn joined<T>(handle: std::thread::ScopedJoinHandle<Result<T>>) -> Result<T> {
    handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

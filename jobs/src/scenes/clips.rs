//! Pieces of videos as files of their own.

use crate::{Error, Result};
use std::path::Path;
use unisono_files::folder_beside;
use unisono_media::video::{Ffmpeg, Span, StreamOptions, Time, Video, VideoLimits};
use unisono_scenes::record::{FailureRecord, Moment, Resized, VideoRecord};
use unisono_scenes::shots::Times;
use unisono_scenes::write::{Cut, clip, clip_name, uncuttable};

/// Cuts a part of a video out into the folder `out`, named after the video and `number` (counted from 0); returns the file's name.
///
/// # Errors
/// As [`Ffmpeg::probe`]; a part that [cannot be cut](uncuttable); FFmpeg refuses, in its words.
pub fn cut_span(
    ffmpeg: &Ffmpeg,
    path: &Path,
    span: &Span,
    cut: &Cut,
    out: &Path,
    number: usize,
) -> Result<String> {
    let limits = VideoLimits::default();
    let video = ffmpeg.probe(path, &limits)?;
    let (times, record) = match ffmpeg.index(&video, &limits)? {
        Some(frames) => {
            let end = frames.last().copied().unwrap_or(Times::default().end);
            (Times { frames, end }, record(&video))
        }
        // Nothing but its frames tells the times of them all.
        None => analysed(ffmpeg, &video, &limits)?,
    };
    let first = times.at(0);
    let begins = span.start.unwrap_or(first.time);
    let place = |time: Time| times.frames.partition_point(|t| *t < time) as u64;
    let start = Moment { frame: place(begins), time: begins };
    // Beyond any end: the limits allow no longer file.
    let beyond = || Time {
        pts: begins.pts.saturating_add((limits.max_seconds / begins.base.value()) as i64),
        ..begins
    };
    let end = match span.end {
        Some(time) => Moment { frame: place(time), time },
        None => Moment { frame: times.count(), time: beyond() },
    };
    let record = VideoRecord { start: first, end, ..record };
    std::fs::create_dir_all(out).map_err(Error::io(out, "create"))?;
    let name = clip_name(&record, "hit", number, "mp4");
    cut_out(ffmpeg, &record, start, end, cut, &out.join(&name), &limits)?;
    Ok(name)
}

/// What cutting has to know of a video.
fn record(video: &Video) -> VideoRecord {
    VideoRecord {
        path: video.blob.name().to_owned(),
        size: video.size.unwrap_or((2, 2)),
        sizes: Vec::new(),
        rate: None,
        variable_rate: false,
        start: Times::default().at(0),
        end: Times::default().at(0),
        audio: video.sample_rate.is_some(),
        failures: FailureRecord::default(),
        detector: String::new(),
    }
}

/// The times of all frames as they come, and where the clock breaks and the size changes.
fn analysed(ffmpeg: &Ffmpeg, video: &Video, limits: &VideoLimits) -> Result<(Times, VideoRecord)> {
    let options = StreamOptions { small: Some((16, 16)), ..StreamOptions::default() };
    let mut stream = ffmpeg.stream(video, &options, limits)?;
    let (mut times, mut made, mut data) = (Times::default(), record(video), Vec::new());
    let mut size = None;
    if let Some(mut track) = stream.small.take() {
        while let Some(shape) = track.next(&mut data)? {
            if size.replace(shape.source).is_some_and(|before| before != shape.source) {
                made.sizes.push(Resized { frame: shape.frame, size: shape.source });
            }
            made.rate = Some(shape.rate);
            times.frames.push(shape.time);
            times.end = Time { pts: shape.time.pts.saturating_add(shape.ticks.max(1)), ..shape.time };
        }
    }
    made.failures.jumps = stream.ending.failures()?.jumps;
    Ok((times, made))
}

/// Cuts a stretch of a video out into the file `out`, which appears whole.
pub(super) fn cut_out(
    ffmpeg: &Ffmpeg,
    video: &VideoRecord,
    start: Moment,
    end: Moment,
    cut: &Cut,
    out: &Path,
    limits: &VideoLimits,
) -> Result<()> {
    let cannot = |why: &str| Error::format(&video.path, format!("no clip can be cut: {why}"));
    if let Some(why) = uncuttable(video, cut) {
        return Err(cannot(why));
    }
    // FFmpeg opens what it is told to write by its name, through any link that lies there: so in a folder where only we lay something.
    // The ending tells it the container.
    let folder = folder_beside(out)?;
    let half = folder.path().join("clip").with_extension(out.extension().unwrap_or("mp4".as_ref()));
    let mut command = ffmpeg.guarded(limits);
    command.args(clip(video, start, end, cut, &half));
    let output = ffmpeg.run(command, &video.path, limits)?;
    if !output.status.success() {
        let log = String::from_utf8_lossy(&output.stderr);
        let last = log.lines().last().unwrap_or("it says nothing").trim();
        return Err(cannot(&format!("ffmpeg says {last}")));
    }
    // A link that lies at its place is replaced, not followed.
    std::fs::rename(&half, out).map_err(Error::io(out, "write"))
}

//! Pieces of videos as files of their own.

use crate::{Error, Result};
use std::path::Path;
use std::process::Stdio;
use unisono_datasets::video::{Ffmpeg, Ratio, Span, Time, VideoLimits};
use unisono_scenes::record::{FailureRecord, Moment, VideoRecord};
use unisono_scenes::write::{Cut, clip, clip_name};

/// Cuts a part of a video out into the folder `out`, named after the video and `number` (counted from 0); returns the file's name.
///
/// # Errors
/// As [`Ffmpeg::probe`]; FFmpeg refuses, in its words.
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
    let first = match ffmpeg.index(&video, &limits)? {
        Some(times) => times.first().copied(),
        None => None,
    };
    let zero = Time { pts: 0, base: Ratio { num: 1, den: 1000 } };
    let begins = first.unwrap_or(zero);
    let start = span.start.unwrap_or(begins);
    // Beyond any end: the limits allow no longer file.
    let beyond =
        Time { pts: (start.seconds() + limits.max_seconds).ceil() as i64, base: Ratio { num: 1, den: 1 } };
    let at = |time| Moment { frame: 0, time };
    let record = VideoRecord {
        path: path.to_owned(),
        size: video.size.unwrap_or((2, 2)),
        rate: None,
        variable_rate: false,
        start: at(begins),
        end: at(beyond),
        sound: video.sample_rate.is_some(),
        failures: FailureRecord::default(),
        detector: String::new(),
    };
    std::fs::create_dir_all(out).map_err(Error::io(out, "create"))?;
    let name = clip_name(&record, "hit", number, "mp4");
    cut_out(ffmpeg, &record, at(start), at(span.end.unwrap_or(beyond)), cut, &out.join(&name))?;
    Ok(name)
}

/// Cuts a stretch of a video out into the file `out`, which appears whole.
pub(super) fn cut_out(
    ffmpeg: &Ffmpeg,
    video: &VideoRecord,
    start: Moment,
    end: Moment,
    cut: &Cut,
    out: &Path,
) -> Result<()> {
    // The ending tells FFmpeg the container.
    let half =
        out.with_extension(format!("part.{}", out.extension().and_then(|e| e.to_str()).unwrap_or("mp4")));
    let output = ffmpeg
        .guarded(&VideoLimits::default())
        .args(clip(video, start, end, cut, &half))
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io(ffmpeg.program(), "start"))?;
    if output.status.success() {
        return std::fs::rename(&half, out).map_err(Error::io(out, "write"));
    }
    // What was begun is no clip.
    drop(std::fs::remove_file(&half));
    let log = String::from_utf8_lossy(&output.stderr);
    let last = log.lines().last().unwrap_or("it says nothing").trim().to_owned();
    Err(Error::format(out, format!("ffmpeg cannot write this clip: {last}")))
}

//! What a video file holds, from its headers.

use super::ffmpeg::reason;
use super::{Ffmpeg, VideoLimits};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

pub(super) const EXPECTED: &str = "a video that FFmpeg reads";

/// A video file whose headers are within the limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// The file.
    pub path: PathBuf,
    /// Pixels of the picture as stored, before rotation: width and height. `None`: the file has no picture track.
    pub size: Option<(u32, u32)>,
    /// As the container claims, in seconds.
    pub duration: Option<f64>,
    /// Samples per second of the first sound track, if there is one.
    pub sample_rate: Option<u32>,
}

impl Ffmpeg {
    /// Reads the headers of `path`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Media`] for anything but a video or sound file, [`Error::Limit`].
    pub fn probe(&self, path: &Path, limits: &VideoLimits) -> Result<Video> {
        let meta = std::fs::metadata(path).map_err(Error::io(path, "read"))?;
        if !meta.is_file() {
            return Err(Error::media(path, EXPECTED, "something that is not a regular file"));
        }
        if meta.len() == 0 {
            return Err(Error::media(path, EXPECTED, "an empty file"));
        }
        // Without an output ffmpeg reads the headers, tells of them, and ends.
        let output = self.on(path, limits, &[]).output().map_err(self.cannot_start())?;
        let log = String::from_utf8_lossy(&output.stderr);
        if output.status.code().is_none() {
            // A signal: the process that it is in is there for this.
            return Err(Error::media(path, EXPECTED, format!("one that crashes it ({})", output.status)));
        }
        let video = parse(path, &log).ok_or_else(|| Error::media(path, EXPECTED, reason(&log)))?;
        if video.size.is_none() && video.sample_rate.is_none() {
            return Err(Error::media(path, EXPECTED, "one without a picture or sound track"));
        }
        if let Some((width, height)) = video.size {
            if width == 0 || height == 0 {
                return Err(Error::media(path, EXPECTED, "a picture track without a size"));
            }
            if u64::from(width) * u64::from(height) > limits.max_pixels {
                return Err(Error::Limit {
                    path: path.to_path_buf(),
                    what: "a frame",
                    found: format!("{width} x {height} pixels"),
                    limit: format!("{} pixels", limits.max_pixels),
                    option: "max_pixels",
                });
            }
        }
        match video.duration {
            Some(seconds) if seconds > limits.max_seconds => Err(Error::Limit {
                path: path.to_path_buf(),
                what: "the video",
                found: format!("{seconds:.1} seconds"),
                limit: format!("{} seconds", limits.max_seconds),
                option: "max_seconds",
            }),
            _ => Ok(video),
        }
    }
}

fn parse(path: &Path, log: &str) -> Option<Video> {
    if !log.lines().any(|l| l.starts_with("[info] Input #0")) {
        return None;
    }
    let mut video = Video { path: path.to_path_buf(), size: None, duration: None, sample_rate: None };
    for line in log.lines() {
        let Some(line) = line.strip_prefix("[info] ") else { continue };
        // Titles and comments are strangers' text: they stand deeper.
        if let Some(rest) = line.strip_prefix("  Duration: ") {
            video.duration = rest.split(',').next().and_then(clock);
        } else if line.starts_with("  Stream #0:") {
            if let Some((_, about)) = line.split_once(": Video: ") {
                if video.size.is_none() && !about.contains("(attached pic)") {
                    video.size = Some(about.split(", ").find_map(size).unwrap_or((0, 0)));
                }
            } else if let Some((_, about)) = line.split_once(": Audio: ")
                && video.sample_rate.is_none()
            {
                video.sample_rate = about.split(", ").find_map(|part| part.strip_suffix(" Hz")?.parse().ok());
            }
        }
    }
    Some(video)
}

/// `640x272 [SAR 1:1 DAR 40:17]`.
fn size(part: &str) -> Option<(u32, u32)> {
    let (width, height) = part.split(' ').next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// `00:01:10.05` in seconds.
fn clock(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}

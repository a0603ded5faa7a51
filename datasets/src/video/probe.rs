//! What a video file holds, from its headers.

use super::ffmpeg::reason;
use super::{Ffmpeg, Layout, VideoLimits};
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
    /// FFmpeg's name of the pixel format.
    pub form: Option<String>,
    /// Its frames are planar YUV 4:2:0 of 8 bits and of limited range, with even sides, and are shown as they are stored: not turned.
    pub plain: bool,
    /// As the container claims, in seconds.
    pub duration: Option<f64>,
    /// The average of frames a second, as FFmpeg tells it: two decimals.
    pub rate: Option<f64>,
    /// Samples per second of the first sound track, if there is one.
    pub sample_rate: Option<u32>,
}

impl Video {
    /// The layout in which whole frames come: as they are decoded where that is planar YUV 4:2:0 of 8 bits, else converted.
    pub fn layout(&self) -> Layout {
        let even = self.size.is_some_and(|(width, height)| width % 2 == 0 && height % 2 == 0);
        match self.form.as_deref() {
            Some("yuv420p") if even => Layout::Yuv420 { full_range: false },
            Some("yuvj420p") if even => Layout::Yuv420 { full_range: true },
            _ => Layout::Bgr,
        }
    }
}

impl Ffmpeg {
    /// Reads the headers of `path`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Media`] for anything but a video or sound file, [`Error::Limit`].
    pub fn probe(&self, path: &Path, limits: &VideoLimits) -> Result<Video> {
        crate::address::refuse(path)?;
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
    let mut video = Video {
        path: path.to_path_buf(),
        size: None,
        form: None,
        plain: false,
        duration: None,
        rate: None,
        sample_rate: None,
    };
    let mut turned = false;
    for line in log.lines() {
        let Some(line) = line.strip_prefix("[info] ") else { continue };
        // Titles may say so too: then whole frames come, and nothing else changes.
        if line.contains("displaymatrix: rotation of") {
            turned = true;
        }
        // Titles and comments are strangers' text: they stand deeper.
        if let Some(rest) = line.strip_prefix("  Duration: ") {
            video.duration = rest.split(',').next().and_then(clock);
        } else if line.starts_with("  Stream #0:") {
            if let Some((_, about)) = line.split_once(": Video: ") {
                if video.size.is_none() && !about.contains("(attached pic)") {
                    video.size = Some(about.split(", ").find_map(size).unwrap_or((0, 0)));
                    // `h264 (Main) (avc1 / 0x31637661), yuv420p(tv, bt709), 1280x720`.
                    let form = about.split(", ").nth(1).and_then(|f| f.split(['(', ' ']).next());
                    video.form = form.map(str::to_owned);
                    let even = video.size.is_some_and(|(w, h)| w.is_multiple_of(2) && h.is_multiple_of(2));
                    video.plain = even && form == Some("yuv420p") && !about.contains("yuv420p(pc");
                    video.rate = about.split(", ").find_map(|part| number(part.strip_suffix(" fps")?));
                }
            } else if let Some((_, about)) = line.split_once(": Audio: ")
                && video.sample_rate.is_none()
            {
                video.sample_rate = about.split(", ").find_map(|part| part.strip_suffix(" Hz")?.parse().ok());
            }
        }
    }
    video.plain &= !turned;
    Some(video)
}

/// `640x272 [SAR 1:1 DAR 40:17]`.
fn size(part: &str) -> Option<(u32, u32)> {
    let (width, height) = part.split(' ').next()?.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// `23.98`, or `1k`.
fn number(text: &str) -> Option<f64> {
    match text.strip_suffix('k') {
        Some(thousands) => Some(thousands.parse::<f64>().ok()? * 1000.0),
        None => text.parse().ok(),
    }
}

/// `00:01:10.05` in seconds.
fn clock(text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    for part in text.split(':') {
        seconds = seconds * 60.0 + part.parse::<f64>().ok()?;
    }
    Some(seconds)
}

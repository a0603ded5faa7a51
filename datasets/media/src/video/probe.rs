//! What a video file holds, from its headers.

use super::ffmpeg::reason;
use super::{Ffmpeg, Layout, VideoLimits};
use crate::{Blob, Error, Result};
use std::path::Path;

pub(super) const EXPECTED: &str = "a video that FFmpeg reads";

/// Containers with an index of their key frames, as FFmpeg's names of them begin.
const INDEXED: [&str; 2] = ["mov,mp4,", "matroska,"];
/// Codecs whose key frames depend on nothing before them.
const SEEKABLE: [&str; 9] = ["h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "mjpeg", "prores"];

/// A video file whose headers are within the limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Video {
    /// What it is read from.
    pub blob: Blob,
    /// Pixels of the image as stored, before rotation: width and height. `None`: the file has no video track.
    pub size: Option<(u32, u32)>,
    /// FFmpeg's name of the pixel format.
    pub form: Option<String>,
    /// Its frames are planar YUV 4:2:0 of 8 bits and of limited range, with even sides, and are shown as they are stored: not turned.
    pub plain: bool,
    /// Decoding may begin at any of its key frames: its container has an index of them, and its codec makes them depend on nothing.
    pub seeks: bool,
    /// As the container claims, in seconds.
    pub duration: Option<f64>,
    /// The average of frames a second, as FFmpeg tells it: two decimals.
    pub rate: Option<f64>,
    /// Samples per second of the audio track that is heard, if there is one.
    pub sample_rate: Option<u32>,
    /// Which of the audio tracks is heard, counted from 0: the chosen one, or the one that the container calls its default, or the first.
    pub audio: usize,
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
    /// Reads the headers of a file.
    ///
    /// # Errors
    /// [`Error::Files`], [`Error::Media`] for anything but a video or audio file, or one without the chosen audio track, [`Error::Limit`].
    pub fn probe(&self, from: impl Into<Blob>, limits: &VideoLimits) -> Result<Video> {
        let blob = from.into();
        let refuse = |found: &str| Error::media(blob.name(), EXPECTED, found);
        let look = || self.headers(&blob, limits, &refuse).map(|(video, _)| video);
        self.known_headers(&blob, limits, look)
    }

    /// [`probe`](Self::probe), and what ffmpeg said; `refuse` makes an error of what was found.
    pub(super) fn headers(
        &self,
        blob: &Blob,
        limits: &VideoLimits,
        refuse: &dyn Fn(&str) -> Error,
    ) -> Result<(Video, String)> {
        // A pipe has no headers to go back to, a device may have no end: FFmpeg is not given them.
        if blob.open()?.is_empty() {
            return Err(refuse("an empty file"));
        }
        // Without an output ffmpeg reads the headers, tells of them, and ends.
        let output = self.on(blob, limits, &[])?.output().map_err(self.cannot_start())?;
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code().is_none() {
            // A signal: the process that it is in is there for this.
            return Err(refuse(&format!("one that crashes it ({})", output.status)));
        }
        let (mut video, audios) = parse(blob, &log).ok_or_else(|| refuse(&reason(&log)))?;
        if let Some(track) = self.track() {
            let place = usize::from(track).checked_sub(1).filter(|place| *place < audios.len());
            video.audio = place.ok_or_else(|| no_track(blob.name(), track, &audios))?;
        }
        video.sample_rate = audios.get(video.audio).and_then(|audio| audio.rate);
        if video.size.is_none() && video.sample_rate.is_none() {
            return Err(refuse("one without an image or audio track"));
        }
        if let Some((width, height)) = video.size {
            if width == 0 || height == 0 {
                return Err(refuse("a video track without a size"));
            }
            if u64::from(width) * u64::from(height) > limits.max_pixels {
                return Err(Error::Limit {
                    path: blob.name().to_path_buf(),
                    what: "a frame",
                    found: format!("{width} x {height} pixels"),
                    limit: format!("{} pixels", limits.max_pixels),
                    option: "max_pixels",
                });
            }
        }
        if video.size.is_some() && video.duration.is_some_and(|seconds| seconds > limits.max_seconds) {
            // A clock that jumps makes minutes a day: what the headers claim is from the first time to the last.
            video.duration = self.lasts(&video, limits)?.or(video.duration);
        }
        match video.duration {
            Some(seconds) if seconds > limits.max_seconds => Err(Error::Limit {
                path: blob.name().to_path_buf(),
                what: if video.size.is_some() { "the video" } else { "the audio" },
                found: format!("{seconds:.1} seconds"),
                limit: format!("{} seconds", limits.max_seconds),
                option: "max_seconds",
            }),
            _ => Ok((video, log)),
        }
    }
}

/// An audio track as its line tells of it.
#[derive(Debug)]
struct AudioTrack {
    rate: Option<u32>,
    default: bool,
    /// `eng, aac, stereo`.
    about: String,
}

fn no_track(path: &Path, wanted: u16, audios: &[AudioTrack]) -> Error {
    let list = audios.iter().enumerate().map(|(i, audio)| format!("{} ({})", i + 1, audio.about));
    let found = match audios.len() {
        0 => "none".to_owned(),
        n => format!("{n}: {}", list.take(16).collect::<Vec<_>>().join(", ")),
    };
    Error::media(path, format!("audio track {wanted}"), found)
}

/// `  Stream #0:1[0x2](eng): Audio: aac (LC), 44100 Hz, stereo, fltp, 128 kb/s (default)`.
fn audio_track(line: &str, about: &str) -> AudioTrack {
    let language = line.split(": Audio: ").next().and_then(|head| head.strip_suffix(')')?.rsplit_once('('));
    let codec = about.split([' ', ',']).next();
    let mut parts = about.split(", ").skip_while(|part| !part.ends_with(" Hz"));
    let rate = parts.next().and_then(|part| part.strip_suffix(" Hz")?.parse().ok());
    let default = about.contains("(default)");
    let words = [language.map(|(_, code)| code).filter(|code| *code != "und"), codec, parts.next()];
    let mut about = words.into_iter().flatten().collect::<Vec<_>>().join(", ");
    if default {
        about += ", default";
    }
    AudioTrack { rate, default, about }
}

/// The file, and its audio tracks; the heard one is the container's choice.
fn parse(blob: &Blob, log: &str) -> Option<(Video, Vec<AudioTrack>)> {
    if !log.lines().any(|l| l.starts_with("[info] Input #0")) {
        return None;
    }
    let mut video = Video {
        blob: blob.clone(),
        size: None,
        form: None,
        plain: false,
        seeks: false,
        duration: None,
        rate: None,
        sample_rate: None,
        audio: 0,
    };
    let mut audios = Vec::new();
    let mut turned = false;
    let container = log.lines().find_map(|l| l.strip_prefix("[info] Input #0, "));
    let indexed = container.is_some_and(|c| INDEXED.iter().any(|name| c.starts_with(name)));
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
                    let codec = about.split([' ', ',']).next();
                    video.seeks = indexed && codec.is_some_and(|codec| SEEKABLE.contains(&codec));
                    let form = about.split(", ").nth(1).and_then(|f| f.split(['(', ' ']).next());
                    video.form = form.map(str::to_owned);
                    let even = video.size.is_some_and(|(w, h)| w.is_multiple_of(2) && h.is_multiple_of(2));
                    video.plain = even && form == Some("yuv420p") && !about.contains("yuv420p(pc");
                    video.rate = about.split(", ").find_map(|part| number(part.strip_suffix(" fps")?));
                }
            } else if let Some((_, about)) = line.split_once(": Audio: ") {
                audios.push(audio_track(line, about));
            }
        }
    }
    video.plain &= !turned;
    video.audio = audios.iter().position(|audio| audio.default).unwrap_or(0);
    Some((video, audios))
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

//! Frames as they come, each with its time; decoding runs ahead in its own process.

use super::ffmpeg::reason;
use super::probe::EXPECTED;
use super::{Ffmpeg, Ratio, Time, Video, VideoLimits};
use crate::{Error, Result};
use image::RgbImage;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Which frames, and how large.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameOptions {
    /// Only those at exactly these times, of one base; `None`: all.
    pub only: Option<Vec<Time>>,
    /// Width and height to scale to; `None`: as they are, turned as the container says.
    pub size: Option<(u32, u32)>,
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// When it is shown.
    pub time: Time,
    /// What is shown.
    pub picture: RgbImage,
}

/// What could not be decoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failures {
    /// Complaints of the decoder and the container's reader.
    pub count: usize,
    /// The words of the first of them. Their places are the times of the [`index`](Ffmpeg::index) for which no frame came: the decoder
    /// runs ahead of what it shows, so a line of its log has no place.
    pub first: Option<String>,
}

/// How far the decoder is, for the one that watches it.
#[derive(Debug, Default)]
struct Pulse {
    /// Bytes that have come.
    beats: AtomicU64,
    /// It is waited for: nobody else is to blame.
    waiting: AtomicBool,
    /// It was ended for its silence.
    silent: AtomicBool,
}

/// Lines of the decoder's log: times go on at once, the rest is kept.
struct Log {
    failures: Failures,
    text: String,
}

/// Frames of a video in the order in which they are shown. Ends at the video's end, or with one error. Dropping it ends the decoder.
#[derive(Debug)]
pub struct Frames {
    path: PathBuf,
    child: Arc<Mutex<Child>>,
    out: BufReader<Beating>,
    times: Receiver<Time>,
    log: Option<JoinHandle<Log>>,
    pulse: Arc<Pulse>,
    _watch: Sender<()>,
    limits: VideoLimits,
    count: u64,
    failures: Failures,
    ended: bool,
}

/// A pipe that tells that it lives.
#[derive(Debug)]
struct Beating {
    pipe: std::process::ChildStdout,
    pulse: Arc<Pulse>,
}

impl Read for Beating {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.pulse.waiting.store(true, Ordering::Relaxed);
        let n = self.pipe.read(into);
        self.pulse.waiting.store(false, Ordering::Relaxed);
        self.pulse.beats.fetch_add(1, Ordering::Relaxed);
        n
    }
}

impl Ffmpeg {
    /// Decodes `video`.
    ///
    /// # Errors
    /// [`Error::Media`] for a file without a picture track; ffmpeg cannot be started.
    pub fn frames(&self, video: &Video, options: &FrameOptions, limits: &VideoLimits) -> Result<Frames> {
        let path = video.path.clone();
        if video.size.is_none() {
            return Err(Error::media(&path, "a picture track", "only sound"));
        }
        let mut filter = String::new();
        if let Some(times) = &options.only {
            let equal: Vec<String> = times.iter().map(|t| format!("eq(pts,{})", t.pts)).collect();
            filter += &format!("select='{}',", equal.join("+"));
        }
        filter += "showinfo=checksum=0";
        if let Some((width, height)) = options.size {
            filter += &format!(",scale={width}:{height}:flags=area");
        }
        let most = match &options.only {
            Some(times) => times.len() as u64,
            None => limits.max_frames + 1,
        }
        .to_string();
        #[rustfmt::skip]
        let pictures = [
            "-map", "0:V:0", "-copyts", "-fps_mode", "passthrough", "-vf", &filter, "-frames:v", &most,
            "-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "pipe:1",
        ];
        let mut child = self.on(&path, limits, &pictures).spawn().map_err(self.cannot_start())?;
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(Error::media(&path, EXPECTED, "no pipes to ffmpeg"));
        };
        let (sender, times) = mpsc::channel();
        let log = std::thread::spawn(move || follow(BufReader::new(err), &sender));
        let child = Arc::new(Mutex::new(child));
        let pulse = Arc::new(Pulse::default());
        let (keep, ends) = mpsc::channel();
        let (watched, patience) = (Arc::clone(&child), Duration::from_secs_f64(limits.max_silence.max(0.1)));
        let seen = Arc::clone(&pulse);
        std::thread::spawn(move || watch(&watched, &seen, &ends, patience));
        Ok(Frames {
            path,
            child,
            out: BufReader::with_capacity(1 << 16, Beating { pipe: out, pulse: Arc::clone(&pulse) }),
            times,
            log: Some(log),
            pulse,
            _watch: keep,
            limits: *limits,
            count: 0,
            failures: Failures::default(),
            ended: false,
        })
    }
}

/// Ends a decoder that is waited for and says nothing.
fn watch(child: &Mutex<Child>, pulse: &Pulse, ends: &Receiver<()>, patience: Duration) {
    let mut before = None;
    while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(patience) {
        let now = pulse.beats.load(Ordering::Relaxed);
        if pulse.waiting.load(Ordering::Relaxed) && before == Some(now) {
            pulse.silent.store(true, Ordering::Relaxed);
            drop(child.lock().unwrap_or_else(PoisonError::into_inner).kill());
            return;
        }
        before = Some(now);
    }
}

/// A broken file's log may be endless: so much of it is kept.
const KEPT: usize = 1 << 16;

fn follow(mut lines: impl BufRead, times: &Sender<Time>) -> Log {
    let mut log = Log { failures: Failures::default(), text: String::new() };
    let (mut base, mut rate) = (Ratio { num: 1, den: 1 }, Ratio { num: 25, den: 1 });
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line without an end is cut.
        match lines.by_ref().take(1 << 16).read_until(b'\n', &mut line) {
            Ok(n) if n > 0 => {}
            _ => return log,
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if let Some(shown) = text.strip_prefix("[Parsed_showinfo_").and_then(|l| l.split_once("] [info] ")) {
            let shown = shown.1;
            if let Some(config) = shown.strip_prefix("config in time_base: ") {
                let mut parts = config.split(", frame_rate: ");
                base = parts.next().and_then(|t| t.parse().ok()).unwrap_or(base);
                rate = parts.next().and_then(|t| t.parse().ok()).unwrap_or(rate);
            } else if let Some(rest) = shown.strip_prefix("n:") {
                let first = |text: &str| text.split_whitespace().next().and_then(|n| n.parse::<i64>().ok());
                let Some(n) = first(rest) else { continue };
                let pts = rest.split_once("pts:").and_then(|(_, rest)| first(rest));
                let time = match pts {
                    Some(pts) => Time { pts, base },
                    // No time at all (raw streams): counted at the stream's rate.
                    None => Time { pts: n, base: Ratio { num: rate.den, den: rate.num } },
                };
                // Where nobody wants more, the rest is read so that the decoder can end.
                let _ = times.send(time);
            }
            continue;
        }
        if let Some((_, words)) = text.split_once("[error] ").or_else(|| text.split_once("[fatal] ")) {
            log.failures.count += 1;
            log.failures.first.get_or_insert_with(|| words.to_owned());
        }
        if log.text.len() < KEPT {
            log.text += text;
            log.text.push('\n');
        }
    }
}

impl Frames {
    /// What could not be decoded; whole once the frames have ended.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    fn read(&mut self) -> Result<Option<Frame>> {
        let Some((width, height)) = self.header()? else { return self.end().map(|()| None) };
        if u64::from(width) * u64::from(height) > self.limits.max_pixels {
            return Err(Error::media(&self.path, EXPECTED, format!("a frame of {width} x {height} pixels")));
        }
        let mut pixels = vec![0; width as usize * height as usize * 3];
        if self.out.read_exact(&mut pixels).is_err() {
            return self.end().map(|()| None);
        }
        self.count += 1;
        if self.count > self.limits.max_frames {
            return Err(Error::Limit {
                path: self.path.clone(),
                what: "the video",
                found: format!("more than {} frames", self.limits.max_frames),
                limit: format!("{} frames", self.limits.max_frames),
                option: "max_frames",
            });
        }
        let time = match self.times.recv() {
            Ok(time) => time,
            Err(_) => return Err(Error::media(&self.path, "a time for each frame", "a frame without one")),
        };
        let picture = RgbImage::from_raw(width, height, pixels);
        picture
            .map(|picture| Some(Frame { time, picture }))
            .ok_or_else(|| Error::media(&self.path, EXPECTED, "an empty frame"))
    }

    /// `P6\n640 272\n255\n`; `None` at the end.
    fn header(&mut self) -> Result<Option<(u32, u32)>> {
        let mut words = Vec::new();
        for _ in 0..3 {
            let mut line = Vec::new();
            match self.out.by_ref().take(64).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => words.push(String::from_utf8_lossy(&line).trim().to_owned()),
            }
        }
        let size = words[1].split_once(' ').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
        match size {
            Some(size) if words[0] == "P6" && words[2] == "255" => Ok(Some(size)),
            _ => Err(Error::media(&self.path, "frames as PPM from ffmpeg", words.join(" "))),
        }
    }

    /// The decoder has ended: how?
    fn end(&mut self) -> Result<()> {
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        let log = self.log.take().and_then(|thread| thread.join().ok());
        let text = log.map(|log| {
            self.failures = log.failures;
            log.text
        });
        if self.pulse.silent.load(Ordering::Relaxed) {
            return Err(Error::Limit {
                path: self.path.clone(),
                what: "the decoder's silence",
                found: format!("over {} seconds after {} frames", self.limits.max_silence, self.count),
                limit: format!("{} seconds", self.limits.max_silence),
                option: "max_silence",
            });
        }
        // Damage after the first frame is a failure that is told, not an end of everything.
        if self.count == 0 && !status.is_ok_and(|s| s.success()) {
            return Err(Error::media(&self.path, EXPECTED, reason(&text.unwrap_or_default())));
        }
        Ok(())
    }
}

impl Iterator for Frames {
    type Item = Result<Frame>;

    fn next(&mut self) -> Option<Result<Frame>> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended already.
        drop(child.kill());
        drop(child.wait());
    }
}

//! The audio of a video file, and of audio files that the kept decoders do not read.

use super::ffmpeg::reason;
use super::log::Log;
use super::watchdog::WatchedChild;
use super::{Ffmpeg, Ratio, Span, Time, Video, VideoLimits};
use crate::decode::{Mix, piped};
use crate::{Audio, Blob, Error, Result};
use std::io::Read;
use std::path::Path;
use std::process::ExitStatus;
use std::thread::JoinHandle;

impl Ffmpeg {
    /// When the audio track begins, on the container's clock; `None` where there is none or it has no times.
    ///
    /// # Errors
    /// The system's.
    pub fn audio_start(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Time>> {
        if video.sample_rate.is_none() {
            return Ok(None);
        }
        let first =
            ["-copyts", "-map", &track(video), "-af", "ashowinfo", "-frames:a", "1", "-f", "null", "-"];
        let output = self.on(&video.blob, limits, &first)?.output().map_err(self.cannot_start())?;
        let log = String::from_utf8_lossy(&output.stderr);
        let line = log.lines().find(|l| l.starts_with("[Parsed_ashowinfo") && l.contains(" pts:"));
        let value = |name: &str| line?.split_once(name)?.1.split_whitespace().next();
        let (pts, rate) = (value(" pts:"), value(" rate:"));
        // Filters count audio in samples.
        Ok(pts
            .and_then(|p| p.parse().ok())
            .zip(rate.and_then(|r| r.parse().ok()))
            .and_then(|(pts, den)| (den > 0).then_some(Time { pts, base: Ratio { num: 1, den } })))
    }

    /// The audio track, mixed to one channel, at its own rate.
    ///
    /// # Errors
    /// [`Error::Media`] where there is none or nothing of it can be decoded, [`Error::Limit`].
    pub fn audio(&self, video: &Video, limits: &VideoLimits) -> Result<Audio> {
        self.audio_span(video, &Span::WHOLE, limits)
    }

    /// [`audio`](Self::audio) of a part of the video, to the microsecond.
    ///
    /// # Errors
    /// As [`audio`](Self::audio); a part without audio has none that can be decoded.
    pub fn audio_span(&self, video: &Video, span: &Span, limits: &VideoLimits) -> Result<Audio> {
        let found = match video.sample_rate {
            None => "none".to_owned(),
            Some(_) => format!("none in the part {span}"),
        };
        self.audio_if_any(video, span, limits)?
            .ok_or_else(|| Error::media(video.blob.name(), "an audio track", found))
    }

    /// [`audio_span`](Self::sound_span), and `None` where the file has no audio track or nothing of it is in that part.
    ///
    /// # Errors
    /// [`Error::Media`] where nothing of a track can be decoded, [`Error::Limit`].
    pub fn audio_if_any(&self, video: &Video, span: &Span, limits: &VideoLimits) -> Result<Option<Audio>> {
        let path = video.blob.name();
        let Some(rate) = video.sample_rate else { return Ok(None) };
        let (rate_text, track, trim) = (rate.to_string(), track(video), trim(span));
        let mut after = vec!["-map", &track];
        if !span.is_whole() {
            // The container's own clock, as frames have it.
            after.extend(["-copyts", "-af", &trim]);
        }
        after.extend(["-ac", "1", "-ar", &rate_text, "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"]);
        let mut run = Run::start(self, &video.blob, limits, &after)?;
        let mut samples: Vec<f32> = Vec::new();
        let most = (limits.max_seconds * f64::from(rate)) as usize;
        let read = run.samples(Vec::new(), &mut |block| {
            samples.extend(block.iter().map(|s| s.clamp(-1.0, 1.0)));
            samples.len() <= most
        });
        let (log, status) = run.end(samples.len() > most || read.is_err());
        read.map_err(Error::io(path, "decode"))?;
        if samples.len() > most {
            return Err(too_long(path, limits));
        }
        if samples.is_empty() || samples.iter().any(|s| !s.is_finite()) {
            if samples.is_empty() && !span.is_whole() && status.is_ok_and(|status| status.success()) {
                return Ok(None);
            }
            return Err(Error::media(path, "an audio track of finite samples", reason(&log.text)));
        }
        Ok(Some(Audio { samples, sample_rate: rate }))
    }

    /// The audio of a file that is one: whole, its channels mixed to their mean. `refuse` makes an error of what was found.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Files`], and what `refuse` makes: also where the file is cut off.
    pub(crate) fn listen(
        &self,
        blob: &Blob,
        limits: &VideoLimits,
        refuse: &dyn Fn(&str) -> Error,
    ) -> Result<Audio> {
        // Of two runs; both read one copy.
        let _lent = blob.lend()?;
        let path = blob.name();
        let (video, headers) = self.headers(blob, limits, refuse)?;
        if video.sample_rate.is_none() {
            return Err(refuse("one without an audio track"));
        }
        let track = track(&video);
        let after = [
            "-map",
            &track,
            "-map_metadata",
            "-1",
            "-fflags",
            "+bitexact",
            "-c:a",
            "pcm_f32le",
            "-f",
            "wav",
            "pipe:1",
        ];
        let mut run = Run::start(self, blob, limits, &after)?;
        // The number of channels and the rate are the decoder's, not the container's: headers of some codecs tell half of both.
        let head = run.head().map_err(Error::io(path, "decode"))?;
        let Some((channels, rate, start)) = piped(&head) else {
            let (log, _) = run.end(true);
            return Err(refuse(&reason(&log.text)));
        };
        let mut mix = Mix::new(channels);
        let most = (limits.max_seconds * f64::from(rate)) as usize;
        let read = run.samples(head[start..].to_vec(), &mut |block| {
            mix.push(block);
            mix.len() <= most
        });
        let over = mix.len() > most;
        let (log, status) = run.end(over || read.is_err());
        read.map_err(Error::io(path, "decode"))?;
        if over {
            return Err(too_long(path, limits));
        }
        let audio = Audio { samples: mix.finish(), sample_rate: rate };
        if audio.samples.is_empty() || !status.is_ok_and(|status| status.success()) {
            return Err(refuse(&reason(&log.text)));
        }
        match cut(&video, &headers, &log.text, audio.seconds()) {
            Some(found) => Err(refuse(&found)),
            None => Ok(audio),
        }
    }
}

/// What ffmpeg calls the audio track that is heard.
fn track(video: &Video) -> String {
    format!("0:a:{}", video.audio)
}

fn too_long(path: &Path, limits: &VideoLimits) -> Error {
    Error::Limit {
        path: path.to_path_buf(),
        what: "the audio",
        found: format!("more than {} seconds", limits.max_seconds),
        limit: format!("{} seconds", limits.max_seconds),
        option: "max_seconds",
    }
}

/// A decoder whose samples come through a pipe.
struct Run {
    child: WatchedChild,
    log: Option<JoinHandle<Log>>,
}

impl Run {
    fn start(ffmpeg: &Ffmpeg, blob: &Blob, limits: &VideoLimits, output: &[&str]) -> Result<Self> {
        let mut child = ffmpeg.on(blob, limits, output)?.spawn().map_err(ffmpeg.cannot_start())?;
        let log = child.stderr.take().map(|err| std::thread::spawn(move || Log::follow(err, "", &[])));
        Ok(Self { child, log })
    }

    /// What comes first: enough for any head.
    fn head(&mut self) -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.take(4096).read_to_end(&mut head)?;
        }
        Ok(head)
    }

    /// Hands on the samples that come behind `bytes`, until the end or until `more` says no.
    fn samples(&mut self, mut bytes: Vec<u8>, more: &mut dyn FnMut(&[f32]) -> bool) -> std::io::Result<()> {
        let Some(stdout) = &mut self.child.stdout else { return Ok(()) };
        let mut samples = Vec::new();
        loop {
            let (whole, rest) = bytes.as_chunks::<4>();
            samples.clear();
            samples.extend(whole.iter().map(|b| f32::from_le_bytes(*b)));
            if !more(&samples) {
                return Ok(());
            }
            bytes = rest.to_vec();
            if stdout.take(1 << 18).read_to_end(&mut bytes)? == 0 {
                return Ok(());
            }
        }
    }

    /// Waits for the end, or makes it.
    fn end(mut self, now: bool) -> (Log, std::io::Result<ExitStatus>) {
        if now {
            // It may have ended already.
            drop(self.child.kill());
        }
        // Nothing more is read: it must not wait for that.
        drop(self.child.stdout.take());
        let status = self.child.wait();
        (self.log.take().and_then(|thread| thread.join().ok()).unwrap_or_default(), status)
    }
}

/// Formats without a head for the whole: frames follow each other until they end, in the middle of one where a recording was stopped.
const STREAMS: [&str; 12] =
    ["aac", "ac3", "amr", "dts", "dtshd", "eac3", "loas", "mp3", "mpeg", "mpegts", "flac", "wav"];

/// Whether the end of a file is missing, in words.
fn cut(video: &Video, headers: &str, log: &str, seconds: f64) -> Option<String> {
    let format = headers.split_once("Input #0, ").and_then(|(_, rest)| rest.split([',', ' ']).next())?;
    if STREAMS.contains(&format) {
        return None;
    }
    let marks = ["partial file", "File ended prematurely", "Packet corrupt", "Error during demuxing"];
    if marks.iter().any(|mark| log.contains(mark)) {
        return Some("one that is cut off".into());
    }
    // The length of the whole is that of the one track, and told, not guessed.
    let tracks =
        |kind: &str| headers.lines().filter(|l| l.contains("Stream #0:") && l.contains(kind)).count();
    let alone = video.size.is_none() && tracks(": Audio: ") == 1;
    let told = video.duration.filter(|_| alone && !headers.contains("Estimating duration"))?;
    let start =
        headers.split_once(", start: ").and_then(|(_, rest)| rest.split(',').next()?.parse::<f64>().ok());
    let missing = told - seconds - start.unwrap_or(0.0).max(0.0);
    (missing > 0.25 + told / 100.0).then(|| format!("one that is cut off: {seconds:.1} of {told:.1} seconds"))
}

/// The filter that keeps a part of the audio.
fn trim(span: &Span) -> String {
    let side = |name: &str, time: Option<super::Time>| {
        time.map_or_else(String::new, |t| format!(":{name}={:.6}", t.seconds()))
    };
    let trim = format!("atrim{}{}", side("start", span.start), side("end", span.end)).replacen(':', "=", 1);
    // Parts are told by times that run on, as frames' do.
    format!("{},{trim}", super::clock::AUDIO)
}

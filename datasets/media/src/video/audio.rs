//! The audio of a video file.

use super::audio_run::AudioRun;
use super::ffmpeg::reason;
use super::{Ffmpeg, Ratio, Span, Time, Video, VideoLimits};
use crate::{Audio, Error, Result};
use std::path::Path;

impl Ffmpeg {
    /// When the audio track begins, on the container's clock; `None` where there is none or it has no times.
    ///
    /// # Errors
    /// The system's.
    pub fn audio_start(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Time>> {
        if video.sample_rate.is_none() {
            return Ok(None);
        }
        let known = self.known_audio(video, limits, |known| match known.start {
            Some(start) => Ok(start),
            None => self.look_start(video, limits).inspect(|start| known.start = Some(*start)),
        });
        known.unwrap_or_else(|| self.look_start(video, limits))
    }

    fn look_start(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Time>> {
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

    /// [`audio_span`](Self::audio_span), and `None` where the file has no audio track or nothing of it is in that part.
    ///
    /// # Errors
    /// [`Error::Media`] where nothing of a track can be decoded, [`Error::Limit`].
    pub fn audio_if_any(&self, video: &Video, span: &Span, limits: &VideoLimits) -> Result<Option<Audio>> {
        let Some(rate) = video.sample_rate else { return Ok(None) };
        match self.sought(video, span, limits)? {
            Some(samples) => Ok((!samples.is_empty()).then_some(Audio { samples, sample_rate: rate })),
            None => self.audio_from_start(video, span, limits),
        }
    }

    /// [`audio_if_any`](Self::audio_if_any), decoded from the start of the file on.
    pub(super) fn audio_from_start(
        &self,
        video: &Video,
        span: &Span,
        limits: &VideoLimits,
    ) -> Result<Option<Audio>> {
        let Some(sample_rate) = video.sample_rate else { return Ok(None) };
        let mut samples = Vec::new();
        let mut keep = |block: &[f32]| {
            samples.extend_from_slice(block);
            true
        };
        self.decoded(video, span, limits, &mut keep)?;
        Ok((!samples.is_empty()).then_some(Audio { samples, sample_rate }))
    }

    /// The audio track as [`audio`](Self::audio) has it, piece by piece, each of at most 2^16 samples: the next is decoded when `more` has taken
    /// one and wants it. An error says that what came before it is of no use either.
    ///
    /// # Errors
    /// As [`audio`](Self::audio).
    pub fn audio_pieces(
        &self,
        video: &Video,
        limits: &VideoLimits,
        more: &mut dyn FnMut(&[f32]) -> bool,
    ) -> Result<()> {
        if video.sample_rate.is_none() {
            return Err(Error::media(video.blob.name(), "an audio track", "none"));
        }
        self.decoded(video, &Span::WHOLE, limits, more)
    }

    /// Hands on what is decoded of a part, from the start of the file on.
    fn decoded(
        &self,
        video: &Video,
        span: &Span,
        limits: &VideoLimits,
        more: &mut dyn FnMut(&[f32]) -> bool,
    ) -> Result<()> {
        let path = video.blob.name();
        let (track, filters, form) = (track(video), filters(span), Form::of(video));
        let mut after = vec!["-map", &track];
        if !span.is_whole() {
            // The container's own clock, as frames have it.
            after.push("-copyts");
        }
        after.extend(["-af", &filters]);
        after.extend(form.words());
        after.push("pipe:1");
        let mut run = AudioRun::start(self, &video.blob, limits, None, &after, "")?;
        let mut kept = Kept::new(video, limits);
        let read = run.samples(Vec::new(), &mut |block| kept.take(block) && more(&kept.block));
        let (log, status) = run.end(kept.ended || read.is_err());
        read.map_err(Error::io(path, "decode"))?;
        if kept.over() {
            return Err(too_long(path, limits));
        }
        if kept.count == 0 || kept.broken {
            if kept.count == 0 && !span.is_whole() && status.is_ok_and(|status| status.success()) {
                return Ok(());
            }
            return Err(Error::media(path, "an audio track of finite samples", reason(&log.text)));
        }
        Ok(())
    }
}

/// The form in which samples come: one channel, at the track's own rate.
pub(super) struct Form(String);

impl Form {
    pub(super) fn of(video: &Video) -> Self {
        Self(video.sample_rate.unwrap_or_default().to_string())
    }

    pub(super) fn words(&self) -> [&str; 8] {
        ["-ac", "1", "-ar", &self.0, "-c:a", "pcm_f32le", "-f", "f32le"]
    }
}

/// What is made of samples that come, and whether they may be so many.
pub(super) struct Kept {
    /// The last ones, within [-1, 1].
    pub(super) block: Vec<f32>,
    most: u64,
    pub(super) count: u64,
    /// One was no number.
    pub(super) broken: bool,
    /// No more is wanted.
    ended: bool,
}

impl Kept {
    pub(super) fn new(video: &Video, limits: &VideoLimits) -> Self {
        let most = (limits.max_seconds * f64::from(video.sample_rate.unwrap_or_default())) as u64;
        Self { block: Vec::new(), most, count: 0, broken: false, ended: false }
    }

    pub(super) fn take(&mut self, block: &[f32]) -> bool {
        self.block.clear();
        self.block.extend(block.iter().map(|s| s.clamp(-1.0, 1.0)));
        self.count += block.len() as u64;
        self.broken |= self.block.iter().any(|s| !s.is_finite());
        self.ended = self.over() || self.broken;
        !self.ended
    }

    pub(super) fn over(&self) -> bool {
        self.count > self.most
    }
}

/// What ffmpeg calls the audio track that is heard.
pub(super) fn track(video: &Video) -> String {
    format!("0:a:{}", video.audio)
}

pub(super) fn too_long(path: &Path, limits: &VideoLimits) -> Error {
    Error::Limit {
        path: path.to_path_buf(),
        what: "the audio",
        found: format!("more than {} seconds", limits.max_seconds),
        limit: format!("{} seconds", limits.max_seconds),
        option: "max_seconds",
    }
}

/// The filters that keep a part of the audio, decoded from the start of the file on.
pub(super) fn filters(span: &Span) -> String {
    if span.is_whole() {
        return "anull".into();
    }
    let side = |name: &str, time: Option<Time>| {
        time.map_or_else(String::new, |t| format!(":{name}={:.6}", t.seconds()))
    };
    let trim = format!("atrim{}{}", side("start", span.start), side("end", span.end)).replacen(':', "=", 1);
    // Parts are told by times that run on, as frames' do.
    format!("{},{trim}", super::clock::AUDIO)
}

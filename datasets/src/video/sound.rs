//! The sound of a video file.

use super::ffmpeg::reason;
use super::{Ffmpeg, Ratio, Span, Time, Video, VideoLimits};
use crate::{Error, Result, Sound};
use std::io::Read;

impl Ffmpeg {
    /// When the first sound track begins, on the container's clock; `None` where there is none or it has no times.
    ///
    /// # Errors
    /// The system's.
    pub fn sound_start(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Time>> {
        if video.sample_rate.is_none() {
            return Ok(None);
        }
        let first = ["-copyts", "-map", "0:a:0", "-af", "ashowinfo", "-frames:a", "1", "-f", "null", "-"];
        let output = self.on(&video.path, limits, &first).output().map_err(self.cannot_start())?;
        let log = String::from_utf8_lossy(&output.stderr);
        let line = log.lines().find(|l| l.starts_with("[Parsed_ashowinfo") && l.contains(" pts:"));
        let value = |name: &str| line?.split_once(name)?.1.split_whitespace().next();
        let (pts, rate) = (value(" pts:"), value(" rate:"));
        // Filters count sound in samples.
        Ok(pts
            .and_then(|p| p.parse().ok())
            .zip(rate.and_then(|r| r.parse().ok()))
            .and_then(|(pts, den)| (den > 0).then_some(Time { pts, base: Ratio { num: 1, den } })))
    }

    /// The first sound track, mixed to one channel, at its own rate.
    ///
    /// # Errors
    /// [`Error::Media`] where there is none or nothing of it can be decoded, [`Error::Limit`].
    pub fn sound(&self, video: &Video, limits: &VideoLimits) -> Result<Sound> {
        self.sound_span(video, &Span::WHOLE, limits)
    }

    /// [`sound`](Self::sound) of a part of the video, to the microsecond.
    ///
    /// # Errors
    /// As [`sound`](Self::sound); a part without sound has none that can be decoded.
    pub fn sound_span(&self, video: &Video, span: &Span, limits: &VideoLimits) -> Result<Sound> {
        let found = match video.sample_rate {
            None => "none".to_owned(),
            Some(_) => format!("none in the part {span}"),
        };
        self.hear(video, span, limits)?.ok_or_else(|| Error::media(&video.path, "a sound track", found))
    }

    /// [`sound_span`](Self::sound_span), and `None` where the file has no sound track or nothing of it is in that part.
    ///
    /// # Errors
    /// [`Error::Media`] where nothing of a track can be decoded, [`Error::Limit`].
    pub fn hear(&self, video: &Video, span: &Span, limits: &VideoLimits) -> Result<Option<Sound>> {
        let path = &video.path;
        let Some(rate) = video.sample_rate else { return Ok(None) };
        let rate_text = rate.to_string();
        let trim = trim(span);
        let mut after = vec!["-map", "0:a:0"];
        if !span.is_whole() {
            // The container's own clock, as frames have it.
            after.extend(["-copyts", "-af", &trim]);
        }
        after.extend(["-ac", "1", "-ar", &rate_text, "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"]);
        let mut child = self.on(path, limits, &after).spawn().map_err(self.cannot_start())?;
        let log = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut log = Vec::new();
                // What cannot be read is not said.
                drop(stderr.read_to_end(&mut log));
                String::from_utf8_lossy(&log).into_owned()
            })
        });
        let most = (limits.max_seconds * f64::from(rate)) as u64 * 4;
        let mut bytes = Vec::new();
        let read = match child.stdout.take() {
            Some(stdout) => stdout.take(most + 4).read_to_end(&mut bytes),
            None => Ok(0),
        };
        let over = bytes.len() as u64 > most;
        if over || read.is_err() {
            drop(child.kill());
        }
        let ended = child.wait();
        read.map_err(Error::io(path, "decode"))?;
        if over {
            return Err(Error::Limit {
                path: path.clone(),
                what: "the sound",
                found: format!("more than {} seconds", limits.max_seconds),
                limit: format!("{} seconds", limits.max_seconds),
                option: "max_seconds",
            });
        }
        let samples: Vec<f32> =
            bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b).clamp(-1.0, 1.0)).collect();
        if samples.is_empty() || samples.iter().any(|s| !s.is_finite()) {
            let log = log.and_then(|thread| thread.join().ok()).unwrap_or_default();
            if samples.is_empty() && !span.is_whole() && ended.is_ok_and(|status| status.success()) {
                return Ok(None);
            }
            return Err(Error::media(path, "a sound track of finite samples", reason(&log)));
        }
        Ok(Some(Sound { samples, sample_rate: rate }))
    }
}

/// The filter that keeps a part of the sound.
fn trim(span: &Span) -> String {
    let side = |name: &str, time: Option<super::Time>| {
        time.map_or_else(String::new, |t| format!(":{name}={:.6}", t.seconds()))
    };
    let trim = format!("atrim{}{}", side("start", span.start), side("end", span.end)).replacen(':', "=", 1);
    // Parts are told by times that run on, as frames' do.
    format!("{},{trim}", super::clock::SOUND)
}

//! Audio files that the kept decoders do not read.

use super::audio::{too_long, track};
use super::audio_run::AudioRun;
use super::ffmpeg::reason;
use super::{Ffmpeg, Video, VideoLimits};
use crate::decode::{Mix, piped};
use crate::{Audio, Blob, Error, Result};

impl Ffmpeg {
    /// The audio of a file that is one, its channels mixed to their mean: whole, or as many samples from its beginning as `most` says of its rate
    /// in Hz. Where there are more, also how many seconds there are, as its head has it. `refuse` makes an error of what was found.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Files`], and what `refuse` makes: also where the file is cut off.
    pub(crate) fn listen(
        &self,
        blob: &Blob,
        limits: &VideoLimits,
        most: Option<&dyn Fn(u32) -> u64>,
        refuse: &dyn Fn(&str) -> Error,
    ) -> Result<(Audio, Option<f64>)> {
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
        let mut run = AudioRun::start(self, blob, limits, None, &after, "")?;
        // The number of channels and the rate are the decoder's, not the container's: headers of some codecs tell half of both.
        let head = run.head().map_err(Error::io(path, "decode"))?;
        let Some((channels, rate, start)) = piped(&head) else {
            let (log, _) = run.end(true);
            return Err(refuse(&reason(&log.text)));
        };
        let mut mix = Mix::new(channels);
        let limit = (limits.max_seconds * f64::from(rate)) as usize;
        let enough = most.map_or(usize::MAX, |most| usize::try_from(most(rate)).unwrap_or(usize::MAX));
        let read = run.samples(head[start..].to_vec(), &mut |block| {
            mix.push(block);
            mix.len() <= limit && mix.len() < enough
        });
        let over = mix.len() > limit;
        let stopped = !over && mix.len() >= enough;
        let (log, status) = run.end(over || stopped || read.is_err());
        read.map_err(Error::io(path, "decode"))?;
        if over {
            return Err(too_long(path, limits));
        }
        if stopped {
            let audio = Audio { samples: mix.finish(), sample_rate: rate };
            return Ok((audio, video.duration));
        }
        let audio = Audio { samples: mix.finish(), sample_rate: rate };
        if audio.samples.is_empty() || !status.is_ok_and(|status| status.success()) {
            return Err(refuse(&reason(&log.text)));
        }
        match cut(&video, &headers, &log.text, audio.seconds()) {
            Some(found) => Err(refuse(&found)),
            None => Ok((audio, None)),
        }
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

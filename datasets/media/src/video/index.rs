//! Frame times without decoding: what the container says of its packets.

use super::clock::apart;
use super::ffmpeg::reason;
use super::probe::EXPECTED;
use super::stream::too_many;
use super::time::gcd;
use super::{Ffmpeg, Frame, FrameOptions, Frames, Ratio, Span, Time, Video, VideoLimits};
use crate::{Error, Result};

/// Middles of `count` equal parts of `n` frames; every frame where there are no more.
pub fn spread(n: usize, count: usize) -> Vec<usize> {
    if n <= count {
        return (0..n).collect();
    }
    (0..count).map(|i| (2 * i + 1) * n / (2 * count)).collect()
}

impl Ffmpeg {
    /// Presentation times of all frames in their order, from the packets' headers; `None` where the container does not tell them
    /// (raw streams, AVI with reordered frames), or where its clock goes back or jumps: only frames tell their order then.
    ///
    /// # Errors
    /// [`Error::Media`] for a file without a picture track; the system's.
    pub fn index(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Vec<Time>>> {
        let output = self.packets(video, limits)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut base: Option<Ratio> = None;
        let mut times = Vec::new();
        let mut before: Option<i64> = None;
        for line in text.lines() {
            if let Some(found) = line.strip_prefix("#tb 0: ") {
                base = found.trim().parse().ok();
            } else if !line.starts_with('#') {
                let mut numbers = line.split(',').skip(1).map(|n| n.trim().parse::<i64>().ok());
                let (dts, pts) = (numbers.next().flatten(), numbers.next().flatten());
                match (dts, pts, base) {
                    (Some(dts), Some(pts), Some(base)) if pts != i64::MIN => {
                        // FFmpeg writes a decoding time that goes back as the one before, and moves what is shown then.
                        if before.is_some_and(|before| dts <= before || apart(before, dts, base)) {
                            return Ok(None);
                        }
                        before = Some(dts);
                        times.push(Time { pts, base });
                    }
                    _ => return Ok(None),
                }
            }
        }
        if times.is_empty() && !output.status.success() {
            return Err(Error::media(
                &video.path,
                EXPECTED,
                reason(&String::from_utf8_lossy(&output.stderr)),
            ));
        }
        times.sort_unstable();
        // Two frames at one time cannot be told apart by it.
        let distinct = times.windows(2).all(|w| w[0] != w[1]);
        Ok((distinct && !times.is_empty()).then_some(times))
    }

    /// Packets of pictures in the file: as many as frames, or more where two fields of one are stored apart.
    ///
    /// # Errors
    /// The system's.
    pub fn stored(&self, video: &Video, limits: &VideoLimits) -> Result<usize> {
        let output = self.packets(video, limits)?;
        Ok(output
            .stdout
            .split(|b| *b == b'\n')
            .filter(|line| line.first().is_some_and(|b| *b != b'#'))
            .count())
    }

    /// How long the packets last, in seconds: steps of the clock that are of one recording, together.
    pub(super) fn lasts(&self, video: &Video, limits: &VideoLimits) -> Result<Option<f64>> {
        let output = self.packets(video, limits)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let base = text.lines().find_map(|line| line.strip_prefix("#tb 0: ")?.trim().parse::<Ratio>().ok());
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let times: Option<Vec<i64>> = lines.map(|line| line.split(',').nth(1)?.trim().parse().ok()).collect();
        let (Some(base), Some(times)) = (base, times) else { return Ok(None) };
        let steps = times.windows(2).filter(|w| !apart(w[0], w[1], base));
        let ticks: f64 = steps.map(|w| w[1].saturating_sub(w[0]).max(0) as f64).sum();
        Ok((!times.is_empty()).then_some(ticks * base.value()))
    }

    /// The number of packets through the sum of their lengths, frames a second, from their headers: the average rate of containers that tell
    /// every length (MP4, MOV). `None` where they tell none.
    ///
    /// # Errors
    /// The system's.
    pub fn mean_rate(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Ratio>> {
        let output = self.packets(video, limits)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let base = text.lines().find_map(|line| line.strip_prefix("#tb 0: ")?.trim().parse::<Ratio>().ok());
        let lengths = text.lines().filter(|line| !line.starts_with('#'));
        let lengths: Option<Vec<u64>> =
            lengths.map(|line| line.split(',').nth(3)?.trim().parse().ok()).collect();
        let (Some(base), Some(lengths)) = (base, lengths) else { return Ok(None) };
        let num = lengths.len() as i128 * i128::from(base.den);
        let den = lengths.iter().map(|n| i128::from(*n)).sum::<i128>() * i128::from(base.num);
        let by = gcd(num, den);
        let ratio = u32::try_from(num / by).ok().zip(u32::try_from(den / by).ok());
        Ok(ratio.filter(|(num, den)| *num > 0 && *den > 0).map(|(num, den)| Ratio { num, den }))
    }

    /// A line of each packet's times and length.
    fn packets(&self, video: &Video, limits: &VideoLimits) -> Result<std::process::Output> {
        // One more, to see that there are more.
        let most = limits.max_frames.saturating_add(1).to_string();
        #[rustfmt::skip]
        let headers = [
            "-map", "0:V:0", "-frames:v", &most, "-c", "copy", "-copyts", "-avoid_negative_ts", "disabled",
            "-f", "framecrc", "pipe:1",
        ];
        self.on(&video.path, limits, &headers).output().map_err(self.cannot_start())
    }

    /// Up to `count` frames spread evenly over the video: the middles of equal parts, fewer only where the video has fewer.
    ///
    /// # Errors
    /// As [`frames`](Self::frames), and [`Error::Media`] for a video without a frame.
    pub fn sample(&self, video: &Video, count: usize, limits: &VideoLimits) -> Result<Vec<Frame>> {
        self.sample_span(video, &Span::WHOLE, count, limits)
    }

    /// [`sample`](Self::sample) over a part of the video: frames whose times are in `span`. A part between two frames has the one that is
    /// shown then.
    ///
    /// # Errors
    /// As [`sample`](Self::sample), and [`Error::Media`] for a part in which nothing is shown.
    pub fn sample_span(
        &self,
        video: &Video,
        span: &Span,
        count: usize,
        limits: &VideoLimits,
    ) -> Result<Vec<Frame>> {
        let before = stamp(&video.path);
        let found = self.sampled(video, span, count, limits);
        // What was cut, or replaced by another file, between two looks at it is neither the one nor the other.
        if before != stamp(&video.path) {
            return Err(Error::media(
                &video.path,
                "a file that stays as it is",
                "one that changed while it was read",
            ));
        }
        found
    }

    fn sampled(&self, video: &Video, span: &Span, count: usize, limits: &VideoLimits) -> Result<Vec<Frame>> {
        if let Some(times) = self.index(video, limits)? {
            if times.len() as u64 > limits.max_frames {
                // A part that is known is not spread over the whole.
                return Err(too_many(&video.path, limits));
            }
            let part = &times[span.within(&times)];
            let wanted: Vec<Time> = spread(part.len(), count).into_iter().map(|i| part[i]).collect();
            if wanted.is_empty() {
                return Err(nothing(video, span, &times));
            }
            let found =
                self.frames(video, &FrameOptions { only: Some(wanted.clone()), size: None }, limits)?;
            let found = found.collect::<Result<Vec<_>>>()?;
            if found.len() == wanted.len() {
                return Ok(found);
            }
        }
        // The packets promise frames that do not come, or promise none: the times of those that come, then those.
        let all = FrameOptions { only: None, size: Some((16, 16)) };
        let times =
            self.frames(video, &all, limits)?.map(|f| f.map(|f| f.time)).collect::<Result<Vec<_>>>()?;
        let part = span.within(&times);
        let wanted: Vec<usize> = spread(part.len(), count).into_iter().map(|i| part.start + i).collect();
        let options = FrameOptions { only: None, size: None };
        let frames = match wanted.is_empty() {
            true => Vec::new(),
            false => pick(self.frames(video, &options, limits)?, &wanted)?,
        };
        if frames.is_empty() {
            return Err(nothing(video, span, &times));
        }
        Ok(frames)
    }
}

/// What tells that a file is still the same: its length and when it was written.
fn stamp(path: &std::path::Path) -> Option<(u64, std::time::SystemTime)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.len(), meta.modified().ok()?))
}

/// Why no frame was found.
fn nothing(video: &Video, span: &Span, times: &[Time]) -> Error {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if !span.is_whole() => Error::media(
            &video.path,
            "a part of the video in which something is shown",
            format!("{span}; its frames are at {:.3} to {:.3} s", first.seconds(), last.seconds()),
        ),
        _ => Error::media(&video.path, "at least one frame", "none"),
    }
}

fn pick(frames: Frames, wanted: &[usize]) -> Result<Vec<Frame>> {
    let mut found = Vec::with_capacity(wanted.len());
    for (i, frame) in frames.enumerate() {
        let frame = frame?;
        if wanted.binary_search(&i).is_ok() {
            found.push(frame);
        }
        if found.len() == wanted.len() {
            break;
        }
    }
    Ok(found)
}

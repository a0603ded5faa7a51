//! Frames spread over a part of a video, and its audio beside them.

use super::audio_seek::before;
use super::beside::Beside;
use super::stream::{Part, too_many};
use super::{Ffmpeg, Frame, FrameOptions, Frames, Span, Time, Video, VideoLimits, spread};
use crate::{Audio, Error, Result};

/// Where both come from one decoding, it begins so many seconds before the audio: as long as Opus needs.
const BEFORE: f64 = 0.7;

/// Frames, and the samples that came beside them.
type Both = (Vec<Frame>, Option<Vec<f32>>);

impl Ffmpeg {
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
        unchanged(video, || Ok(self.sampled(video, span, count, None, limits)?.0))
    }

    /// [`sample_span`](Self::sample_span) and [`audio_if_any`](Self::audio_if_any) of the same part, from one decoding.
    ///
    /// # Errors
    /// As those.
    pub fn clip(
        &self,
        video: &Video,
        span: &Span,
        count: usize,
        limits: &VideoLimits,
    ) -> Result<(Vec<Frame>, Option<Audio>)> {
        unchanged(video, || {
            let Some(sample_rate) = video.sample_rate else {
                return Ok((self.sampled(video, span, count, None, limits)?.0, None));
            };
            let beside = self.to_seek(video, span, limits)?.map_or(Beside::Cut(*span), Beside::Sought);
            let (frames, samples) = self.sampled(video, span, count, Some(&beside), limits)?;
            let audio = match (samples, beside) {
                (Some(samples), _) => Some(Audio { samples, sample_rate }),
                (None, Beside::Sought(_)) => self.audio_if_any(video, span, limits)?,
                (None, Beside::Cut(_)) => self.audio_from_start(video, span, limits)?,
            };
            Ok((frames, audio))
        })
    }

    fn sampled(
        &self,
        video: &Video,
        span: &Span,
        count: usize,
        beside: Option<&Beside>,
        limits: &VideoLimits,
    ) -> Result<Both> {
        if let Some(index) = self.times(video, limits)? {
            let times = &index.times;
            if times.len() as u64 > limits.max_frames {
                // A part that is known is not spread over the whole.
                return Err(too_many(video.blob.name(), limits));
            }
            let part = &times[span.within(times)];
            let wanted: Vec<Time> = spread(part.len(), count).into_iter().map(|i| part[i]).collect();
            let Some(first) = wanted.first() else { return Err(nothing(video, span, times)) };
            let mut ways = Vec::new();
            if let Some(begin) = index.begin(*first) {
                let early = before(span, BEFORE).and_then(|time| index.begin(time.min(*first)));
                if let (Some(Beside::Sought(_)), Some(early)) = (beside, early) {
                    ways.push((Some(early), beside));
                }
                ways.push((Some(begin), None));
            }
            let cut = beside.map(|_| Beside::Cut(*span));
            if cut.is_some() {
                ways.push((None, cut.as_ref()));
            }
            // What FFmpeg says of several outputs at a time may tear the lines that tell of frames: alone they are whole.
            ways.push((None, None));
            for (begin, beside) in ways {
                if let Some(found) = self.both(video, &wanted, begin, beside, limits)? {
                    return Ok(found);
                }
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
        Ok((frames, None))
    }

    /// The frames at these times, decoded from the first frame on, or from the key frame at `begin`, and the audio `beside` them; `None` where not
    /// all come, or, from there, anything was not as it should be.
    pub(super) fn both(
        &self,
        video: &Video,
        times: &[Time],
        begin: Option<Time>,
        beside: Option<&Beside>,
        limits: &VideoLimits,
    ) -> Result<Option<Both>> {
        let part = Part { only: Some(times), begin, beside };
        let (mut frames, pipe) = self.frames_of(video, None, part, limits)?;
        let (found, samples) = std::thread::scope(|scope| {
            let samples = pipe.map(|pipe| scope.spawn(|| pipe.all(video, limits)));
            let found = frames.by_ref().collect::<Result<Vec<_>>>();
            let samples = samples.map(|thread| thread.join());
            (found, samples.and_then(|s| s.unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        });
        let clean = frames.failures().count == 0;
        // Of what went wrong nobody knows whether it was with this.
        let samples = samples.filter(|_| clean).zip(beside);
        let samples = samples.and_then(|(samples, beside)| beside.found(&samples));
        let found = if begin.is_none() {
            Some(found?).filter(|found| found.len() == times.len())
        } else {
            // What goes wrong here does not say that it goes wrong from the first frame on.
            let exact = |found: &Vec<Frame>| found.iter().map(|frame| frame.time).eq(times.iter().copied());
            found.ok().filter(|found| clean && exact(found))
        };
        Ok(found.map(|found| (found, samples)))
    }
}

/// What was cut, or replaced by another file, between two looks at it is neither the one nor the other.
fn unchanged<T>(video: &Video, look: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = video.blob.stamp();
    let found = look();
    if before != video.blob.stamp() {
        return Err(Error::media(
            video.blob.name(),
            "a file that stays as it is",
            "one that changed while it was read",
        ));
    }
    found
}

/// Why no frame was found.
fn nothing(video: &Video, span: &Span, times: &[Time]) -> Error {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if !span.is_whole() => Error::media(
            video.blob.name(),
            "a part of the video in which something is shown",
            format!("{span}; its frames are at {:.3} to {:.3} s", first.seconds(), last.seconds()),
        ),
        _ => Error::media(video.blob.name(), "at least one frame", "none"),
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

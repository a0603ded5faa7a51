//! The audio of clips, decoded from shortly before them.

use super::audio::{Form, Kept, track};
use super::audio_index::{AudioIndex, AudioPart, AudioSum};
use super::audio_run::AudioRun;
use super::log::tag;
use super::{Ffmpeg, Ratio, Span, Time, Video, VideoLimits};
use crate::Result;
use std::sync::Arc;

/// Decoding begins so many seconds before a clip: Opus needs 0.08 by its standard and some 0.6 until every bit is that of a decoder that began
/// at the start, MP3 the frames that it borrows bits from.
const BEFORE: f64 = 3.0;
/// And ends so many after it: what follows a seek may count its times a little off.
const AFTER: f64 = 1.0;

/// The audio of a clip that is to be found behind a seek.
#[derive(Debug)]
pub(super) struct Sought {
    part: AudioPart,
    /// When to stop decoding, in seconds.
    until: Option<f64>,
}

impl Sought {
    /// The filters behind which it comes, up to a little after its end; `teller` says of each frame how long it is.
    pub(super) fn filters(&self, teller: Option<&str>) -> String {
        let teller = teller.map(|tag| format!("ashowinfo@{tag}"));
        let end = self.until.map(|until| format!("atrim=end={until:.6}"));
        let filters: Vec<String> = teller.into_iter().chain(end).collect();
        if filters.is_empty() { "anull".into() } else { filters.join(",") }
    }

    /// The clip's samples, of those that came in frames of these lengths; `None` where they are not what decoding from the start gives.
    pub(super) fn find(&self, samples: &[f32], lengths: &[u32]) -> Option<Vec<f32>> {
        let (mut rest, mut sums) = (samples, Vec::with_capacity(lengths.len()));
        for length in lengths {
            let Some((frame, after)) = rest.split_at_checked(*length as usize) else { break };
            sums.push(AudioSum::of(frame));
            rest = after;
        }
        let wanted = &self.part.sums;
        let place = sums.windows(wanted.len().max(1)).position(|found| found == wanted)?;
        let before: usize = sums[..place].iter().map(|sum| sum.length as usize).sum();
        let mut found = Vec::new();
        for piece in &self.part.pieces {
            found.extend(
                samples.get(before + piece.start..before + piece.end)?.iter().map(|s| s.clamp(-1.0, 1.0)),
            );
        }
        found.iter().all(|s| s.is_finite()).then_some(found)
    }
}

impl Ffmpeg {
    /// What to look for behind a seek, where decoding a clip's audio need not begin at the start of the film: it is known by heart then. `None` as
    /// long as learning it would cost more than all that was decoded to come to clips.
    pub(super) fn to_seek(&self, video: &Video, span: &Span, limits: &VideoLimits) -> Result<Option<Sought>> {
        let (Some(_), Some(start)) = (video.sample_rate, span.start) else { return Ok(None) };
        let start = start.seconds();
        let index = self.known_audio(video, limits, |known| -> Result<Option<Arc<AudioIndex>>> {
            if known.index.is_none() {
                known.spent += start.max(0.0);
                if known.spent <= video.duration.unwrap_or(limits.max_seconds) {
                    return Ok(None);
                }
                known.index = Some(self.audio_index(video, limits)?.map(Arc::new));
            }
            Ok(known.index.clone().flatten().filter(|_| known.trusted()))
        });
        let Some(index) = index.transpose()?.flatten() else { return Ok(None) };
        if start - BEFORE <= index.start().seconds() {
            return Ok(None);
        }
        let until = span.end.map(|end| end.seconds() + AFTER);
        Ok(Some(Sought { part: index.part(span), until }))
    }

    /// The samples of a clip, decoded from shortly before it; `None` where decoding has to begin at the start.
    pub(super) fn sought(
        &self,
        video: &Video,
        span: &Span,
        limits: &VideoLimits,
    ) -> Result<Option<Vec<f32>>> {
        let Some(wanted) = self.to_seek(video, span, limits)? else { return Ok(None) };
        if wanted.part.pieces.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (tag, begin) = (tag(), before(span, BEFORE));
        let (track, filters, form) = (track(video), wanted.filters(Some(&tag)), Form::of(video));
        let mut words = vec!["-map", &track, "-copyts", "-af", &filters];
        words.extend(form.words());
        words.push("pipe:1");
        let mut run = AudioRun::start(self, &video.blob, limits, begin, &words, &tag)?;
        let (mut kept, mut samples) = (Kept::new(video, limits), Vec::new());
        let read = run.samples(Vec::new(), &mut |block| {
            samples.extend_from_slice(block);
            kept.take(block)
        });
        let (log, _) = run.end(kept.over() || kept.broken || read.is_err());
        let found = match read {
            Ok(()) if !kept.over() && !kept.broken => {
                let lengths: Vec<u32> = log.heard.iter().map(|(length, _)| *length).collect();
                wanted.find(&samples, &lengths)
            }
            _ => None,
        };
        self.known_audio(video, limits, |known| known.tried(found.is_some()));
        Ok(found)
    }
}

/// So many seconds before a part of a film.
pub(super) fn before(span: &Span, seconds: f64) -> Option<Time> {
    let micros = |time: Time| ((time.seconds() - seconds) * 1e6) as i64;
    span.start.map(|time| Time { pts: micros(time), base: Ratio { num: 1, den: 1_000_000 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_believed_only_where_their_sums_are_those_of_the_whole() {
        let film: Vec<f32> = (0..40).map(|n| n as f32 / 50.0).collect();
        let sums: Vec<AudioSum> = film.chunks(4).map(AudioSum::of).collect();
        let part = AudioPart { sums: sums[4..7].to_vec(), pieces: vec![1..3, 4..12] };
        let sought = Sought { part, until: None };
        let expected: Vec<f32> = [&film[17..19], &film[20..28]].concat();
        let found = |samples: &[f32]| sought.find(samples, &vec![4; samples.len().div_ceil(4)]);
        // From frame 2 on, the first of which is not yet what it should be, and the last of which is cut.
        let mut samples = film[8..34].to_vec();
        samples[1] += 1e-7;
        assert_eq!(found(&samples), Some(expected.clone()));
        assert_eq!(found(&film), Some(expected));
        assert_eq!(found(&film[20..]), None, "decoding began too late");
        assert_eq!(found(&film[..24]), None, "and ended too early");
        samples[12] += 1e-7;
        assert_eq!(found(&samples), None, "a bit is another");
        assert_eq!(sought.find(&film, &[]), None);
    }
}

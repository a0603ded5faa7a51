//! A film's audio, as decoding from its start gives it: where each frame of it is, and a sum over its samples. Decoders carry more from frame
//! to frame than containers tell (windows that overlap, bits that are borrowed from frames before, noise that is drawn), so that what comes
//! after a seek is believed only where its sums are these.

use super::audio::{Form, track};
use super::audio_run::AudioRun;
use super::log::tag;
use super::{Ffmpeg, Span, Time, Video, VideoLimits, clock};
use crate::Result;
use std::io::{BufRead, BufReader};

/// Frames of a film, at most: 16 bytes each. What has more is decoded from its start.
const MOST: usize = 2_000_000;

/// One frame of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AudioFrame {
    /// Its first sample, on the clock of the container.
    at: i64,
    sum: AudioSum,
}

/// What tells a frame's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AudioSum {
    /// So many samples.
    pub(super) length: u32,
    /// CRC-32 of their bytes.
    pub(super) crc: u32,
}

impl AudioSum {
    /// Of samples as they come through a pipe.
    pub(super) fn of(samples: &[f32]) -> Self {
        let mut crc = flate2::Crc::new();
        let mut bytes = Vec::with_capacity(samples.len() * 4);
        bytes.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
        crc.update(&bytes);
        Self { length: u32::try_from(samples.len()).unwrap_or(u32::MAX), crc: crc.sum() }
    }
}

/// All frames of a film's audio, in their order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AudioIndex {
    frames: Vec<AudioFrame>,
    /// Samples a second, in Hz.
    rate: u32,
}

/// The frames that a part of a film is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AudioPart {
    /// Of each frame, as they follow each other.
    pub(super) sums: Vec<AudioSum>,
    /// The samples of the part, of those of these frames: where times overlap or leave something out, in several pieces.
    pub(super) pieces: Vec<std::ops::Range<usize>>,
}

impl AudioIndex {
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// When the first sample is.
    pub(super) fn start(&self) -> Time {
        self.time(self.frames.first().map_or(0, |frame| frame.at))
    }

    fn time(&self, pts: i64) -> Time {
        Time { pts, base: super::Ratio { num: 1, den: self.rate } }
    }

    /// The part in `span`, sample by sample as FFmpeg's `atrim` cuts it.
    pub(super) fn part(&self, span: &Span) -> AudioPart {
        let start = span.start.map_or(i64::MIN, |time| self.sample(time));
        let end = span.end.map_or(i64::MAX, |time| self.sample(time));
        let ends_after = |frame: &AudioFrame| frame.at.saturating_add(frame.sum.length.into()) > start;
        // Times do not go back, ends of frames may: the first that reaches into the part is looked for from the front.
        let first = self.frames.iter().position(ends_after).unwrap_or(self.frames.len());
        let (mut sums, mut pieces, mut before) = (Vec::new(), Vec::new(), 0);
        for frame in &self.frames[first..] {
            let length = i64::from(frame.sum.length);
            if ends_after(frame) {
                if frame.at >= end {
                    break;
                }
                let from = start.saturating_sub(frame.at).clamp(0, length) as usize;
                let to = end.saturating_sub(frame.at).clamp(0, length) as usize;
                if from < to {
                    pieces.push(before + from..before + to);
                }
            }
            sums.push(frame.sum);
            before += frame.sum.length as usize;
        }
        AudioPart { sums, pieces }
    }

    /// The number of the sample at a time of microseconds, rounded as FFmpeg rounds.
    fn sample(&self, time: Time) -> i64 {
        let micros = format!("{:.6}", time.seconds()).replace('.', "").parse::<i128>().unwrap_or_default();
        let (scaled, half) = (micros.abs() * i128::from(self.rate), 500_000);
        let sample = (scaled + half) / 1_000_000 * micros.signum();
        i64::try_from(sample).unwrap_or(if micros < 0 { i64::MIN } else { i64::MAX })
    }

    /// By lines of `framehash`; `None` where times go back, or there are too many.
    fn parse(mut lines: impl Iterator<Item = std::io::Result<String>>, rate: u32) -> Option<Self> {
        let base = format!("#tb 0: 1/{rate}");
        let (mut frames, mut told): (Vec<AudioFrame>, _) = (Vec::new(), false);
        while let Some(line) = lines.next().transpose().ok()? {
            if line.starts_with('#') {
                told |= line.trim() == base;
                continue;
            }
            // Stream, decoding time, time, length, bytes, sum.
            let mut parts = line.split(',').map(str::trim).skip(2);
            let at: i64 = parts.next()?.parse().ok()?;
            let length: u32 = parts.next()?.parse().ok()?;
            let bytes: u64 = parts.next()?.parse().ok()?;
            let crc = u32::from_str_radix(parts.next()?, 16).ok()?;
            let back = frames.last().is_some_and(|last| last.at > at);
            if back || bytes != u64::from(length) * 4 || frames.len() == MOST {
                return None;
            }
            frames.push(AudioFrame { at, sum: AudioSum { length, crc } });
        }
        (told && !frames.is_empty()).then_some(Self { frames, rate })
    }
}

impl Ffmpeg {
    /// Decodes a film's audio once, to know it again; `None` where that cannot be, or something went wrong.
    pub(super) fn audio_index(&self, video: &Video, limits: &VideoLimits) -> Result<Option<AudioIndex>> {
        let Some(rate) = video.sample_rate else { return Ok(None) };
        let (tag, track, form) = (tag(), track(video), Form::of(video));
        let filters = format!("{},ashowinfo@{tag}", clock::AUDIO);
        let mut after = vec!["-map", &track, "-copyts", "-af", &filters];
        after.extend(form.words().into_iter().take(6));
        after.extend(["-f", "framehash", "-hash", "CRC32", "pipe:1"]);
        let mut run = AudioRun::start(self, &video.blob, limits, None, &after, &tag)?;
        let lines = run.child.stdout.as_mut().map(|out| BufReader::new(out).lines());
        let index = lines.and_then(|lines| AudioIndex::parse(lines, rate));
        let (log, status) = run.end(index.is_none());
        // What is resampled carries more from frame to frame than sums tell.
        let as_it_is = log.heard.iter().all(|(_, hertz)| *hertz == rate);
        let whole = status.is_ok_and(|status| status.success()) && log.failures.count == 0 && as_it_is;
        Ok(index.filter(|_| whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(text: &str) -> Option<AudioIndex> {
        AudioIndex::parse(text.lines().map(|line| Ok(line.to_owned())), 1000)
    }

    const HEAD: &str = "#format: frame checksums\n#tb 0: 1/1000\n";

    #[test]
    fn lines_of_sums_are_read_or_there_is_no_index() {
        let good = format!("{HEAD}0, -3, -3, 4, 16, d7312900\n0, 1, 1, 4, 16, 1a994c55\n");
        let found = index(&good).unwrap();
        assert_eq!((found.len(), found.start().to_string()), (2, "-3/1000".into()));
        assert_eq!(found.frames[1].sum, AudioSum { length: 4, crc: 0x1a99_4c55 });
        for broken in [
            "0, 1, 1, 4, 16, d7312900\n",
            &format!("{HEAD}0, 1, 1, 4, 16, d7312900\n0, 0, 0, 4, 16, d7312900\n"),
            &format!("{HEAD}0, 1, 1, 4, 17, d7312900\n"),
            &format!("{HEAD}0, 1, 1, 4, 16\n"),
            &format!("{HEAD}0, 1, 1, 4, 16, x\n"),
            HEAD,
        ] {
            assert_eq!(index(broken), None, "{broken}");
        }
        // The sum is the one that everybody calls CRC-32: of "123456789", as floats' bytes.
        let text = [*b"1234", *b"5678"].map(f32::from_le_bytes);
        assert_eq!(AudioSum::of(&text), AudioSum { length: 2, crc: 0x9ae0_daaf });
    }

    /// What `atrim` does, sample by sample: frames until one begins at the end or after it.
    fn naive(frames: &[(i64, u32)], start: i64, end: i64) -> Vec<i64> {
        let mut found = Vec::new();
        let mut place = 0;
        for (at, length) in frames {
            if at + i64::from(*length) > start {
                if *at >= end {
                    break;
                }
                found.extend(
                    (0..i64::from(*length)).filter(|i| (start..end).contains(&(at + i))).map(|i| place + i),
                );
            }
            place += i64::from(*length);
        }
        found
    }

    #[test]
    fn parts_are_cut_sample_by_sample() {
        // With a gap, and two that overlap.
        let frames = [(-2, 4), (2, 4), (6, 4), (20, 4), (22, 4), (26, 3)];
        let lines: String = frames.iter().map(|(at, n)| format!("0,{at},{at},{n},{},1\n", n * 4)).collect();
        let index = index(&format!("{HEAD}{lines}")).unwrap();
        let at = |n: i64| Some(Time { pts: n, base: super::super::Ratio { num: 1, den: 1000 } });
        for start in -5..32 {
            for end in start..32 {
                let part = index.part(&Span { start: at(start), end: at(end) });
                let skipped = frames.iter().take_while(|(at, n)| at + i64::from(*n) <= start);
                let skipped: u32 = skipped.map(|(_, n)| n).sum();
                let found: Vec<i64> =
                    part.pieces.iter().cloned().flatten().map(|i| i as i64 + i64::from(skipped)).collect();
                assert_eq!(found, naive(&frames, start, end), "{start} to {end}");
                assert!(
                    part.pieces.iter().all(|p| p.end <= part.sums.iter().map(|s| s.length as usize).sum())
                );
            }
        }
        let half = |pts| Time { pts, base: super::super::Ratio { num: 1, den: 2000 } };
        let rounded = [1, -1, 3, 4].map(|n| index.sample(half(n)));
        assert_eq!(rounded, [1, -1, 2, 2], "half a sample is rounded away from nought");
    }
}

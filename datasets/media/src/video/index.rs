//! Frame times without decoding: what the container says of its packets.

use super::clock::apart;
use super::ffmpeg::reason;
use super::probe::EXPECTED;
use super::time::gcd;
use super::{Ffmpeg, Ratio, Time, Video, VideoLimits};
use crate::{Error, Result};
use std::sync::Arc;

/// Middles of `count` equal parts of `n` frames; every frame where there are no more.
pub fn spread(n: usize, count: usize) -> Vec<usize> {
    if n <= count {
        return (0..n).collect();
    }
    (0..count).map(|i| (2 * i + 1) * n / (2 * count)).collect()
}

/// Times of all frames, and where decoding may begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Ascending.
    pub(super) times: Vec<Time>,
    /// Those of key frames, ascending; none where decoding can only begin at the first.
    keys: Vec<Time>,
}

impl Index {
    /// What is remembered of it: so many times.
    pub(super) fn len(&self) -> usize {
        self.times.len() + self.keys.len()
    }

    /// From which key frame on to decode for the frame at this time and those after it; `None`: from the first.
    ///
    /// Not from the last one before it, but from the one before that: what is shown right after a key frame may refer to frames before it (open
    /// groups of images), and an image that is refreshed part by part is whole only at the next one.
    pub(super) fn begin(&self, first: Time) -> Option<Time> {
        let before = self.keys.partition_point(|key| *key <= first);
        before.checked_sub(2).filter(|at| *at > 0).map(|at| self.keys[at])
    }

    /// By the lines of packets; `None` where they do not tell the order of frames.
    fn parse(text: &str, seeks: bool) -> Option<Self> {
        let mut base: Option<Ratio> = None;
        let (mut times, mut keys, mut seeks) = (Vec::new(), Vec::new(), seeks);
        let mut before: Option<i64> = None;
        for line in text.lines() {
            if let Some(found) = line.strip_prefix("#tb 0: ") {
                base = found.trim().parse().ok();
            } else if !line.starts_with('#') {
                let mut numbers = line.split(',').skip(1).map(|n| n.trim().parse::<i64>().ok());
                let (dts, pts) = (numbers.next().flatten()?, numbers.next().flatten()?);
                let base = base.filter(|_| pts != i64::MIN)?;
                // FFmpeg writes a decoding time that goes back as the one before, and moves what is shown then.
                if before.is_some_and(|before| dts <= before || apart(before, dts, base)) {
                    return None;
                }
                before = Some(dts);
                times.push(Time { pts, base });
                // A packet's flags stand there unless it is a plain key frame: others than none are those of frames that are cut off by a list of
                // edits, or damaged. What stands beside a packet may be the codec's settings, from there on.
                match line.split_once(", F=").map(|(_, flags)| flags.split(',').next()) {
                    None => keys.push(Time { pts, base }),
                    Some(flags) => seeks &= flags.is_some_and(|flags| flags.trim() == "0x0"),
                }
                seeks &= !line.contains(", S=");
            }
        }
        times.sort_unstable();
        keys.sort_unstable();
        // Two frames at one time cannot be told apart by it.
        let distinct = times.windows(2).all(|w| w[0] != w[1]);
        if !seeks {
            keys.clear();
        }
        (distinct && !times.is_empty()).then_some(Self { times, keys })
    }
}

impl Ffmpeg {
    /// Presentation times of all frames in their order, from the packets' headers; `None` where the container does not tell them
    /// (raw streams, AVI with reordered frames), or where its clock goes back or jumps: only frames tell their order then.
    ///
    /// # Errors
    /// [`Error::Media`] for a file without a video track; the system's.
    pub fn index(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Vec<Time>>> {
        Ok(self.times(video, limits)?.map(|index| index.times.clone()))
    }

    pub(super) fn times(&self, video: &Video, limits: &VideoLimits) -> Result<Option<Arc<Index>>> {
        self.known_index(video, limits, || {
            let output = self.packets(video, limits)?;
            let text = String::from_utf8_lossy(&output.stdout);
            if !output.status.success() && !text.lines().any(|line| !line.starts_with('#')) {
                let found = reason(&String::from_utf8_lossy(&output.stderr));
                return Err(Error::media(video.blob.name(), EXPECTED, found));
            }
            // Of what ends early the rest may still come to the decoder.
            Ok(Index::parse(&text, video.seeks && output.status.success()))
        })
    }

    /// Packets of images in the file: as many as frames, or more where two fields of one are stored apart.
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
        self.on(&video.blob, limits, &headers)?.output().map_err(self.cannot_start())
    }
}

//! Timecodes count frames of a steady rate; a container's times need not. SMPTE ST 12-1 has the rates and the dropped numbers.

use super::exact::Exact;
use crate::record::{Moment, VideoRecord};

/// Rates that have timecodes, as frames over seconds.
const RATES: [(i128, i128); 10] = [
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48_000, 1001),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
];
/// So near a rate is meant: files say 23.98 for 24000/1001, and 24 is farther from it than this.
const NEAR: f64 = 3e-4;

/// A timecode's rate and the moment that it counts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timecode {
    num: i128,
    den: i128,
    start: Exact,
}

impl Timecode {
    /// The rate of the video, or the multiple or part of it that has timecodes (12.5: 25, 120: 60); of a changing or odd rate the
    /// nearest. Counted from the first frame, as editing programs count files that carry no timecode.
    pub(crate) fn of(video: &VideoRecord) -> Self {
        let start = Exact::of(video.start.time);
        let length = Exact::of(video.end.time).minus(start).value();
        let counted = video.end.frame.saturating_sub(video.start.frame) as f64 / length;
        let rate = video.rate.map_or(counted, |rate| rate.value());
        let (num, den) = nominal(if rate.is_finite() && rate > 0.0 { rate } else { 25.0 });
        Self { num, den, start }
    }

    /// Frames a second, as OpenTimelineIO wants it.
    pub(crate) fn rate(&self) -> f64 {
        self.num as f64 / self.den as f64
    }

    /// Numbers are dropped so that the timecode keeps up with the clock.
    pub(crate) fn drops(&self) -> bool {
        self.den == 1001 && self.num % 30_000 == 0
    }

    /// Frames of this rate before the moment, unrounded.
    pub(crate) fn exact(&self, at: Moment) -> Exact {
        Exact::of(at.time).minus(self.start).times(self.num, self.den)
    }

    /// Frames of this rate before the moment, to the nearest.
    pub(crate) fn frame(&self, at: Moment) -> i128 {
        self.exact(at).round()
    }

    /// `HH:MM:SS:FF`, `HH:MM:SS;FF` where numbers are dropped. A day later it begins again.
    pub(crate) fn write(&self, frame: i128) -> String {
        // 23.976 counts to 24, 29.97 to 30.
        let base = (self.num + self.den / 2) / self.den;
        let (mut count, mut mark) = (frame.max(0), ':');
        if self.drops() {
            // Each minute but each tenth lacks its first numbers: 2 of 30, 4 of 60.
            let (dropped, minute) = (base / 15, base * 60 - base / 15);
            let ten = minute * 10 + dropped;
            let (tens, rest) = (count / ten, count % ten);
            count += tens * 9 * dropped + ((rest - dropped).max(0) / minute) * dropped;
            mark = ';';
        }
        let (frames, seconds) = (count % base, count / base);
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}{mark}{frames:02}", seconds % 60)
    }
}

fn nominal(rate: f64) -> (i128, i128) {
    let value = |&(num, den): &(i128, i128)| num as f64 / den as f64;
    let multiples = (1..=12).map(|k| rate * f64::from(k));
    let parts = (2..=20).map(|k| rate / f64::from(k));
    let meant = |wanted: f64| RATES.iter().find(|r| (wanted / value(r) - 1.0).abs() < NEAR).copied();
    let far = |r: &(i128, i128)| (value(r) - rate).abs();
    let nearest = RATES.iter().copied().min_by(|a, b| far(a).total_cmp(&far(b)));
    multiples.chain(parts).find_map(meant).or(nearest).unwrap_or((25, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn at(num: i128, den: i128) -> Timecode {
        Timecode { num, den, start: Exact::new(0, 1) }
    }

    #[test]
    fn dropped_numbers_keep_up_with_the_clock() {
        let ntsc = at(30_000, 1001);
        let codes = [0, 1799, 1800, 17_981, 17_982, 107_892].map(|f| ntsc.write(f));
        let known =
            ["00:00:00;00", "00:00:59;29", "00:01:00;02", "00:09:59;29", "00:10:00;00", "01:00:00;00"];
        assert_eq!(codes, known);
        assert_eq!(
            [3599, 3600, 215_784].map(|f| at(60_000, 1001).write(f)),
            ["00:00:59;59", "00:01:00;04", "01:00:00;00"]
        );
        assert_eq!(at(24_000, 1001).write(86_400), "01:00:00:00");
        // Every frame of two hours has its own number, none of the dropped ones.
        let mut before = String::new();
        for frame in 0..216_000 {
            let code = ntsc.write(frame);
            let skipped = code.ends_with("00;00") || code.ends_with("00;01");
            assert!(code > before && (!skipped || code.as_bytes()[4] == b'0'), "{before} {code}");
            before = code;
        }
    }

    #[test]
    fn codes_are_those_of_open_timeline_io() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/timelines/timecodes.json");
        let known: BTreeMap<String, Vec<(i128, String)>> =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for (rate, codes) in known {
            let (num, den) = rate.split_once('/').unwrap();
            let timecode = at(num.parse().unwrap(), den.parse().unwrap());
            for (frame, code) in codes {
                assert_eq!(timecode.write(frame), code, "{frame} at {rate}");
            }
        }
    }

    #[test]
    fn odd_rates_get_one_that_has_timecodes() {
        let cases = [
            (23.976_023_976, (24_000, 1001)),
            (23.98, (24_000, 1001)),
            (24.0, (24, 1)),
            (29.97, (30_000, 1001)),
            (12.5, (25, 1)),
            (15.0, (30, 1)),
            (10.0, (30, 1)),
            (119.88, (60_000, 1001)),
            (240.0, (60, 1)),
            (27.2, (25, 1)),
            (1e9, (60, 1)),
            (1e-9, (24_000, 1001)),
        ];
        for (rate, expected) in cases {
            assert_eq!(nominal(rate), expected, "{rate}");
        }
    }
}

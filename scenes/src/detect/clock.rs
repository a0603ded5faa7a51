//! Times as PySceneDetect reckons with them: whole microseconds, which come from OpenCV's milliseconds.

use super::length::Least;
use unisono_media::video::{Ratio, Time, gcd};

/// Turns the container's times into PySceneDetect's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clock {
    start: Time,
    /// Frames a second, in PySceneDetect's terms.
    rate: (i64, i64),
}

/// A frame's place for the rules about lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Frames before it.
    pub index: u64,
    pub micros: i64,
}

impl Clock {
    /// `rate` is the stream's average (see [`average_rate`]), `start` its first time, from which OpenCV counts.
    pub fn new(rate: Ratio, start: Time) -> Self {
        Self { start, rate: known_rate(i64::from(rate.num), i64::from(rate.den)) }
    }

    /// The rate as PySceneDetect names it: `N * 1000/1001` where it is near one, else with a denominator of at most 10000.
    pub fn rate(&self) -> (i64, i64) {
        self.rate
    }

    fn per_second(&self) -> f64 {
        self.rate.0 as f64 / self.rate.1 as f64
    }

    /// OpenCV multiplies in this order; another moves a last bit, and with it a microsecond at a tie.
    pub(super) fn at(&self, index: u64, time: Time) -> Position {
        let base = f64::from(time.base.num) / f64::from(time.base.den);
        let start = if time.base == self.start.base {
            self.start.pts
        } else {
            (self.start.seconds() / base).round() as i64
        };
        let milliseconds = time.pts.saturating_sub(start) as f64 * base * 1000.0;
        Position { index, micros: (milliseconds * 1000.0).round_ties_even() as i64 }
    }

    /// Where OpenCV stands after the last frame: it has no time then, and counts frames.
    pub(super) fn after(&self, frames: u64) -> Position {
        let (num, den) = self.rate;
        let last = i128::from(frames.saturating_sub(1));
        let (above, below) = (last * i128::from(den) * 1_000_000, i128::from(num));
        let (whole, rest) = (above / below, above % below);
        let up = 2 * rest > below || (2 * rest == below && whole % 2 == 1);
        Position { index: frames, micros: (whole + i128::from(up)) as i64 }
    }

    /// The frame's number by its time. With a variable rate it is not the frame's index.
    pub(super) fn number(&self, micros: i64) -> i64 {
        (micros as f64 / 1e6 * self.per_second()).round_ties_even() as i64
    }

    /// So many frames as time.
    pub(super) fn seconds(&self, frames: u64) -> f64 {
        frames as f64 / self.per_second()
    }

    /// Whether between `from` and `to` lies the least time.
    pub(super) fn enough(&self, from: Position, to: Position, least: Least) -> bool {
        let micros = (to.micros - from.micros).max(0);
        match least {
            Least::Frames(n) => self.number(micros) >= n.min(i64::MAX as u64) as i64,
            Least::Seconds(s) => micros as f64 / 1e6 >= s,
            Least::FramesTime(n) => micros as f64 / 1e6 >= self.seconds(n),
        }
    }
}

/// The average rate, which OpenCV takes for the frame rate. FFmpeg tells it (`20.81 fps` in the line of the stream; 0 where it does not)
/// with two decimals only. `candidates` are exact rates from elsewhere: the one that its filters guess (`frame_rate` of `showinfo`),
/// which is something else where the rate varies, and, of MP4 and MOV, the number of frames through their lengths. The first that rounds
/// to what is told is the one; else it is what is told. `None`: nothing is told, and there is no candidate.
pub fn average_rate(told: f64, candidates: &[Ratio]) -> Option<Ratio> {
    let hundredths = (told * 100.0).round();
    if !(1.0..=f64::from(u32::MAX)).contains(&hundredths) {
        return candidates.first().copied();
    }
    let near = candidates.iter().find(|rate| (rate.value() - told).abs() < 0.005_001);
    Some(near.copied().unwrap_or(Ratio { num: hundredths as u32, den: 100 }))
}

fn known_rate(num: i64, den: i64) -> (i64, i64) {
    let value = num as f64 / den as f64;
    if num % den == 0 {
        return (num / den, 1);
    }
    let base = (value * 1001.0 / 1000.0).round_ties_even();
    if base > 0.0 && (base * 1000.0 / 1001.0 - value).abs() < 1e-3 {
        return (base as i64 * 1000, 1001);
    }
    limited(num, den, 10_000)
}

/// The nearest fraction with a denominator of at most `most` (continued fractions).
fn limited(num: i64, den: i64, most: i64) -> (i64, i64) {
    let by = gcd(num.into(), den.into()) as i64;
    let (num, den) = (num / by, den / by);
    if den <= most {
        return (num, den);
    }
    let (mut p0, mut q0, mut p1, mut q1) = (0, 1, 1, 0);
    let (mut n, mut d) = (num, den);
    while d != 0 {
        let whole = n / d;
        let q2 = q0 + whole * q1;
        if q2 > most {
            break;
        }
        (p0, q0, p1, q1) = (p1, q1, p0 + whole * p1, q2);
        (n, d) = (d, n - whole * d);
    }
    let k = (most - q0) / q1.max(1);
    let (below, above) = ((p0 + k * p1, q0 + k * q1), (p1, q1));
    let far = |(p, q): (i64, i64)| {
        (i128::from(p) * i128::from(den) - i128::from(num) * i128::from(q)).abs() as f64 / q as f64
    };
    if far(above) <= far(below) { above } else { below }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_named_as_there() {
        assert_eq!(known_rate(25, 1), (25, 1));
        assert_eq!(known_rate(50, 2), (25, 1));
        assert_eq!(known_rate(2997, 100), (30_000, 1001));
        assert_eq!(known_rate(24_000, 1001), (24_000, 1001));
        assert_eq!(known_rate(25, 2), (25, 2));
        // Python: Fraction(1000003 / 70001).limit_denominator(10000).
        assert_eq!(known_rate(1_000_003, 70_001), (12_657, 886));
    }

    #[test]
    fn the_average_is_the_guess_where_it_may_be() {
        let ratio = |num, den| Ratio { num, den };
        let found = |told, candidates: &[Ratio]| average_rate(told, candidates);
        assert_eq!(found(23.98, &[ratio(24_000, 1001)]), Some(ratio(24_000, 1001)));
        assert_eq!(found(20.81, &[ratio(180, 1)]), Some(ratio(2081, 100)));
        assert_eq!(found(20.81, &[ratio(180, 1), ratio(5265, 253)]), Some(ratio(5265, 253)));
        for odd in [0.0, f64::NAN, f64::INFINITY, -3.0] {
            assert_eq!(found(odd, &[ratio(25, 1)]), Some(ratio(25, 1)));
            assert_eq!(found(odd, &[]), None);
        }
    }

    #[test]
    fn microseconds_are_rounded_as_there() {
        let time = |pts| Time { pts, base: Ratio { num: 1, den: 30_000 } };
        let clock = Clock::new(Ratio { num: 30_000, den: 1001 }, time(3003));
        let at = |i: i64| clock.at(i as u64, time(3003 + 1001 * i));
        assert_eq!([at(0).micros, at(1).micros, at(2).micros], [0, 33_367, 66_733]);
        assert_eq!(clock.number(at(17).micros), 17);
        // Fifteen frames last 500500 us: by rounding, from the first frame to the sixteenth 500499 or 500501 may lie.
        assert!(clock.enough(at(0), at(15), Least::Frames(15)));
        assert_eq!(clock.after(16).micros, 500_500);
    }
}

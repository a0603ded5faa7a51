//! Exact seconds: files count time in several units, and none may drift from the container's.

use std::fmt;
use unisono_media::video::{Time, gcd};

/// A number of seconds as a fraction in lowest terms, below the line positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exact {
    pub(crate) num: i128,
    pub(crate) den: i128,
}

impl Exact {
    /// Below the line 0 counts as 1: a made-up time base must not end the program.
    pub(crate) fn new(num: i128, den: i128) -> Self {
        let den = den.max(1);
        let shared = gcd(num, den);
        Self { num: num / shared, den: den / shared }
    }

    pub(crate) fn of(time: Time) -> Self {
        Self::new(i128::from(time.pts) * i128::from(time.base.num), i128::from(time.base.den))
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        let num = self.num.saturating_mul(other.den).saturating_sub(other.num.saturating_mul(self.den));
        Self::new(num, self.den.saturating_mul(other.den))
    }

    pub(crate) fn times(self, num: i128, den: i128) -> Self {
        Self::new(self.num.saturating_mul(num), self.den.saturating_mul(den))
    }

    /// The nearest whole number; halves go up.
    pub(crate) fn round(self) -> i128 {
        self.num.saturating_mul(2).saturating_add(self.den).div_euclid(self.den.saturating_mul(2))
    }

    pub(crate) fn floor(self) -> i128 {
        self.num.div_euclid(self.den)
    }

    pub(crate) fn value(self) -> f64 {
        self.num as f64 / self.den as f64
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.den {
            1 => write!(f, "{}", self.num),
            den => write!(f, "{}/{den}", self.num),
        }
    }
}

/// Seconds to read, to a millionth.
pub(crate) fn micros(time: Time) -> f64 {
    (Exact::of(time).times(1_000_000, 1).round()) as f64 / 1e6
}

/// `HH:MM:SS.mmm`, to the nearest thousandth; hours take more places when they must.
pub(crate) fn clock(time: Exact) -> String {
    let all = time.times(1000, 1).round();
    let (sign, all) = (if all < 0 { "-" } else { "" }, all.unsigned_abs());
    let (seconds, milli) = (all / 1000, all % 1000);
    format!("{sign}{:02}:{:02}:{:02}.{milli:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_exact_and_cannot_end_the_program() {
        let at = |pts, base: &str| Exact::of(Time { pts, base: base.parse().unwrap() });
        assert_eq!(at(2002, "1/48000").to_string(), "1001/24000");
        assert_eq!(at(1001, "1/24000").minus(at(1, "1/90000")).to_string(), "15011/360000");
        assert_eq!(
            (Exact::new(-3, 2).round(), Exact::new(3, 2).round(), Exact::new(-3, 2).floor()),
            (-1, 2, -2)
        );
        let huge = at(i64::MIN, "4294967295/4294967291");
        let _ = (
            huge.minus(at(i64::MAX, "4294967291/4294967295")).round(),
            clock(huge),
            Exact::new(1, 0).value(),
        );
    }

    #[test]
    fn clocks_round_to_the_thousandth() {
        assert_eq!(clock(Exact::new(1001, 24000)), "00:00:00.042");
        assert_eq!(clock(Exact::new(-1, 2)), "-00:00:00.500");
        assert_eq!(clock(Exact::new(59_999_999, 1_000_000)), "00:01:00.000");
        assert_eq!(clock(Exact::new(360_000, 1)), "100:00:00.000");
    }
}

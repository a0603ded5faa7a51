//! Times as containers write them: whole ticks of a rational length.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A positive fraction, not reduced: a time base (seconds) or a frame rate (frames per second).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ratio {
    /// Above the line.
    pub num: u32,
    /// Below it.
    pub den: u32,
}

impl Ratio {
    /// As a number.
    pub fn value(self) -> f64 {
        f64::from(self.num) / f64::from(self.den)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl FromStr for Ratio {
    type Err = ();

    /// `1/12800`; both parts above 0.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (num, den) = text.split_once('/').ok_or(())?;
        let (num, den) = (num.parse().map_err(|_| ())?, den.parse().map_err(|_| ())?);
        if num == 0 || den == 0 { Err(()) } else { Ok(Self { num, den }) }
    }
}

/// A moment: `pts` ticks of `base` seconds. Never rounded.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Time {
    /// Presentation time stamp, in ticks.
    pub pts: i64,
    /// Length of a tick, in seconds.
    pub base: Ratio,
}

impl Time {
    /// In seconds.
    pub fn seconds(self) -> f64 {
        self.pts as f64 * f64::from(self.base.num) / f64::from(self.base.den)
    }
}

impl Ord for Time {
    fn cmp(&self, other: &Self) -> Ordering {
        let scaled = |a: &Self, b: &Self| i128::from(a.pts) * i128::from(a.base.num) * i128::from(b.base.den);
        scaled(self, other).cmp(&scaled(other, self))
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The same moment, whatever the ticks.
impl PartialEq for Time {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

/// The greatest common divisor, at least 1: what a fraction is shortened by.
pub fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1).max(1)
}

impl Eq for Time {}

impl fmt::Display for Time {
    /// The exact number of seconds as a fraction in lowest terms: `1001/24000`, `2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (num, den) = (i128::from(self.pts) * i128::from(self.base.num), i128::from(self.base.den));
        let by = gcd(num, den);
        match (num / by, den / by) {
            (num, 1) => write!(f, "{num}"),
            (num, den) => write!(f, "{num}/{den}"),
        }
    }
}

impl FromStr for Time {
    type Err = String;

    /// The exact number of seconds: a whole number, a decimal (`2.5`) or a fraction (`1001/24000`), also negative. Decimals beyond the
    /// ninth are rounded.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected seconds as a number or a fraction such as \"1001/24000\", found {text:?}");
        if let Some((num, den)) = text.split_once('/') {
            let (pts, den) =
                (num.trim().parse().map_err(|_| wrong())?, den.trim().parse().map_err(|_| wrong())?);
            return if den == 0 { Err(wrong()) } else { Ok(Self { pts, base: Ratio { num: 1, den } }) };
        }
        if let Ok(pts) = text.trim().parse() {
            return Ok(Self { pts, base: Ratio { num: 1, den: 1 } });
        }
        let seconds: f64 = text.trim().parse().map_err(|_| wrong())?;
        // A double holds nanoseconds of what a video lasts.
        if seconds.is_nan() || seconds.abs() >= 1e9 {
            return Err(wrong());
        }
        Ok(Self { pts: (seconds * 1e9).round() as i64, base: Ratio { num: 1, den: 1_000_000_000 } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_compare_exactly_across_bases() {
        let at = |pts, base: &str| Time { pts, base: base.parse().unwrap() };
        assert_eq!(at(1001, "1/24000"), at(2002, "1/48000"));
        assert!(at(i64::MAX, "1/3") > at(i64::MAX - 1, "1/3"));
        assert!(at(-1, "1/25") < at(0, "1/90000"));
        assert_eq!(at(2002, "1/48000").to_string(), "1001/24000");
        assert_eq!(at(-50, "1/25").to_string(), "-2");
        assert_eq!(at(0, "1/25").to_string(), "0");
        for (text, exact) in
            [("2.5", "5/2"), ("1001/24000", "1001/24000"), ("-3", "-3"), ("0.1", "1/10"), ("1e1", "10")]
        {
            assert_eq!(text.parse::<Time>().unwrap().to_string(), exact);
        }
        for broken in ["", "x", "1/0", "1/-2", "NaN", "inf", "1e300", "1/2/3", "99999999999999999999"] {
            assert!(broken.parse::<Time>().is_err(), "{broken}");
        }
        for broken in ["", "1", "0/1", "1/0", "-1/2", "1/x"] {
            assert!(broken.parse::<Ratio>().is_err(), "{broken}");
        }
    }
}

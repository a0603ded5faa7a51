//! The shortest shot, as PySceneDetect's settings write it.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The least time between two cuts: a number of frames (`15`), of seconds (`0.6`), or words (`"0.6s"`, `"00:00:00.600"`, `"15"`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MinLength {
    /// Frames at the video's rate.
    Frames(u64),
    /// Seconds.
    Seconds(f64),
    /// `"0.6s"`, `"1.5"`, `"MM:SS"`, `"HH:MM:SS.nnn"`; only digits: frames.
    Text(String),
}

impl Default for MinLength {
    /// 15 frames.
    fn default() -> Self {
        Self::Frames(15)
    }
}

/// A shortest shot without words.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Least {
    /// Compared as a number of frames.
    Frames(u64),
    /// Compared as time.
    Seconds(f64),
    /// Written as digits in quotes: so many frames, compared as time. At rates whose microseconds are rounded it makes a difference.
    FramesTime(u64),
}

impl MinLength {
    pub(super) fn least(&self, setting: &str) -> Result<Least> {
        let expected = "frames (15), seconds (0.6) or a time (\"0.6s\", \"00:00:00.600\")";
        match self {
            Self::Frames(n) => Ok(Least::Frames(*n)),
            Self::Seconds(s) if s.is_finite() && *s >= 0.0 => Ok(Least::Seconds(*s)),
            Self::Seconds(s) => Err(Error::setting(setting, expected, s)),
            Self::Text(text) => {
                parse(text.trim()).ok_or_else(|| Error::setting(setting, expected, format!("{text:?}")))
            }
        }
    }
}

fn parse(text: &str) -> Option<Least> {
    let number = |text: &str| {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if digits { text.parse::<f64>().ok() } else { None }
    };
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Least::FramesTime);
    }
    if !text.contains(':') {
        return number(text.strip_suffix('s').unwrap_or(text)).map(Least::Seconds);
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [h, m, s] => (h.parse::<u32>().ok()?, m.parse::<u32>().ok()?, number(s)?),
        [m, s] => (0, m.parse::<u32>().ok()?, number(s)?),
        _ => return None,
    };
    let inside = minutes < 60 && seconds < 60.0;
    inside.then(|| Least::Seconds(seconds + f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_there() {
        let text = |t: &str| MinLength::Text(t.into()).least("x");
        assert_eq!(text("0.6s").unwrap(), Least::Seconds(0.6));
        assert_eq!(text(" 1.5 ").unwrap(), Least::Seconds(1.5));
        assert_eq!(text("15").unwrap(), Least::FramesTime(15));
        assert_eq!(text("00:01:00.600").unwrap(), Least::Seconds(60.6));
        assert_eq!(text("02:03").unwrap(), Least::Seconds(123.0));
        for broken in
            ["", "s", "-1", "-1s", "1e3", "x", "1:2:3:4", "00:60", "00:99:00", ":", "1..2", "inf", "NaN"]
        {
            assert!(text(broken).is_err(), "{broken}");
        }
        for broken in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(MinLength::Seconds(broken).least("x").is_err());
        }
    }
}

//! A part of a video: from one moment up to another, both exact.

use super::Time;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// From `start` up to, and without, `end`, on the container's own clock; a side that is missing is the video's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub start: Option<Time>,
    /// The first moment that is no longer in it.
    pub end: Option<Time>,
}

impl Span {
    /// The whole video.
    pub const WHOLE: Self = Self { start: None, end: None };

    /// Whether it is the whole video.
    pub fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }

    /// Whether a frame at this time is in it.
    pub fn contains(&self, time: Time) -> bool {
        self.start.is_none_or(|start| time >= start) && self.end.is_none_or(|end| time < end)
    }

    /// Where in ascending `times` the frames lie that are in it. A span between two frames has the frame that is shown then.
    pub(super) fn within(&self, times: &[Time]) -> std::ops::Range<usize> {
        let at = |moment: Time| times.partition_point(|t| *t < moment);
        let (from, to) = (self.start.map_or(0, at), self.end.map_or(times.len(), at));
        if from < to {
            return from..to;
        }
        // Shown from the frame before on, if one comes after: beyond the last frame nothing is known to be shown.
        if from > 0 && from < times.len() { from - 1..from } else { 0..0 }
    }
}

impl fmt::Display for Span {
    /// `1001/24000 to 2 s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = |t: Option<Time>, missing: &str| t.map_or_else(|| missing.to_owned(), |t| t.to_string());
        write!(f, "{} to {} s", side(self.start, "the beginning"), side(self.end, "the end"))
    }
}

/// A moment as its exact seconds (`"1001/24000"`, `"2"`), for serde's `with`.
pub mod moment {
    use super::{Deserialize, Deserializer, Serializer, Time};

    /// Writes the seconds.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(time: &Option<Time>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_some(&time.to_string()),
            None => serializer.serialize_none(),
        }
    }

    /// Reads them.
    ///
    /// # Errors
    /// Anything but a whole number or fraction in a string.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Time>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|t| t.parse().map_err(serde::de::Error::custom)).transpose()
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Sides { start: self.start, end: self.end }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sides::deserialize(deserializer).map(|s| Self { start: s.start, end: s.end })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sides {
    #[serde(default, skip_serializing_if = "Option::is_none", with = "moment")]
    start: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "moment")]
    end: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn frames_are_in_it_up_to_its_end() {
        let times: Vec<Time> = (0..10).map(|n| at(&format!("{}/30000", 1001 * n))).collect();
        let within = |start: &str, end: &str| {
            let side = |t: &str| if t.is_empty() { None } else { Some(at(t)) };
            Span { start: side(start), end: side(end) }.within(&times)
        };
        assert_eq!(within("", ""), 0..10);
        assert_eq!(within("1001/15000", ""), 2..10);
        assert_eq!(within("1001/15000", "1001/10000"), 2..3, "the end is not in it");
        assert_eq!(within("2003/30000", "2004/30000"), 2..3, "between two frames the earlier one is shown");
        assert_eq!(within("", "1/1000000"), 0..1);
        assert_eq!(within("5", "6"), 0..0, "nothing is shown after the end");
        assert_eq!(within("", "-1"), 0..0);
        let naive = |s: &Span| times.iter().filter(|t| s.contains(**t)).count();
        let span = Span { start: Some(at("1/10")), end: Some(at("1/4")) };
        assert_eq!(span.within(&times).len(), naive(&span));
        assert_eq!(Span::WHOLE.within(&[]), 0..0);
    }

    #[test]
    fn it_is_written_exactly() {
        let span = Span { start: Some(at("2002/48000")), end: None };
        let text = serde_json::to_string(&span).unwrap();
        assert_eq!(text, r#"{"start":"1001/24000"}"#);
        assert_eq!(serde_json::from_str::<Span>(&text).unwrap(), span);
        assert_eq!(span.to_string(), "1001/24000 to the end s");
        assert!(serde_json::from_str::<Span>(r#"{"start":"x"}"#).is_err());
    }
}

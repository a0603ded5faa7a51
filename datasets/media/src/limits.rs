//! Bounds that a media file must respect, how people write them, and how a message names the option that raises one.

use crate::video::VideoLimits;
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::atomic::{AtomicU8, Ordering};

/// What a single media file may cost. Exceeding one is [`crate::Error::Limit`], found from the header where the format
/// has one, so an image of 50,000 x 50,000 pixels in a file of a kilobyte is refused before a byte is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest file, in bytes.
    pub max_file_bytes: u64,
    /// Largest image in memory, in pixels (width times height). A larger JPEG is decoded at a half, a quarter or an eighth of its size.
    pub max_pixels: u64,
    /// Longest audio, in seconds.
    pub max_seconds: f64,
    /// What becomes of an image whose file is cut off.
    pub truncated: Truncated,
}

impl Default for Limits {
    /// 256 MiB, 100 megapixels (800 MB at most while one is decoded, 300 MB after), one hour: what honest files stay below.
    fn default() -> Self {
        Self {
            max_file_bytes: 256 << 20,
            max_pixels: 100_000_000,
            max_seconds: 3600.0,
            truncated: Truncated::Refuse,
        }
    }
}

/// What becomes of an image whose file ends before the image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Truncated {
    /// It is an error: what is missing would be grey, black, or a smear.
    #[default]
    Refuse,
    /// As much of it as there is.
    Use,
}

/// The limits that a user chose for a job over many files; what is absent has its default, which depends on the use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaLimits {
    /// [`Limits::max_file_bytes`] of images and audio files.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "bytes_or_text")]
    pub max_file_bytes: Option<u64>,
    /// [`Limits::max_pixels`], and of videos' frames.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "count_or_text")]
    pub max_pixels: Option<u64>,
    /// [`Limits::max_seconds`], and of videos.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "seconds_or_text")]
    pub max_seconds: Option<f64>,
    /// [`VideoLimits::max_frames`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "count_or_text")]
    pub max_frames: Option<u64>,
    /// [`VideoLimits::max_total_pixels`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "count_or_text")]
    pub max_total_pixels: Option<u64>,
    /// [`VideoLimits::max_silence`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "seconds_or_text")]
    pub max_silence: Option<f64>,
    /// [`Limits::truncated`].
    pub truncated: Truncated,
}

/// Names of the limits that a message may name, as fields.
pub const NAMES: [&str; 6] =
    ["max_file_bytes", "max_pixels", "max_seconds", "max_frames", "max_total_pixels", "max_silence"];

/// Longest audio where all of it is listened to: six hours are four gigabytes of samples at 48 kHz.
const SPEECH_SECONDS: f64 = 6.0 * 3600.0;

impl MediaLimits {
    /// Of images and audio files: [`Limits::default`] where nothing was chosen.
    pub fn files(&self) -> Limits {
        let base = Limits::default();
        Limits {
            max_file_bytes: self.max_file_bytes.unwrap_or(base.max_file_bytes),
            max_pixels: self.max_pixels.unwrap_or(base.max_pixels),
            max_seconds: self.max_seconds.unwrap_or(base.max_seconds),
            truncated: self.truncated,
        }
    }

    /// Of audio files that are listened to from their beginning to their end: 2 GiB, six hours.
    pub fn speech(&self) -> Limits {
        Limits {
            max_file_bytes: self.max_file_bytes.unwrap_or(2 << 30),
            max_seconds: self.max_seconds.unwrap_or(SPEECH_SECONDS),
            ..self.files()
        }
    }

    /// Of videos: [`VideoLimits::default`] where nothing was chosen.
    pub fn videos(&self) -> VideoLimits {
        self.over(VideoLimits::default())
    }

    /// Of videos: `base` where nothing was chosen.
    pub fn over(&self, base: VideoLimits) -> VideoLimits {
        VideoLimits {
            max_pixels: self.max_pixels.unwrap_or(base.max_pixels),
            max_frames: self.max_frames.unwrap_or(base.max_frames),
            max_total_pixels: self.max_total_pixels.unwrap_or(base.max_total_pixels),
            max_seconds: self.max_seconds.unwrap_or(base.max_seconds),
            max_silence: self.max_silence.unwrap_or(base.max_silence),
            ..base
        }
    }

    /// Of videos whose audio is listened to from its beginning to its end: six hours.
    pub fn spoken_videos(&self) -> VideoLimits {
        VideoLimits { max_seconds: self.max_seconds.unwrap_or(SPEECH_SECONDS), ..self.videos() }
    }

    /// A word for a job's fingerprint: empty where nothing was chosen.
    pub fn fingerprint(&self) -> String {
        if *self == Self::default() { String::new() } else { format!(" {self:?}") }
    }
}

/// How the user of this process sets limits: what [`crate::Error::Limit`] tells to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Spelling {
    /// `max_pixels`: a field, for programs that call this library.
    Field,
    /// `--max-pixels`.
    Option,
    /// `limits.max_pixels`, of a recipe.
    Recipe,
    /// Not at all: the message offers nothing.
    Fixed,
}

/// One for the process, which has one user: so no place that refuses a file can forget to say it.
static SPELLING: AtomicU8 = AtomicU8::new(Spelling::Field as u8);

/// Says how the user of this process sets limits.
pub fn spell(spelling: Spelling) {
    SPELLING.store(spelling as u8, Ordering::Relaxed);
}

/// What is to be done about a limit, as the end of a message.
pub(crate) fn advice(option: &str) -> String {
    let name = match SPELLING.load(Ordering::Relaxed) {
        n if n == Spelling::Option as u8 => format!("--{}", option.replace('_', "-")),
        n if n == Spelling::Recipe as u8 => format!("limits.{option}"),
        n if n == Spelling::Fixed as u8 => return String::new(),
        _ => option.to_owned(),
    };
    format!(": raise `{name}` if the file is meant to be that large")
}

/// What lets a file through that is refused for another reason than its size, as the end of a message.
pub(crate) fn offer(option: &str, value: &str) -> String {
    let name = match SPELLING.load(Ordering::Relaxed) {
        n if n == Spelling::Option as u8 => format!("--{} {value}", option.replace('_', "-")),
        n if n == Spelling::Recipe as u8 => format!("limits.{option} = \"{value}\""),
        n if n == Spelling::Fixed as u8 => return String::new(),
        _ => format!("{option} = {value}"),
    };
    format!("; `{name}` takes what there is")
}

/// A number as people write it: `200000000`, `200_000_000`, `200M`, `1.5G`, `64Mi`.
///
/// # Errors
/// What was expected, and what was found.
pub fn count(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a number as 200M, 1.5G, 64Mi or 200000000, found {text:?}");
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1000,
        "M" | "m" => 1_000_000,
        "G" | "g" => 1_000_000_000,
        "T" | "t" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return Err(wrong()),
    };
    let digits = digits.trim().replace('_', "");
    if !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(wrong());
    }
    let value = digits.parse::<f64>().map_err(|_| wrong())? * factor as f64;
    // Whole numbers are exact up to here; none of the limits is meant to be larger.
    const MOST: f64 = 9_007_199_254_740_992.0;
    if (1.0..=MOST).contains(&value) { Ok(value.round() as u64) } else { Err(wrong()) }
}

/// A size in bytes as people write it: as [`count`], and with a B at its end.
///
/// # Errors
/// What was expected, and what was found.
pub fn bytes(text: &str) -> Result<u64, String> {
    let plain = text.trim();
    let plain = plain.strip_suffix('B').unwrap_or(plain);
    count(plain).map_err(|_| format!("expected a size as 200M, 2G, 256MiB or 200000000, found {text:?}"))
}

/// A duration as people write it, in seconds: `90`, `90s`, `45m`, `1.5h`, `1h30m`.
///
/// # Errors
/// What was expected, and what was found.
pub fn seconds(text: &str) -> Result<f64, String> {
    let wrong = || format!("expected a duration as 90, 45m, 1.5h or 1h30m, found {text:?}");
    let mut rest = text.trim();
    let mut sum = 0.0;
    let mut last = f64::INFINITY;
    loop {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let factor = match unit {
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        let digits = digits.trim();
        // Units come in their order, each once; a number without a unit stands alone.
        let ordered = factor < last && (!unit.is_empty() || last == f64::INFINITY);
        if !ordered || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(wrong());
        }
        sum += digits.parse::<f64>().map_err(|_| wrong())? * factor;
        (last, rest) = (factor, after);
        if rest.is_empty() {
            break;
        }
    }
    if sum.is_finite() && sum > 0.0 { Ok(sum) } else { Err(wrong()) }
}

/// A TOML value: a number, or a text with a unit.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Whole(u64),
    Real(f64),
    Text(String),
}

impl Written {
    fn text(self) -> String {
        match self {
            Self::Whole(n) => n.to_string(),
            Self::Real(n) => n.to_string(),
            Self::Text(text) => text,
        }
    }
}

fn count_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    count(&Written::deserialize(from)?.text()).map(Some).map_err(serde::de::Error::custom)
}
/// [`bytes`] in a recipe, or a plain number of them.
///
/// # Errors
/// As [`bytes`].
pub fn bytes_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    bytes(&Written::deserialize(from)?.text()).map(Some).map_err(serde::de::Error::custom)
}
fn seconds_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    seconds(&Written::deserialize(from)?.text()).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
#[path = "tests/limits.rs"]
mod tests;

//! Forms of transcripts: plain text, SubRip and WebVTT subtitles, JSON.

use super::transcript::{Segment, Transcript};
use crate::{Error, Result};

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A segment a line.
    Text,
    /// SubRip subtitles.
    Srt,
    /// WebVTT subtitles.
    Vtt,
    /// Segments with their times, and the language.
    Json,
}

impl Format {
    /// What names of such files end in, without the dot.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Json => "json",
        }
    }

    /// A transcript in this form, with its last line's end.
    ///
    /// # Errors
    /// Times that JSON cannot say.
    pub fn render(self, transcript: &Transcript) -> Result<String> {
        let segments = &transcript.segments;
        Ok(match self {
            Self::Text => segments.iter().map(|s| s.text.trim().to_owned() + "\n").collect(),
            Self::Srt => segments.iter().enumerate().map(|(i, s)| srt(i + 1, s)).collect(),
            Self::Vtt => format!("WEBVTT\n{}", segments.iter().map(vtt).collect::<String>()),
            Self::Json => {
                let text = serde_json::to_string_pretty(transcript);
                text.map_err(|e| Error::Input(format!("JSON: {e}")))? + "\n"
            }
        })
    }
}

fn srt(number: usize, s: &Segment) -> String {
    let words = s.text.trim().replace("-->", "->");
    format!("{number}\n{} --> {}\n{words}\n\n", clock(s.start, ','), clock(s.end, ','))
}

fn vtt(s: &Segment) -> String {
    let words = s.text.trim().replace('&', "&amp;").replace('<', "&lt;").replace("-->", "->");
    format!("\n{} --> {}\n{words}\n", clock(s.start, '.'), clock(s.end, '.'))
}

/// `01:02:03,456`, to the nearest millisecond.
fn clock(seconds: f64, point: char) -> String {
    let ms = (seconds.max(0.0) * 1000.0).round() as u64;
    let (s, ms) = (ms / 1000, ms % 1000);
    format!("{:02}:{:02}:{:02}{point}{ms:03}", s / 3600, s / 60 % 60, s % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtitles() {
        let segment = |start, end, text: &str| Segment { start, end, text: text.into() };
        let transcript = Transcript {
            language: Some("en".into()),
            text: "a b".into(),
            segments: vec![segment(0.0, 1.5, " one <two> --> three"), segment(3661.0406, 3662.9999, "four")],
        };
        let render = |format: Format| format.render(&transcript).unwrap();
        assert_eq!(
            render(Format::Srt),
            "1\n00:00:00,000 --> 00:00:01,500\none <two> -> three\n\n2\n01:01:01,041 --> 01:01:03,000\nfour\n\n"
        );
        let vtt = render(Format::Vtt);
        assert!(
            vtt.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\none &lt;two> -> three\n\n01:01:01.041")
        );
        assert_eq!(render(Format::Text), "one <two> --> three\nfour\n");
        let json: serde_json::Value = serde_json::from_str(&render(Format::Json)).unwrap();
        assert_eq!((&json["language"], &json["segments"][1]["text"]), (&"en".into(), &"four".into()));
    }
}

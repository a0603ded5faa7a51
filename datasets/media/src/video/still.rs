//! Frames of a stream as their decoder gives them: nothing is converted.

use super::ffmpeg::reason;
use super::{Ffmpeg, VideoLimits};
use crate::{Blob, Error, Result};

/// What the decoder says of its frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// FFmpeg's name of the pixel format.
    pub(crate) form: String,
    /// Samples use all their values.
    pub(crate) full: bool,
    /// FFmpeg's name of the matrix of colours; empty: it is not known.
    pub(crate) matrix: String,
}

impl Told {
    /// `  Stream #0:0: Video: av1 (Main), yuv420p(pc, smpte170m/bt709/unknown), 64x64`.
    fn of(log: &str) -> Option<Self> {
        let line = log.lines().find(|line| line.contains("Stream #0:0") && line.contains(": Video: "))?;
        let (_, about) = line.split_once(": Video: ")?;
        let known = ["gray", "yuv", "gbr"];
        let (at, part) = about
            .match_indices(", ")
            .map(|(at, _)| (at + 2, &about[at + 2..]))
            .find(|(_, part)| known.iter().any(|name| part.starts_with(name)))?;
        let end = part.find(['(', ',', ' ']).unwrap_or(part.len());
        let (form, rest) = about[at..].split_at(end);
        let words =
            rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or("", |(words, _)| words);
        let full = form.starts_with("yuvj") || words.split(", ").any(|word| word == "pc");
        let space = words.split(", ").find(|word| !["pc", "tv", "progressive"].contains(word)).unwrap_or("");
        let matrix = space.split('/').next().unwrap_or("").to_owned();
        Some(Self { form: form.to_owned(), full, matrix })
    }
}

impl Ffmpeg {
    /// So many frames, one after another, planes as they are; `refuse` makes an error of what was found.
    ///
    /// # Errors
    /// The system's, [`Error::Limit`], and what `refuse` makes.
    pub(crate) fn still(
        &self,
        blob: &Blob,
        frames: usize,
        limits: &VideoLimits,
        refuse: &dyn Fn(String) -> Error,
    ) -> Result<(Told, Vec<u8>)> {
        let count = frames.to_string();
        let after =
            ["-map", "0:v:0", "-fps_mode", "passthrough", "-frames:v", &count, "-f", "rawvideo", "pipe:1"];
        let output = self.on(blob, limits, &after)?.output().map_err(self.cannot_start())?;
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || output.stdout.is_empty() {
            return Err(refuse(reason(&log)));
        }
        let told = Told::of(&log).ok_or_else(|| refuse("frames of a form that is not known".into()))?;
        Ok((told, output.stdout))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_frames_is_understood() {
        let told = |text: &str| Told::of(&format!("[info]   Stream #0:0: Video: {text}"));
        let of =
            |form: &str, full, matrix: &str| Some(Told { form: form.into(), full, matrix: matrix.into() });
        for (text, expected) in [
            (
                "av1 (libdav1d) (Main) (AV01 / 0x31305641), yuv420p(pc, smpte170m/bt709/iec61966-2-1), 16x12",
                of("yuv420p", true, "smpte170m"),
            ),
            ("hevc (Main Still Picture), yuvj420p(pc), 64x64, 25 fps", of("yuvj420p", true, "")),
            ("hevc (Main 10), yuv420p10le(tv, bt709, progressive), 64x64", of("yuv420p10le", false, "bt709")),
            ("av1 (High), gbrp(pc, gbr/bt709/iec61966-2-1), 8x8", of("gbrp", true, "gbr")),
            ("av1 (Main), gray, 8x8", of("gray", false, "")),
            ("hevc, none, 8x8", None),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
        assert_eq!(Told::of("[error] no stream"), None);
    }
}

//! A look into one file: whether it can be decoded, what it looks like, and a sum over its bytes.

use super::options::Opening;
use crate::named::{Kind, belied, head, plain};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use unisono_datasets::similar::Thumbnail;
use unisono_media::video::{Ffmpeg, FrameOptions, Span, Time, VideoLimits};
use unisono_media::{Blob, ImageOptions, decode};

/// The sum of a file's bytes, and as many of its first bytes as tell it from ten million others.
pub(super) type Content = [u8; 16];

/// What was seen of a file.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// What is wrong with it, and where that was found.
    pub(super) problems: Vec<(&'static str, String)>,
    /// What it is, where its ending promises something else.
    pub(super) misnamed: Option<&'static str>,
    /// Of a whole file.
    pub(super) content: Option<Content>,
    /// Of an image.
    pub(super) thumbnail: Option<Thumbnail>,
}

/// Decodes a file: images and audio files whole, of videos the first frames and the first seconds of the audio.
pub(super) fn open(kind: Kind, blob: &Blob, opening: &Opening, ffmpeg: Option<&Ffmpeg>) -> Opened {
    let mut seen = Opened::default();
    match head(blob) {
        Ok(head) => seen.misnamed = belied(blob, &head),
        Err(reason) => {
            seen.problems.push(("open", reason));
            return seen;
        }
    }
    let mut note = |outcome: unisono_media::Result<()>| {
        seen.problems.extend(outcome.err().map(|e| ("decode", plain(blob, &e))));
    };
    let decoded = catch_unwind(AssertUnwindSafe(|| match (kind, ffmpeg) {
        (Kind::Image, _) => {
            let options = ImageOptions { limits: opening.limits.files(), ..ImageOptions::default() };
            match decode::rgba(blob.clone(), &options) {
                Ok(image) => Some(Thumbnail::of_large(&image)),
                Err(e) => {
                    note(Err(e));
                    None
                }
            }
        }
        (Kind::Audio, _) => {
            note(decode::audio_by(blob.clone(), &opening.limits.files(), ffmpeg).map(drop));
            None
        }
        (Kind::Video, Some(ffmpeg)) => {
            video(blob, ffmpeg, &opening.limits.videos(), &mut note);
            None
        }
        (Kind::Video, None) => None,
    }));
    match decoded {
        Ok(thumbnail) => seen.thumbnail = thumbnail,
        Err(_) => {
            seen.problems.push(("decode", "its decoder panicked (this is a bug, please report it)".into()));
        }
    }
    if seen.problems.is_empty() {
        match sum(blob) {
            Ok(content) => seen.content = Some(content),
            Err(e) => seen.problems.push(("open", e)),
        }
    }
    seen
}

/// A frame of a part of a video; what is wrong with it.
pub(super) fn open_part(blob: &Blob, part: Span, opening: &Opening, ffmpeg: &Ffmpeg) -> Option<String> {
    let limits = opening.limits.videos();
    let look = || ffmpeg.sample_span(&ffmpeg.probe(blob.clone(), &limits)?, &part, 1, &limits);
    look().err().map(|e| plain(blob, &e))
}

/// A sum over all bytes.
fn sum(blob: &Blob) -> Result<Content, String> {
    let mut file = blob.open().map_err(|e| plain(blob, &e))?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => sum.update(&buffer[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e.to_string()),
        }
    }
    Ok(first(&sum.finalize()))
}

/// A sum over texts, of a record that has nothing else.
pub(super) fn sum_of_texts(texts: &[String]) -> Content {
    let mut sum = Sha256::new();
    for text in texts {
        sum.update((text.len() as u64).to_le_bytes());
        sum.update(text);
    }
    first(&sum.finalize())
}

fn first(sum: &[u8]) -> Content {
    sum.first_chunk().copied().unwrap_or_default()
}

/// Frames that are decoded from the beginning: enough to leave the first key frame.
const FRAMES: usize = 10;
/// Seconds of audio that are.
const SECONDS: i64 = 5;

fn video(
    blob: &Blob,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
    note: &mut impl FnMut(unisono_media::Result<()>),
) {
    // Of several runs: a copy on the disk, where one is needed, is written once.
    let _lent = blob.lend();
    let video = match ffmpeg.probe(blob.clone(), limits) {
        Ok(video) => video,
        Err(e) => return note(Err(e)),
    };
    let frames = || -> unisono_media::Result<()> {
        let options = FrameOptions { only: None, size: Some((16, 16)) };
        let mut shown = 0;
        for frame in ffmpeg.frames(&video, &options, limits)?.take(FRAMES) {
            frame?;
            shown += 1;
        }
        if shown == 0 {
            let (path, expected) = (blob.name().to_owned(), "a video with frames".to_owned());
            return Err(unisono_media::Error::Media { path, expected, found: "none".into() });
        }
        Ok(())
    };
    note(frames());
    let audio = || -> unisono_media::Result<()> {
        let end = ffmpeg.audio_start(&video, limits)?.map(|start| {
            let second = i64::from(start.base.den) / i64::from(start.base.num).max(1);
            Time { pts: start.pts.saturating_add(SECONDS * second), ..start }
        });
        ffmpeg.audio_if_any(&video, &Span { start: None, end }, limits).map(drop)
    };
    if video.sample_rate.is_some() {
        note(audio());
    }
}

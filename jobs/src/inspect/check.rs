//! A look at one file of a manifest: whether it is there, and whether it can be decoded.

use super::form::{Form, HEAD};
use crate::Result;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use unisono_datasets::{Manifest, Record};
use unisono_media::video::{Ffmpeg, FrameOptions, Span, Time, VideoLimits};
use unisono_media::{Blob, ImageOptions, MediaLimits, decode};

/// With what files are opened.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// What a file may cost.
    pub limits: MediaLimits,
    /// The program that decodes videos, and audio files that nothing else does; `None`: it is looked for where one is met.
    pub ffmpeg: Option<PathBuf>,
}

/// What a record names a file as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Image,
    Audio,
    Video,
}

/// A file, and the parts of it that records name.
#[derive(Debug)]
pub(super) struct File<'a> {
    pub(super) blob: &'a Blob,
    kind: Kind,
    parts: Vec<Span>,
}

/// Every file that the manifest names, once for each kind that it is named as, in the order of their paths.
pub(super) fn files(manifest: &Manifest) -> Vec<File<'_>> {
    let mut named: Vec<(&Blob, Kind, Span)> = Vec::new();
    for r in &manifest.records {
        named.extend(r.image.iter().map(|blob| (blob, Kind::Image, Span::WHOLE)));
        named.extend(r.audio.iter().map(|blob| (blob, Kind::Audio, Span::WHOLE)));
        named.extend(r.video.iter().map(|blob| (blob, Kind::Video, r.span)));
    }
    named.sort_by_key(|(blob, kind, _)| (*blob, *kind));
    let mut files: Vec<File> = Vec::new();
    for (blob, kind, part) in named {
        match files.last_mut() {
            Some(last) if last.blob == blob && last.kind == kind => {
                if !last.parts.contains(&part) {
                    last.parts.push(part);
                }
            }
            _ => files.push(File { blob, kind, parts: vec![part] }),
        }
    }
    files
}

/// The program, where files are met that it decodes: any video, or an audio file where the user named it.
///
/// # Errors
/// It is not there.
pub(super) fn ffmpeg(records: &[Record], opening: &Opening) -> Result<Option<Ffmpeg>> {
    let named = opening.ffmpeg.as_deref();
    let wanted = |r: &Record| r.video.is_some() || (named.is_some() && !r.audio.is_empty());
    Ok(if records.iter().any(wanted) { Some(Ffmpeg::find(named)?) } else { None })
}

/// What was seen of a file.
#[derive(Debug, Default)]
pub(super) struct Checked {
    /// What is wrong with it.
    pub(super) problems: Vec<String>,
    /// What it is, where its ending promises something else.
    pub(super) misnamed: Option<&'static str>,
}

/// Looks at a file; `opening` decodes it: images and audio files whole, of videos the first frames, the first seconds of the audio, and a frame
/// of every part that is named.
pub(super) fn check(file: &File, opening: Option<(&Opening, Option<&Ffmpeg>)>) -> Checked {
    let mut seen = Checked::default();
    let head = match head(file.blob) {
        Ok(head) => head,
        Err(reason) => {
            seen.problems.push(reason);
            return seen;
        }
    };
    let Some((opening, ffmpeg)) = opening else { return seen };
    if let Some(form) = Form::of(&head) {
        let ending =
            file.blob.name().extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        seen.misnamed = form.belied_by(&ending).then_some(form.name);
    }
    let prefix = format!("{}: ", file.blob.name().display());
    let mut note = |outcome: unisono_media::Result<()>| {
        seen.problems.extend(outcome.err().map(|e| e.to_string().replacen(&prefix, "", 1)));
    };
    let decoded = catch_unwind(AssertUnwindSafe(|| match (file.kind, ffmpeg) {
        (Kind::Image, _) => {
            let options = ImageOptions { limits: opening.limits.files(), ..ImageOptions::default() };
            note(decode::image(file.blob, &options).map(drop));
        }
        (Kind::Audio, _) => note(decode::audio_by(file.blob, &opening.limits.files(), ffmpeg).map(drop)),
        (Kind::Video, Some(ffmpeg)) => video(file, ffmpeg, &opening.limits.videos(), &mut note),
        (Kind::Video, None) => {}
    }));
    if decoded.is_err() {
        seen.problems.push("its decoder panicked (this is a bug, please report it)".into());
    }
    seen
}

/// The first bytes of a regular file that is not empty.
fn head(blob: &Blob) -> std::result::Result<Vec<u8>, String> {
    let plain = |e: unisono_media::Error| match e {
        unisono_media::Error::Files(unisono_files::Error::Io { source, .. }) => source.to_string(),
        other => other.to_string().replacen(&format!("{}: ", blob.name().display()), "", 1),
    };
    let head = blob.open().and_then(|mut opened| opened.head(HEAD)).map_err(plain)?;
    if head.is_empty() { Err("an empty file".into()) } else { Ok(head) }
}

/// Frames that are decoded from the beginning: enough to leave the first key frame.
const FRAMES: usize = 10;
/// Seconds of audio that are.
const SECONDS: i64 = 5;

fn video(
    file: &File,
    ffmpeg: &Ffmpeg,
    limits: &VideoLimits,
    note: &mut impl FnMut(unisono_media::Result<()>),
) {
    // Of several runs: a copy on the disk, where one is needed, is written once.
    let _lent = file.blob.lend();
    let video = match ffmpeg.probe(file.blob, limits) {
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
            let (path, expected) = (file.blob.name().to_owned(), "a video with frames".to_owned());
            return Err(unisono_media::Error::Media { path, expected, found: "none".into() });
        }
        // A frame of the whole video is one of its first: nothing is shown where that is missing.
        for part in file.parts.iter().filter(|part| !part.is_whole()) {
            ffmpeg.sample_span(&video, part, 1, limits)?;
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

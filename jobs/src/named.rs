//! Files that records name.

use crate::form::{Form, HEAD};
use serde::Serialize;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use unisono_datasets::Record;
use unisono_media::Blob;
use unisono_media::video::Span;

/// What a record names a file as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Image,
    Audio,
    Video,
}

/// The files of a record, as what it names each, and which part of it: the image, the audio files, the video.
pub(crate) fn files(record: &Record) -> impl Iterator<Item = (Kind, &Blob, Span)> {
    let images = record.image.iter().map(|blob| (Kind::Image, blob, Span::WHOLE));
    let audio = record.audio.iter().map(|blob| (Kind::Audio, blob, Span::WHOLE));
    images.chain(audio).chain(record.video.iter().map(|blob| (Kind::Video, blob, record.span)))
}

/// A number that tells things apart: two in ten million have one in common once in a hundred thousand times.
pub(crate) fn number(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// What tells a file from others that are named as the same.
pub(crate) fn identity(kind: Kind, blob: &Blob) -> u64 {
    number((kind, blob.identity()))
}

/// The first bytes of a regular file that is not empty; or else what is wrong with it.
pub(crate) fn head(blob: &Blob) -> Result<Vec<u8>, String> {
    let head = blob.open().and_then(|mut opened| opened.head(HEAD)).map_err(|e| plain(blob, &e))?;
    if head.is_empty() { Err(EMPTY.into()) } else { Ok(head) }
}

const EMPTY: &str = "an empty file";

/// What is wrong with a file, if it is not there or holds nothing; of values in tables only whether the table is there, since a look costs as much as
/// reading them.
pub(crate) fn absent(blob: &Blob) -> Option<String> {
    if blob.table().is_some() {
        return blob.is_missing().then(|| std::io::Error::from(std::io::ErrorKind::NotFound).to_string());
    }
    match blob.open() {
        Ok(opened) if opened.is_empty() => Some(EMPTY.into()),
        Ok(_) => None,
        Err(e) => Some(plain(blob, &e)),
    }
}

/// What is wrong, without the file's name.
pub(crate) fn plain(blob: &Blob, e: &unisono_media::Error) -> String {
    match e {
        unisono_media::Error::Files(unisono_files::Error::Io { source, .. }) => source.to_string(),
        other => other.to_string().replacen(&format!("{}: ", blob.name().display()), "", 1),
    }
}

/// What a file is that begins so, where its ending promises something else.
pub(crate) fn belied(blob: &Blob, head: &[u8]) -> Option<&'static str> {
    let form = Form::of(head)?;
    let ending = blob.name().extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    form.belied_by(&ending).then_some(form.name)
}

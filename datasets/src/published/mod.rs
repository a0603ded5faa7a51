//! Data sets by the annotation files that they were published as, a file each here: what is expected, where it is told of, what becomes
//! which field, and the licence as far as the page names one.
//!
//! ```text
//! files.rs   which files are meant: a file by its name, of a folder those that lie in it
//! json.rs, csv.rs   what they hold, within a budget, typed
//! media.rs   where the media lie: by published name, or found by id among what somebody fetched
//! packed.rs  the records in memory, a line each
//! ```
//!
//! The media of a set that publishes them and lack here are told by whoever opens them; of a set that publishes addresses alone, what was not
//! fetched is passed over and counted in the source's notes.

mod audiocaps;
mod audioset;
mod clips;
mod clotho;
mod coco;
mod conceptual;
mod csv;
mod didemo;
mod esc50;
mod files;
mod imagenet;
mod json;
mod karpathy;
mod media;
mod msvd;
mod noted;
mod numbered;
mod packed;
mod vqa;

use crate::{Error, Result, Source, SourceKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens files whose media lie in a folder, or where they are published to lie.
type Open = fn(&[PathBuf], Option<&Path>) -> Result<Arc<dyn Source>>;

/// A kind of data set.
struct Set {
    kind: SourceKind,
    /// Whether a path shows it.
    seen: fn(&Path) -> bool,
    open: Open,
}

const SETS: [Set; 11] = [
    Set { kind: SourceKind::Karpathy, seen: |path| karpathy::PUBLISHED.seen(path), open: karpathy::open },
    Set { kind: SourceKind::CocoCaptions, seen: |path| coco::PUBLISHED.seen(path), open: coco::open },
    Set { kind: SourceKind::Esc50, seen: |path| esc50::PUBLISHED.seen(path), open: esc50::open },
    Set { kind: SourceKind::Clotho, seen: |path| clotho::PUBLISHED.seen(path), open: clotho::open },
    Set { kind: SourceKind::AudioCaps, seen: |path| audiocaps::PUBLISHED.seen(path), open: audiocaps::open },
    Set { kind: SourceKind::VqaV2, seen: |path| vqa::PUBLISHED.seen(path), open: vqa::open },
    Set { kind: SourceKind::DiDeMo, seen: |path| didemo::PUBLISHED.seen(path), open: didemo::open },
    Set { kind: SourceKind::Msvd, seen: |path| msvd::PUBLISHED.seen(path), open: msvd::open },
    Set { kind: SourceKind::AudioSet, seen: |path| audioset::PUBLISHED.seen(path), open: audioset::open },
    Set {
        kind: SourceKind::ConceptualCaptions,
        seen: |path| conceptual::PUBLISHED.seen(path),
        open: conceptual::open,
    },
    Set { kind: SourceKind::ImageNet, seen: imagenet::seen, open: imagenet::open },
];

/// Opens a named data set.
///
/// # Errors
/// A file that is missing, of another form or another data set, by its name.
pub(crate) fn open(kind: SourceKind, paths: &[PathBuf], media: Option<&Path>) -> Result<Arc<dyn Source>> {
    match SETS.iter().find(|set| set.kind == kind) {
        Some(set) => (set.open)(paths, media),
        None => Err(Error::Options(format!("{kind} is no data set with files of its own"))),
    }
}

/// The data set whose files a path shows.
///
/// # Errors
/// A folder shows several: COCO's captions and VQA's questions may share one.
pub(crate) fn seen(path: &Path) -> Result<Option<SourceKind>> {
    let mut found = SETS.iter().filter(|set| (set.seen)(path)).map(|set| set.kind);
    let first = found.next();
    match (first, found.next()) {
        (Some(first), Some(second)) => {
            let path = path.display();
            let message =
                format!("{path}: holds files of {first} and of {second}: say by type which is meant");
            Err(Error::Options(message))
        }
        _ => Ok(first),
    }
}

/// Whether a kind is one of these.
pub(crate) fn is_named(kind: SourceKind) -> bool {
    SETS.iter().any(|set| set.kind == kind)
}

#[cfg(test)]
#[path = "../tests/published.rs"]
mod tests;

//! Decodes all that a source of records names, and looks for what is there twice.

mod causes;
mod collect;
mod compare;
mod copies;
mod duplicates;
mod found;
mod open;
mod options;
mod see;
mod vectors;

pub use copies::{Copies, copies};
pub use found::{Cause, Checked, Duplicates, Group, Member, Problem};
pub use options::{CheckOptions, Opening};

use crate::{Embedder, Flow, Progress, Result};
use collect::Collected;
use compare::{Compared, compare, decode};
use duplicates::Things;
use unisono_datasets::Source;

/// Decodes every file that a source's records name, each once: images and audio files whole, of videos the beginning and every part that is named. Then looks
/// for duplicates: equal bytes, equal looks (thumbnails, mirrored too), and by `embedder` nearly equal vectors.
///
/// # Errors
/// [`Error::Interrupted`](crate::Error::Interrupted) when `progress` says stop; videos to open and no ffmpeg; the model's.
pub fn check(
    source: &dyn Source,
    embedder: Option<&Embedder>,
    options: &CheckOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Checked> {
    let mut collected = decode(source, options, progress)?;
    collected.complete();
    let things = Things::new(source, &collected.entries);
    let Compared { alike, vectors, over } = compare(&things, &collected, embedder, options, progress)?;
    let alike = things.near(&collected.pictured, alike);
    let vectors = vectors.map(|(entries, linked)| things.near(&entries, linked));
    let (exact, shared) = (things.exact(), things.shared());
    let broken_records = collected.broken_records();
    let Collected { files, mut misnamed, mut problems, crossings, .. } = collected;
    // Which of several records' workers was first is nobody's business.
    problems.named.sort_by(|a, b| (&a.id, &a.reason).cmp(&(&b.id, &b.reason)));
    misnamed.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Checked {
        records: source.len(),
        files,
        broken_records,
        problem_count: problems.count,
        causes: problems.causes(),
        problems: problems.named,
        misnamed,
        exact,
        alike,
        vectors,
        shared,
        crossing_groups: crossings.found(),
        compared: over.then_some(options.most),
    })
}

#[cfg(test)]
#[path = "../tests/check.rs"]
mod tests;

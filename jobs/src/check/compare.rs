//! Looks at every file, and finds which are near each other.

use super::collect::Collected;
use super::duplicates::{Linked, Things};
use super::options::CheckOptions;
use super::see::{Seen, Workers};
use super::vectors;
use crate::pipeline::ordered;
use crate::{Embedder, Error, Flow, Progress, Result};
use unisono_datasets::Source;
use unisono_datasets::similar::Near;

/// Images whose likes are looked for between two looks at the time.
const ROWS: usize = 64;

/// What is near what.
pub(super) struct Compared {
    /// By the looks of [`Collected::pictured`].
    pub(super) alike: Linked,
    /// By the vectors of these entries, where a model was asked.
    pub(super) vectors: Option<(Vec<usize>, Linked)>,
    /// There was more than could be compared.
    pub(super) over: bool,
}

/// Opens every file of a source, each once.
///
/// # Errors
/// [`Error::Interrupted`]; videos to open and no ffmpeg.
pub(super) fn decode(
    source: &dyn Source,
    options: &CheckOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Collected> {
    let workers = Workers::new(source, &options.opening)?;
    let mut collected = Collected::new(options.most.max(1));
    let total = source.len();
    ordered(
        0..total,
        options.workers,
        16,
        |index| workers.see(index),
        |index, seen: Seen| {
            collected.add(index, seen);
            let (done, skipped) = (index + 1, collected.problems.count);
            progress(Progress { stage: "open files", done, total, skipped }).check()
        },
        |index| Error::Worker { id: format!("record {index}") },
    )?;
    Ok(collected)
}

/// Compares images by their looks, and by a model all files by their vectors.
///
/// # Errors
/// [`Error::Interrupted`]; the model's.
pub(super) fn compare(
    things: &Things,
    collected: &Collected,
    embedder: Option<&Embedder>,
    options: &CheckOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Compared> {
    let near = Near::new(&collected.thumbnails, options.difference);
    let total = collected.thumbnails.len();
    let mut alike = Linked::new(total, f32::min);
    for start in (0..total).step_by(ROWS) {
        alike.add(&near.pairs(start..start + ROWS));
        progress(Progress { stage: "compare images", done: start, total, skipped: 0 }).check()?;
    }
    let Some(embedder) = embedder else { return Ok(Compared { alike, vectors: None, over: collected.over }) };
    let (entries, linked, more) =
        vectors::near(things, collected, embedder, options.cosine, options.workers, progress)?;
    Ok(Compared { alike, vectors: Some((entries, linked)), over: collected.over || more })
}

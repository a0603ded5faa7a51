//! Decodes all that a source of records names, and looks for what is there twice.

mod causes;
mod collect;
mod duplicates;
mod found;
mod open;
mod options;
mod see;
mod vectors;

pub use found::{Cause, Checked, Duplicates, Group, Member, Problem};
pub use options::{CheckOptions, Opening};

use crate::pipeline::ordered;
use crate::{Embedder, Error, Flow, Progress, Result};
use collect::Collected;
use duplicates::{Linked, Things};
use see::{Seen, Workers};
use unisono_datasets::Source;
use unisono_datasets::similar::Near;

/// Images whose likes are looked for between two looks at the time.
const ROWS: usize = 64;

/// Decodes every file that a source's records name, each once: images and audio files whole, of videos the beginning and every part that is named. Then looks
/// for duplicates: equal bytes, equal looks (thumbnails, mirrored too), and by `embedder` nearly equal vectors.
///
/// # Errors
/// [`Error::Interrupted`] when `progress` says stop; videos to open and no ffmpeg; the model's.
pub fn check(
    source: &dyn Source,
    embedder: Option<&Embedder>,
    options: &CheckOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Checked> {
    let mut collected = decode(source, options, progress)?;
    collected.complete();
    let things = Things::new(source, &collected.entries);
    let alike = {
        let near = Near::new(&collected.thumbnails, options.difference);
        let total = collected.thumbnails.len();
        let mut linked = Linked::new(total, f32::min);
        for start in (0..total).step_by(ROWS) {
            linked.add(&near.pairs(start..start + ROWS));
            progress(Progress { stage: "compare images", done: start, total, skipped: 0 }).check()?;
        }
        things.near(&collected.pictured, linked)
    };
    let mut over = collected.over;
    let vectors = match embedder {
        None => None,
        Some(embedder) => {
            let (entries, linked, more) =
                vectors::near(&things, &collected, embedder, options.cosine, options.workers, progress)?;
            over |= more;
            Some(things.near(&entries, linked))
        }
    };
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

fn decode(
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

#[cfg(test)]
#[path = "../tests/check.rs"]
mod tests;

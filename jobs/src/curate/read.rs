//! All records of a source, one after another, read by several threads.

use crate::pipeline::ordered;
use crate::{Error, Flow, Progress, Result, Skip};
use unisono_datasets::{Record, Source};

/// Records that a worker takes at once.
const BLOCK: usize = 16;

/// Gives every record to `of` on `workers` threads, and what comes of it, or why the record cannot be read, to `take` in the source's order.
///
/// # Errors
/// What `take` says; [`Error::Interrupted`] when `progress` says stop.
pub(super) fn read<T: Send>(
    source: &dyn Source,
    workers: usize,
    stage: &str,
    of: impl Fn(&Record) -> T + Sync,
    mut take: impl FnMut(usize, std::result::Result<T, Skip>) -> Result<()>,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<()> {
    let total = source.len();
    let range = |block: usize| block * BLOCK..((block + 1) * BLOCK).min(total);
    let one = |index: usize| match source.record(index) {
        Ok(record) => Ok(of(&record)),
        Err(e) => Err(Skip { id: format!("record {index}"), reason: e.to_string() }),
    };
    let mut skipped = 0;
    ordered(
        0..total.div_ceil(BLOCK),
        workers,
        8,
        |block| range(block).map(one).collect::<Vec<_>>(),
        |block, made| {
            for (index, made) in range(block).zip(made) {
                skipped += usize::from(made.is_err());
                take(index, made)?;
            }
            progress(Progress { stage, done: range(block).end, total, skipped }).check()
        },
        |block| Error::Worker { id: format!("record {}", block * BLOCK) },
    )
}

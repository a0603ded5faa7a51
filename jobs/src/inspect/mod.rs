//! What a source of records holds, without decoding a single file.

mod cards;
mod counts;
mod drawn;
mod found;
pub(crate) mod groups;
mod link;
mod options;
mod page;
pub(crate) mod see;
mod spread;
mod tally;

pub use found::{Captions, Counts, Images, Inspection, Labels, Lengths, Misnamed};
pub use options::{InspectOptions, PageOptions};
pub use page::page;
pub use spread::{Bar, Spread};

use crate::pipeline::ordered;
use crate::{Error, Flow, Progress, Result};
use drawn::is_drawn;
use see::{Seen, see};
use tally::Tally;
use unisono_datasets::Source;

/// Of so many records the files' heads are read, and of every record whether its files are there.
const MEASURED: usize = 10_000;
/// Records that a worker takes at once.
const BLOCK: usize = 16;

/// Counts what a source holds, looks whether its files are there, and reads the heads of those of ten thousand records spread over all of it. Records come
/// by one after another: what is held does not grow with them.
///
/// # Errors
/// [`Error::Interrupted`] when `progress` says stop.
pub fn inspect(
    source: &dyn Source,
    options: &InspectOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Inspection> {
    let total = source.len();
    let step = total.div_ceil(MEASURED).max(1);
    let range = |block: usize| block * BLOCK..((block + 1) * BLOCK).min(total);
    let mut tally = Tally::new(options.detector.is_some());
    ordered(
        0..total.div_ceil(BLOCK),
        options.workers,
        8,
        |block| {
            range(block)
                .map(|i| see(source, i, is_drawn(i, step), options.detector.as_ref()))
                .collect::<Vec<Seen>>()
        },
        |block, seen| {
            seen.into_iter().for_each(|seen| tally.add(seen));
            let (done, skipped) = (range(block).end, tally.problem_count());
            progress(Progress { stage: "look at records", done, total, skipped }).check()
        },
        |block| Error::Worker { id: format!("record {}", block * BLOCK) },
    )?;
    Ok(tally.found(step))
}

#[cfg(test)]
#[path = "../tests/inspect_page.rs"]
mod page_tests;

#[cfg(test)]
#[path = "../tests/inspect.rs"]
mod tests;

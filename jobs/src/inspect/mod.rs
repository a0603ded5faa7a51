//! What a source of records holds, without decoding a single file.

mod counts;
mod found;
pub(crate) mod groups;
pub(crate) mod see;
mod spread;
mod tally;

pub use found::{Captions, Counts, Images, Inspection, Labels, Lengths, Misnamed};
pub use spread::{Bar, Spread};

use crate::pipeline::ordered;
use crate::{Error, Flow, Progress, Result};
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
    workers: usize,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<Inspection> {
    let total = source.len();
    let step = total.div_ceil(MEASURED).max(1);
    let range = |block: usize| block * BLOCK..((block + 1) * BLOCK).min(total);
    let mut tally = Tally::default();
    ordered(
        0..total.div_ceil(BLOCK),
        workers,
        8,
        |block| range(block).map(|i| see(source, i, is_drawn(i, step))).collect::<Vec<Seen>>(),
        |block, seen| {
            seen.into_iter().for_each(|seen| tally.add(seen));
            let (done, skipped) = (range(block).end, tally.problem_count());
            progress(Progress { stage: "look at records", done, total, skipped }).check()
        },
        |block| Error::Worker { id: format!("record {}", block * BLOCK) },
    )?;
    Ok(tally.found(step))
}

/// One of `step` records, by lot: data may repeat themselves every so many records.
fn is_drawn(index: usize, step: usize) -> bool {
    // The finaliser of SplitMix64.
    let mut n = (index as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    step == 1 || (n ^ n >> 31).is_multiple_of(step as u64)
}

#[cfg(test)]
#[path = "../tests/inspect.rs"]
mod tests;

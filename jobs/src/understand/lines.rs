//! Values as lines of JSON, which grow on the disk: memory holds a batch of them, and a stopped job goes on behind the last one.

use super::{Row, Task, Understander, run};
use crate::pipeline::work::Form;
use crate::pipeline::{Round, SavedRows, Sink, fingerprint, partial};
use crate::{EmbedOptions, Error, Flow, Job, LeftOut, Listing, Progress, Result, Skip};
use serde::Serialize;
use std::path::PathBuf;

/// The name of the lines beside an output.
const ROWS: &str = "rows.jsonl";

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WrittenLines {
    /// One JSON object a line: see [`Row`].
    pub out: PathBuf,
    /// Lines.
    pub count: usize,
    /// Inputs without one, each with its reason.
    pub skipped: Vec<Skip>,
    /// What nobody asked for.
    #[serde(flatten)]
    pub left_out: LeftOut,
}

/// Does a task for a listing and writes a line of JSON for each item, going on where an earlier run of the same work stopped; `resumed` is told how many
/// items are done already. The caller holds the lock on the output ([`output::claim`](crate::output::claim)).
///
/// What is done is kept beside `job.out` as it goes, by a model that came from a [folder](Understander::load).
///
/// # Errors
/// As [`understand`](super::understand); the folder beside `out` holds other work, or was changed.
pub fn understand_to<T: Task>(
    model: &Understander,
    listing: Listing,
    task: &mut T,
    options: &EmbedOptions,
    job: &Job,
    resumed: &mut dyn FnMut(usize),
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<WrittenLines> {
    let dir = partial(job.out);
    if job.fresh {
        SavedRows::forget(&dir, ROWS)?;
    }
    let work = match model.settings() {
        Some(settings) => {
            let settings = format!("{} {} {}", T::STAGE, settings?, task.settings());
            let work = fingerprint(&listing.items, &settings, options.batch);
            SavedRows::open(&dir, &listing.items, &form(options.batch, &work))?
        }
        None => SavedRows::passing(job.out, 0)?,
    };
    if work.done > 0 {
        resumed(work.done);
    }
    let mut lines = Lines(work);
    let skipped = match run(model, &listing, task, options, &mut lines, progress) {
        // Nothing is worth being taken up again.
        Err(e @ Error::AllSkipped { .. }) => return lines.0.end().and(Err(e)),
        run => run?,
    };
    let count = lines.0.count;
    lines.0.place(job.out, &[], || Ok(()))?;
    Ok(WrittenLines { out: job.out.to_owned(), count, skipped, left_out: listing.left_out })
}

pub(crate) fn form(batch: usize, work: &str) -> Form<'_> {
    Form { kind: "lines", name: ROWS, room: 0, row: None, round: batch.max(1), work }
}

struct Lines(SavedRows);

impl<V: Serialize> Sink<V> for Lines {
    fn done(&self) -> usize {
        self.0.done
    }

    fn skipped(&self) -> &[(usize, String)] {
        &self.0.skipped
    }

    fn keep(&mut self, round: Round<'_, V>) -> Result<()> {
        let first = self.0.done;
        let (mut bytes, mut skipped) = (Vec::new(), Vec::new());
        for (i, (item, outcome)) in round.items.iter().zip(round.outcomes).enumerate() {
            match outcome {
                Ok(value) => {
                    let line = serde_json::to_writer(&mut bytes, &Row::new(item, value));
                    line.map_err(|e| Error::Input(format!("JSON: {e}")))?;
                    bytes.push(b'\n');
                }
                Err(reason) => skipped.push((first + i, reason)),
            }
        }
        self.0.keep(round.items.len(), skipped, round.files, &bytes)
    }
}

//! Inputs of several requests through a model, and to each request its own.

use super::held::Held;
use super::load::{Kind, parts};
use crate::Batching;
use crate::refusal::{Answer, Refusal};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot::Sender;
use unisono_processors::Prepared;

/// What an engine has done.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Batches of inputs that were embedded.
    pub(crate) batches: AtomicU64,
    /// Inputs in them.
    pub(crate) items: AtomicU64,
    /// Microseconds of work, of all kinds.
    pub(crate) micros: AtomicU64,
}

/// Inputs of one kind, of one request.
pub(super) struct EmbedJob {
    inputs: Vec<Prepared>,
    dims: Option<i64>,
    reply: Sender<Answer<Vec<Vec<f32>>>>,
}

impl EmbedJob {
    pub(super) fn new(
        inputs: Vec<Prepared>,
        dims: Option<i64>,
        reply: Sender<Answer<Vec<Vec<f32>>>>,
    ) -> Self {
        Self { inputs, dims, reply }
    }

    pub(super) fn inputs(&self) -> &[Prepared] {
        &self.inputs
    }

    /// Nobody waits for it any more.
    pub(super) fn is_forsaken(&self) -> bool {
        self.reply.is_closed()
    }

    /// Answers it with why it has no answer.
    pub(super) fn refuse(self, refusal: &Refusal) {
        drop(self.reply.send(Err(refusal.clone())));
    }

    /// Whether both go through the same tower, to vectors of one width.
    pub(super) fn goes_with(&self, other: &Self) -> bool {
        let kind = |job: &Self| job.inputs.first().map(Kind::of);
        kind(self) == kind(other) && self.dims == other.dims
    }
}

/// Embeds the inputs of all jobs, which go with each other, and answers each. Batches are composed as those of a job over many files: of one request
/// that is alone they are the same, and so are its vectors, bit for bit.
pub(super) fn embed(held: &mut Held, jobs: Vec<EmbedJob>, batching: &Batching, done: &Done) {
    let dims = jobs.first().and_then(|job| job.dims);
    let owners: Vec<usize> =
        jobs.iter().enumerate().flat_map(|(j, job)| std::iter::repeat_n(j, job.inputs.len())).collect();
    let inputs: Vec<&Prepared> = jobs.iter().flat_map(|job| &job.inputs).collect();
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    // Texts from the longest to the shortest: a batch costs what its longest costs for each of them.
    order.sort_by_key(|i| match inputs[*i] {
        Prepared::Text(ids) => std::cmp::Reverse(ids.len()),
        _ => std::cmp::Reverse(0),
    });
    let mut rows: Vec<Answer<Vec<f32>>> = vec![Err(Refusal::ending()); inputs.len()];
    for part in parts(&inputs, &order, batching) {
        if part.iter().all(|i| jobs[owners[*i]].is_forsaken()) {
            continue;
        }
        done.batches.fetch_add(1, Ordering::Relaxed);
        done.items.fetch_add(part.len() as u64, Ordering::Relaxed);
        let of: Vec<&Prepared> = part.iter().map(|i| inputs[*i]).collect();
        match held.vectors(&of, dims) {
            Ok(made) => part.iter().zip(made).for_each(|(i, row)| rows[*i] = Ok(row)),
            // One request's input must not cost the others: each by itself says whose it was.
            Err(_) if part.len() > 1 => {
                for i in part {
                    let alone = held.vectors(&[inputs[i]], dims);
                    rows[i] = alone.map(|mut made| made.pop().unwrap_or_default());
                }
            }
            Err(refusal) => {
                part.iter().for_each(|i| rows[*i] = Err(refusal.clone()));
            }
        }
    }
    drop(inputs);
    let mut rows = rows.into_iter();
    for job in jobs {
        let own: Vec<Answer<Vec<f32>>> = rows.by_ref().take(job.inputs.len()).collect();
        // Whoever asked may have gone meanwhile.
        drop(job.reply.send(own.into_iter().collect()));
    }
}

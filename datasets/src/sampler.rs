//! Which records a training step sees: a pure function of (seed, step).

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::SliceRandom;

use crate::rng::{Purpose, rng};
use crate::{Error, Part, Record, Result};

/// Records that are drawn together at a fixed rate: their share of each batch.
#[derive(Debug, Clone)]
pub struct Share {
    /// Name for messages and reports.
    pub name: String,
    /// The records; each is drawn exactly once an epoch of this share.
    pub records: Part,
    /// How many of them each batch holds.
    pub per_batch: usize,
    /// For each record the group that it belongs to (a language, say), or empty. With groups, a batch holds records of one
    /// group as far as they last: in a contrastive loss the other items of the batch are then the hard ones.
    pub groups: Vec<u32>,
}

/// One place of a batch.
#[derive(Debug, Clone)]
pub struct Draw {
    /// Which share.
    pub share: usize,
    /// The number of the record in it.
    pub index: usize,
    /// How often the share had been gone through before.
    pub epoch: u64,
    /// Running number of the draw in the share, from 0: with the seed it identifies the draw, see [`crate::rng`].
    pub draw: u64,
}

/// Draws batches from shares.
///
/// Draw `k` of a share with `n` records is `permutation(seed, share, k / n)[k % n]`, and batch `step` of a share holds
/// the draws from `step * per_batch` on. So nothing is carried from step to step, a resumed training needs the step
/// number only, and every record comes exactly once an epoch of its share, also across batch boundaries.
///
/// A share with groups starts each epoch with a new batch, so that batches and groups stay aligned; the last batch of
/// its epoch holds what is left.
#[derive(Debug)]
pub struct Sampler {
    shares: Vec<Share>,
    seed: u64,
    /// The two latest permutations of each share: around an epoch's end, batches need both.
    cache: Vec<Mutex<Vec<(u64, Permutation)>>>,
}

type Permutation = Arc<Vec<u32>>;

impl Sampler {
    /// A sampler over `shares`.
    ///
    /// # Errors
    /// [`Error::Options`] when there is no share, or one is empty or draws nothing.
    pub fn new(shares: Vec<Share>, seed: u64) -> Result<Self> {
        if shares.is_empty() {
            return Err(Error::Options("a sampler needs at least one source of records".into()));
        }
        for share in &shares {
            let name = &share.name;
            if share.records.is_empty() {
                return Err(Error::Options(format!(
                    "source {name:?} has no records: is its split name right?"
                )));
            }
            if share.per_batch == 0 {
                return Err(Error::Options(format!(
                    "source {name:?} has per_batch = 0: leave it out or raise it"
                )));
            }
            if !share.groups.is_empty() && share.groups.len() != share.records.len() {
                let (groups, records) = (share.groups.len(), share.records.len());
                return Err(Error::Options(format!(
                    "source {name:?} has {groups} groups for {records} records"
                )));
            }
        }
        let cache = shares.iter().map(|_| Mutex::default()).collect();
        Ok(Self { shares, seed, cache })
    }

    /// The draws of batch `step`, shares in order.
    pub fn batch(&self, step: u64) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(self.batch_size());
        for (number, share) in self.shares.iter().enumerate() {
            let (n, per_batch) = (share.records.len() as u64, share.per_batch as u64);
            let mut current: Option<(u64, Permutation)> = None;
            let range = if share.groups.is_empty() {
                (step * per_batch)..((step + 1) * per_batch)
            } else {
                let batches = n.div_ceil(per_batch);
                let start = step / batches * n + step % batches * per_batch;
                start..(start + per_batch).min((step / batches + 1) * n)
            };
            for draw in range {
                let epoch = draw / n;
                let order = match &current {
                    Some((e, order)) if *e == epoch => order.clone(),
                    _ => self.permutation(number, epoch),
                };
                let index = order[(draw % n) as usize] as usize;
                draws.push(Draw { share: number, index, epoch, draw });
                current = Some((epoch, order));
            }
        }
        draws
    }

    /// The record of a draw; it may be read from a file for it.
    ///
    /// # Errors
    /// Its source cannot be read, or the draw is another sampler's.
    pub fn record(&self, draw: &Draw) -> Result<Cow<'_, Record>> {
        match self.shares.get(draw.share) {
            Some(share) => share.records.record(draw.index),
            None => Err(Error::Options(format!("there is no share of number {}", draw.share))),
        }
    }

    /// What a draw is called whose record cannot be read.
    pub(crate) fn place(&self, draw: &Draw) -> String {
        let name = self.shares.get(draw.share).map_or("", |s| s.name.as_str());
        format!("{name}, record {}", draw.index)
    }

    /// Places in a batch.
    pub fn batch_size(&self) -> usize {
        self.shares.iter().map(|s| s.per_batch).sum()
    }

    /// The shares.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Seed of the permutations.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How often share `share` has been gone through before batch `step`, with the fraction of the current epoch.
    /// 0 for a share that does not exist.
    pub fn epoch(&self, share: usize, step: u64) -> f64 {
        self.shares.get(share).map_or(0.0, |s| match s.groups.is_empty() {
            true => step as f64 * s.per_batch as f64 / s.records.len() as f64,
            false => step as f64 / s.records.len().div_ceil(s.per_batch) as f64,
        })
    }

    fn permutation(&self, share: usize, epoch: u64) -> Permutation {
        let mut held = self.cache[share].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = held.iter().find(|(e, _)| *e == epoch) {
            return order.clone();
        }
        let Share { records, groups, per_batch, .. } = &self.shares[share];
        let mut order = permutation(self.seed, share as u64, epoch, records.len());
        if !groups.is_empty() {
            order = in_groups(
                order,
                groups,
                *per_batch,
                &mut rng(self.seed, epoch, share as u64, Purpose::Other),
            );
        }
        let order = Arc::new(order);
        if held.len() == 2 {
            held.remove(0);
        }
        held.push((epoch, order.clone()));
        order
    }
}

/// Fisher-Yates over `0..n` with the stream of (seed, epoch, share).
fn permutation(seed: u64, source: u64, epoch: u64, n: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut rng(seed, epoch, source, Purpose::Shuffle));
    order
}

/// Cuts a shuffled order into batches of one group each, in random sequence; what is left of each group fills the last ones.
fn in_groups(order: Vec<u32>, groups: &[u32], per_batch: usize, rng: &mut impl rand::Rng) -> Vec<u32> {
    let mut by_group: std::collections::BTreeMap<u32, Vec<u32>> = std::collections::BTreeMap::new();
    for index in order {
        by_group.entry(groups[index as usize]).or_default().push(index);
    }
    let (mut batches, mut rest) = (Vec::new(), Vec::new());
    for members in by_group.values() {
        let whole = members.len() / per_batch * per_batch;
        batches.extend(members[..whole].chunks(per_batch));
        rest.extend_from_slice(&members[whole..]);
    }
    batches.shuffle(rng);
    let mut out = batches.concat();
    out.append(&mut rest);
    out
}

#[cfg(test)]
#[path = "tests/sampler.rs"]
mod tests;

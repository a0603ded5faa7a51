//! Which records a training step sees: a pure function of (seed, step).

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::mixture::Mixture;
use crate::order::{Epoch, Order, table};
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
    pub rate: Rate,
    /// For each record the group that it belongs to (a language, say), or empty. With groups, a batch holds records of one
    /// group as far as they last: in a contrastive loss the other items of the batch are then the hard ones.
    pub groups: Vec<u32>,
    /// How its records are shuffled.
    pub order: Order,
    /// What becomes of the last records of an epoch, which do not fill a batch.
    pub tail: Tail,
}

impl Share {
    /// So many records of each batch, shuffled as suits their source, batches running on from one epoch into the next.
    pub fn new(name: impl Into<String>, records: Part, per_batch: usize) -> Self {
        let (rate, order) = (Rate::PerBatch(per_batch), Order::default());
        Self { name: name.into(), records, rate, groups: Vec::new(), order, tail: Tail::default() }
    }
}

/// How many records of a share a batch holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// So many.
    PerBatch(usize),
    /// As many of the batch's places as its weight is of all weights, over time. All shares of a sampler have a weight, or none has.
    Weight(f64),
}

/// What becomes of the last records of an epoch that do not fill a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tail {
    /// The batch is filled up with the first of the next epoch: every record comes once an epoch, every batch is full.
    #[default]
    Across,
    /// They are left out; in another epoch they are others.
    Drop,
    /// The batch is filled up with records that the epoch has had, which are marked ([`Draw::padding`]): every epoch begins with a batch.
    Pad,
}

/// One place of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draw {
    /// Which share.
    pub share: usize,
    /// The number of the record in it.
    pub index: usize,
    /// How often the share had been gone through before.
    pub epoch: u64,
    /// Running number of the draw in the share, from 0: with the seed it identifies the draw, see [`crate::rng`].
    pub draw: u64,
    /// It only fills a place ([`Tail::Pad`]): the epoch has had this record.
    pub padding: bool,
}

/// Draws batches from shares.
///
/// Draw `k` of a share with `n` records is `order(seed, share, k / n)[k % n]`, and batch `step` holds the draws that follow those of the
/// steps before it, whose number is known without going through them. So nothing is carried from step to step, the position of a training
/// is its step number, and every record comes exactly once an epoch of its share, also across batch boundaries. Several ranks cut each
/// batch among them ([`part`](Self::part)): together they see what one would see.
///
/// A share with groups starts each epoch with a new batch, so that batches and groups stay aligned; the last batch of
/// its epoch holds what is left.
#[derive(Debug)]
pub struct Sampler {
    shares: Vec<Share>,
    seed: u64,
    mixture: Option<Mixture>,
    batch: usize,
    /// The two latest orders of each share: around an epoch's end, batches need both.
    cache: Vec<Mutex<Orders>>,
}

/// Orders by their epochs.
type Orders = Vec<(u64, Arc<Epoch>)>;

impl Sampler {
    /// A sampler over `shares` with so many records in each batch.
    ///
    /// # Errors
    /// [`Error::Options`] when there is no share, one is empty or draws nothing, or what is asked of it cannot be had together.
    pub fn new(shares: Vec<Share>, seed: u64) -> Result<Self> {
        Self::check(&shares)?;
        let rate = |s: &Share| match s.rate {
            Rate::PerBatch(n) => Some(n),
            Rate::Weight(_) => None,
        };
        let Some(batch) = shares.iter().map(rate).sum::<Option<usize>>() else {
            let share = shares.iter().find(|s| rate(s).is_none()).map_or("", |s| s.name.as_str());
            return Err(Error::Options(format!(
                "source {share:?} has a weight: say how many places a batch has, and give every source a weight"
            )));
        };
        Ok(Self::with(shares, seed, batch, None))
    }

    /// A sampler over `shares`, whose weights divide the `batch` places of each batch.
    ///
    /// # Errors
    /// As [`new`](Self::new); a share without a weight, with groups, or with another tail than [`Tail::Across`].
    pub fn mixed(shares: Vec<Share>, seed: u64, batch: usize) -> Result<Self> {
        Self::check(&shares)?;
        if batch == 0 {
            return Err(Error::Options("a batch needs at least one place".into()));
        }
        let mut weights = Vec::with_capacity(shares.len());
        for share in &shares {
            let name = &share.name;
            let Rate::Weight(weight) = share.rate else {
                return Err(Error::Options(format!(
                    "source {name:?} has a number of records a batch where others have weights: give every source a weight"
                )));
            };
            if !share.groups.is_empty() || share.tail != Tail::Across {
                return Err(Error::Options(format!(
                    "source {name:?} has groups or a tail, which need a fixed number of records a batch, and a weight: leave one of them out"
                )));
            }
            weights.push(weight);
        }
        let mixture = Mixture::new(&weights, batch)?;
        Ok(Self::with(shares, seed, batch, Some(mixture)))
    }

    fn with(shares: Vec<Share>, seed: u64, batch: usize, mixture: Option<Mixture>) -> Self {
        let cache = shares.iter().map(|_| Mutex::default()).collect();
        Self { shares, seed, mixture, batch, cache }
    }

    fn check(shares: &[Share]) -> Result<()> {
        if shares.is_empty() {
            return Err(Error::Options("a sampler needs at least one source of records".into()));
        }
        for share in shares {
            let (name, records) = (&share.name, share.records.len());
            let wrong = |what: String| Err(Error::Options(format!("source {name:?} has {what}")));
            if share.records.is_empty() {
                return wrong("no records: is its split name right?".into());
            }
            let groups = share.groups.len();
            match (share.rate, share.tail) {
                (Rate::PerBatch(0), _) => return wrong("per_batch = 0: leave it out or raise it".into()),
                (Rate::PerBatch(n), Tail::Drop) if n > records => {
                    return wrong(format!(
                        "{records} records, fewer than the {n} of a batch: all would be dropped"
                    ));
                }
                (_, Tail::Drop | Tail::Pad) if groups > 0 => {
                    return wrong("groups, whose last batch is short: leave the tail out".into());
                }
                _ => {}
            }
            if groups > 0 && groups != records {
                return wrong(format!("{groups} groups for {records} records"));
            }
        }
        Ok(())
    }

    /// The draws of batch `step`, shares in order.
    pub fn batch(&self, step: u64) -> Vec<Draw> {
        self.part(step, 0, 1)
    }

    /// What rank `rank` of `ranks` draws in batch `step`: of each share a part as long as the others' or shorter by one. The parts of all
    /// ranks are the batch.
    pub fn part(&self, step: u64, rank: usize, ranks: usize) -> Vec<Draw> {
        let mut draws = Vec::with_capacity(self.batch.div_ceil(ranks.max(1)));
        for (number, share) in self.shares.iter().enumerate() {
            let (from, to) = self.range(number, step);
            let cut = |part: usize| from + (to - from) * part as u64 / ranks.max(1) as u64;
            let mut current: Option<(u64, Arc<Epoch>)> = None;
            for draw in cut(rank)..cut(rank + 1) {
                let (records, places) = (share.records.len() as u64, places(share));
                let (epoch, place) = (draw / places, draw % places);
                let order = match &current {
                    Some((e, order)) if *e == epoch => order.clone(),
                    _ => self.order(number, epoch),
                };
                let index = order.at(place % records) as usize;
                draws.push(Draw { share: number, index, epoch, draw, padding: place >= records });
                current = Some((epoch, order));
            }
        }
        draws
    }

    /// The running numbers of a share's draws in a batch: from the first to the one after the last.
    fn range(&self, number: usize, step: u64) -> (u64, u64) {
        let share = &self.shares[number];
        match (&self.mixture, share.rate) {
            (Some(mixture), _) => (mixture.before(number, step), mixture.before(number, step + 1)),
            (None, Rate::PerBatch(per_batch)) if !share.groups.is_empty() => {
                let (n, per_batch) = (share.records.len() as u64, per_batch as u64);
                let batches = n.div_ceil(per_batch);
                let start = step / batches * n + step % batches * per_batch;
                (start, (start + per_batch).min((step / batches + 1) * n))
            }
            (None, Rate::PerBatch(per_batch)) => (step * per_batch as u64, (step + 1) * per_batch as u64),
            (None, Rate::Weight(_)) => (0, 0),
        }
    }

    /// Whether an epoch of some share ends in batch `step`.
    pub fn ends_an_epoch(&self, step: u64) -> bool {
        (0..self.shares.len())
            .any(|share| self.epoch(share, step).floor() < self.epoch(share, step + 1).floor())
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
        self.batch
    }

    /// The shares.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Seed of the orders.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How often share `share` has been gone through before batch `step`, with the fraction of the current epoch.
    /// 0 for a share that does not exist.
    pub fn epoch(&self, share: usize, step: u64) -> f64 {
        self.shares.get(share).map_or(0.0, |s| match s.rate {
            Rate::PerBatch(n) if !s.groups.is_empty() => step as f64 / s.records.len().div_ceil(n) as f64,
            _ => self.range(share, step).0 as f64 / places(s) as f64,
        })
    }

    fn order(&self, share: usize, epoch: u64) -> Arc<Epoch> {
        let mut held = self.cache[share].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = held.iter().find(|(e, _)| *e == epoch) {
            return order.clone();
        }
        let Share { records, groups, rate, order, .. } = &self.shares[share];
        let key = (self.seed, epoch, share as u64);
        let order = match rate {
            Rate::PerBatch(per_batch) if !groups.is_empty() => {
                let mut rng = rng(self.seed, epoch, share as u64, Purpose::Other);
                let order = table(self.seed, share as u64, epoch, records.len());
                Epoch::Table(in_groups(order, groups, *per_batch, &mut rng))
            }
            _ => Epoch::new(order.of(records.source().block()), records.len() as u64, key),
        };
        let order = Arc::new(order);
        if held.len() == 2 {
            held.remove(0);
        }
        held.push((epoch, order.clone()));
        order
    }
}

/// Places of an epoch of a share: its records, less those that are dropped, or with those that fill the last batch.
fn places(share: &Share) -> u64 {
    let n = share.records.len() as u64;
    match (share.rate, share.tail) {
        (Rate::PerBatch(per_batch), Tail::Drop) => n / per_batch as u64 * per_batch as u64,
        (Rate::PerBatch(per_batch), Tail::Pad) => n.div_ceil(per_batch as u64) * per_batch as u64,
        _ => n,
    }
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

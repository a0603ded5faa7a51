//! The one way of a long job: inputs → workers → engine → sink.
//!
//! Worker threads decode and process items; this thread gives them to the engine in batches of one modality, meanwhile. The outcomes of a *round*, a fixed
//! number of items, go to the sink in the items' order. Batches never cross a round, so they are composed alike whether a job was stopped or not.
//! Texts are batched by their length: a batch costs what its longest costs for each of them.

mod ordered;
pub(crate) mod work;

pub(crate) use ordered::ordered;
pub(crate) use work::{SavedRows, fingerprint, with_rows};
pub use work::{ledger, partial};

use crate::{EmbedOptions, Error, Flow, Item, Listing, Modality, Progress, Result, Skip};
use std::borrow::Cow;
use unisono_files::Sum;
use unisono_processors::{Contract, Medium, Prepared};

/// So many batches of texts are gathered before they are put in order of length. Ids are small, and in five hundred texts there are enough of any length.
const WINDOW: usize = 16;

/// What comes of an item: a value, or in a line why there is none.
pub type Outcome<T> = std::result::Result<T, String>;

/// Items of one modality, for a model.
#[derive(Debug)]
pub struct Batch<'a> {
    /// What they are.
    pub items: Vec<&'a Item>,
    /// What a tower sees of each; all of one kind.
    pub inputs: Vec<Prepared>,
    /// The number of their round's first item: draws depend on it.
    pub first: u64,
}

/// What makes outcomes of a batch, one for each of its items. It asks the second argument now and then whether to go on.
pub(crate) type Engine<'a, T> =
    &'a mut dyn FnMut(Batch<'_>, &mut dyn FnMut() -> Flow) -> Result<Vec<Outcome<T>>>;

/// What came of some items that follow each other.
#[derive(Debug)]
pub struct Round<'a, T> {
    /// The items.
    pub items: &'a [Item],
    /// What came of each.
    pub outcomes: Vec<Outcome<T>>,
    /// A sum over the lengths and times of their files, as they were before they were read.
    pub files: String,
}

/// Where a job's rows go.
pub trait Sink<T> {
    /// How many items an earlier run has done: the job goes on behind them.
    fn done(&self) -> usize {
        0
    }

    /// Those of them that have no row, by their numbers, and why.
    fn skipped(&self) -> &[(usize, String)] {
        &[]
    }

    /// Takes the next round. What is to outlast this process is on the disk when this returns.
    ///
    /// # Errors
    /// No space.
    fn keep(&mut self, round: Round<'_, T>) -> Result<()>;
}

/// A job but for what it makes of its items and where that goes.
#[derive(Debug)]
pub(crate) struct Pipeline<'a> {
    /// What is done, in a word.
    pub(crate) stage: &'a str,
    /// How items are prepared.
    pub(crate) contract: Contract<'a>,
    pub(crate) options: &'a EmbedOptions,
    /// Items of a round.
    pub(crate) round: usize,
    /// How much of a batch an item takes up.
    pub(crate) weigh: fn(&Prepared) -> usize,
}

/// An item from its worker.
struct Made {
    item: Item,
    stamp: String,
    prepared: Outcome<Prepared>,
}

/// Prepared items of one kind that wait for a batch: numbers in their round, and how much of a batch they are.
#[derive(Default)]
struct Group {
    at: Vec<usize>,
    inputs: Vec<Prepared>,
    weight: usize,
}

/// The round in work.
struct Open<T> {
    first: usize,
    items: Vec<Item>,
    outcomes: Vec<Option<Outcome<T>>>,
    groups: [Group; 4],
    files: Sum,
    /// Items with an outcome, and those of them without a value.
    done: usize,
    failed: usize,
}

impl<T> Open<T> {
    fn new(first: usize) -> Self {
        let groups = Default::default();
        Self {
            first,
            items: Vec::new(),
            outcomes: Vec::new(),
            groups,
            files: Sum::default(),
            done: 0,
            failed: 0,
        }
    }

    fn settle(&mut self, at: usize, outcome: Outcome<T>) {
        self.failed += usize::from(outcome.is_err());
        self.done += 1;
        self.outcomes[at] = Some(outcome);
    }

    /// What is known of the item that failed last, by its number.
    fn failure(&self, at: usize) -> Option<(&str, &str)> {
        match self.outcomes.get(at) {
            Some(Some(Err(reason))) => Some((&self.items.get(at)?.id, reason)),
            _ => None,
        }
    }
}

impl Pipeline<'_> {
    /// Runs a listing through `engine` into `sink`; what could not be used, each with its reason, in order.
    ///
    /// # Errors
    /// More unusable inputs than allowed, none usable at all, the engine's and the sink's, or [`Error::Interrupted`].
    pub(crate) fn run<T>(
        &self,
        listing: &Listing,
        engine: Engine<'_, T>,
        sink: &mut dyn Sink<T>,
        progress: &mut dyn FnMut(Progress) -> Flow,
    ) -> Result<Vec<Skip>> {
        let (items, unlisted) = (&listing.items, listing.skipped.len());
        let total = items.len() + unlisted;
        let mut skipped = listing.skipped.clone();
        let known =
            |(i, reason): &(usize, String)| Some(Skip { id: items.get(*i)?.id, reason: reason.clone() });
        skipped.extend(sink.skipped().iter().filter_map(known));
        self.check(skipped.len(), || skipped.last().map(|s| (s.id.as_str(), s.reason.as_str())))?;
        let start = sink.done();
        let mut now = Open::new(start);
        let mut tell =
            |done, skipped| progress(Progress { stage: self.stage, done: unlisted + done, total, skipped });
        tell(start, skipped.len()).check()?;
        let (batch, round) = (self.options.batch.max(1), self.round.max(1));
        let ahead = batch.div_ceil(self.options.workers.max(1)) + 1;
        let lost = |index: usize| Error::Worker { id: items.get(index).map_or_else(String::new, |i| i.id) };
        let make = |index| {
            let item: Item = items.get(index)?;
            // Before it is read: a file that changes meanwhile is done again by the next run.
            let stamp = item.stamp();
            let prepared = prepare(&item, &self.contract);
            Some(Made { item, stamp, prepared })
        };
        let take = |index, made: Option<Made>| {
            let Made { item, stamp, prepared } = made.ok_or_else(|| lost(index))?;
            now.files.part(stamp.as_bytes());
            now.items.push(item);
            now.outcomes.push(None);
            let at = now.items.len() - 1;
            match prepared {
                Ok(prepared) => {
                    let kind = kind(&prepared);
                    let group = &mut now.groups[kind];
                    group.weight += (self.weigh)(&prepared);
                    group.at.push(at);
                    group.inputs.push(prepared);
                    let enough = if kind == TEXT { batch.saturating_mul(WINDOW) } else { batch };
                    if group.weight >= enough {
                        self.batch(&mut now, kind, engine, skipped.len(), &mut tell)?;
                    }
                }
                Err(reason) => {
                    now.settle(at, Err(reason));
                    self.check(skipped.len() + now.failed, || now.failure(at))?;
                }
            }
            if now.items.len() == round || index + 1 == items.len() {
                for kind in 0..now.groups.len() {
                    self.batch(&mut now, kind, engine, skipped.len(), &mut tell)?;
                }
                let full = std::mem::replace(&mut now, Open::new(index + 1));
                skipped.extend(hand_over(full, sink)?);
            }
            tell(now.first + now.done, skipped.len() + now.failed).check()
        };
        ordered(start..items.len(), self.options.workers, ahead, make, take, lost)?;
        match skipped.first() {
            Some(first) if skipped.len() == total => {
                Err(Error::AllSkipped { count: total, id: first.id.clone(), reason: first.reason.clone() })
            }
            _ => Ok(skipped),
        }
    }

    /// Runs the engine on what waits of a kind: texts from the longest to the shortest, in batches, all others as they came, in one.
    fn batch<T>(
        &self,
        now: &mut Open<T>,
        kind: usize,
        engine: Engine<'_, T>,
        skipped: usize,
        tell: &mut dyn FnMut(usize, usize) -> Flow,
    ) -> Result<()> {
        let Group { at, inputs, .. } = std::mem::take(&mut now.groups[kind]);
        let mut waiting: Vec<(usize, Prepared)> = at.into_iter().zip(inputs).collect();
        if kind == TEXT {
            waiting.sort_by_key(|(_, prepared)| std::cmp::Reverse(tokens(prepared)));
        }
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let (mut at, mut inputs, mut weight) = (Vec::new(), Vec::new(), 0);
            for (i, prepared) in waiting.by_ref() {
                weight += (self.weigh)(&prepared);
                at.push(i);
                inputs.push(prepared);
                if kind == TEXT && weight >= self.options.batch.max(1) {
                    break;
                }
            }
            let items = at.iter().filter_map(|i| now.items.get(*i)).collect();
            let (done, failed) = (now.first + now.done, skipped + now.failed);
            let batch = Batch { items, inputs, first: now.first as u64 };
            let mut outcomes = engine(batch, &mut || tell(done, failed))?.into_iter();
            for at in at {
                let outcome = outcomes.next().unwrap_or_else(|| Err("the model gave nothing for it".into()));
                now.settle(at, outcome);
                self.check(skipped + now.failed, || now.failure(at))?;
            }
            tell(now.first + now.done, skipped + now.failed).check()?;
        }
        Ok(())
    }

    /// Refuses more unusable inputs than allowed; `last` is the last of them.
    fn check<'s>(&self, count: usize, last: impl FnOnce() -> Option<(&'s str, &'s str)>) -> Result<()> {
        match last() {
            Some((id, reason)) if count > self.options.max_skip => {
                let (id, reason, max) = (id.to_owned(), reason.to_owned(), self.options.max_skip);
                Err(Error::TooManySkipped { count, max, id, reason })
            }
            _ => Ok(()),
        }
    }
}

/// Gives a round to the sink; what of it has no row.
fn hand_over<T>(full: Open<T>, sink: &mut dyn Sink<T>) -> Result<Vec<Skip>> {
    let Open { items, outcomes, files, .. } = full;
    let nothing = || Err("the model gave nothing for it".to_owned());
    let outcomes: Vec<Outcome<T>> = outcomes.into_iter().map(|o| o.unwrap_or_else(nothing)).collect();
    let failed = items.iter().zip(&outcomes).filter_map(|(item, outcome)| {
        Some(Skip { id: item.id.clone(), reason: outcome.as_ref().err()?.clone() })
    });
    let failed = failed.collect();
    sink.keep(Round { items: &items, outcomes, files: files.letters() })?;
    Ok(failed)
}

/// The [`kind`] of texts.
const TEXT: usize = 0;

/// How long a text is.
fn tokens(prepared: &Prepared) -> usize {
    match prepared {
        Prepared::Text(ids) => ids.len(),
        _ => 0,
    }
}

fn kind(prepared: &Prepared) -> usize {
    match prepared {
        Prepared::Text(_) => TEXT,
        Prepared::Image(_) => 1,
        Prepared::Audio(..) => 2,
        Prepared::Video(_) => 3,
    }
}

/// Decodes and processes one item; what is wrong with it is a line for the user.
pub(crate) fn prepare(item: &Item, contract: &Contract) -> Outcome<Prepared> {
    let done = opened(item).and_then(|item| Ok(contract.prepare(medium(&item)?)?));
    done.map_err(|e| without_id(&e.to_string(), &item.id))
}

/// An item that lies in a table, with the table open: a list of items names it and no more.
fn opened(item: &Item) -> Result<Cow<'_, Item>> {
    Ok(match item.blob.as_ref().filter(|blob| blob.table().is_some()) {
        None => Cow::Borrowed(item),
        Some(blob) => Cow::Owned(Item { blob: Some(unisono_datasets::reopened(blob)?), ..item.clone() }),
    })
}

/// What is to be decoded.
fn medium(item: &Item) -> Result<Medium<'_>> {
    Ok(match (item.modality, &item.blob) {
        (Modality::Text, _) => Medium::Text(item.text.as_deref().unwrap_or_default()),
        (Modality::Image, Some(blob)) if item.video => Medium::Frames(blob, item.span),
        (Modality::Audio, Some(blob)) if item.video => Medium::Track(blob, item.span),
        (Modality::Image, Some(blob)) => Medium::Image(blob),
        (Modality::Audio, Some(blob)) => Medium::Audio(blob),
        (Modality::Video, Some(blob)) => Medium::Video(blob, item.span),
        (_, None) => return Err(Error::Input("it has no file".into())),
    })
}

/// A file's path is its id, which stands before the reason already.
fn without_id(message: &str, id: &str) -> String {
    message.strip_prefix(id).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(message).to_owned()
}

/// Refuses more unusable inputs than allowed.
pub(crate) fn check_skips(skipped: &[Skip], max: usize) -> Result<()> {
    match skipped.last() {
        Some(last) if skipped.len() > max => {
            let (id, reason) = (last.id.clone(), last.reason.clone());
            Err(Error::TooManySkipped { count: skipped.len(), max, id, reason })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "../tests/pipeline.rs"]
mod tests;

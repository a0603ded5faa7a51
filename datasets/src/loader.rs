//! Worker threads that prepare samples ahead of training.
//!
//! The unit of work is one sample, so all workers help with the batch that is waited for; batches come out in step order
//! with their items in draw order, whatever the number of workers.

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sampler::{Draw, Sampler};
use crate::{Error, Record, Result};
use serde::Serialize;
use unisono_media::one_line;

/// How a [`Loader`] runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoaderOptions {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Batches prepared ahead of the consumer, at least 1.
    pub prefetch: usize,
    /// First step delivered.
    pub start_step: u64,
    /// Step after the last one delivered.
    pub end_step: u64,
    /// Distinct records that may be skipped; one more ends the loading with an error.
    pub max_skip: usize,
}

/// A prepared batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<T> {
    /// Its step.
    pub step: u64,
    /// The samples that could be prepared, in draw order.
    pub items: Vec<T>,
    /// Records that could not, each named once by a loader: what to print.
    pub skipped: Vec<Skip>,
    /// Draws of such records that were named in a batch before.
    pub again: usize,
}

/// A record or an input left out because it could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skip {
    /// The record's or item's id, or the path.
    pub id: String,
    /// What was wrong, in one line.
    pub reason: String,
}

/// Where the time went so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LoaderStats {
    /// Time the consumer waited for batches.
    pub wait: Duration,
    /// Time workers spent preparing samples, summed over workers.
    pub work: Duration,
    /// Batches delivered.
    pub batches: u64,
    /// Samples delivered.
    pub samples: u64,
    /// Samples left out, repetitions included.
    pub skipped: u64,
}

/// Prepares batches on worker threads and hands them out in order. Dropping it stops the workers (each after the sample in
/// its hands) and joins them.
#[derive(Debug)]
pub struct Loader<T> {
    shared: Arc<Shared<T>>,
    workers: Vec<JoinHandle<()>>,
    max_skip: usize,
    skipped: BTreeMap<String, String>,
    stats: LoaderStats,
}

#[derive(Debug)]
struct Shared<T> {
    sampler: Arc<Sampler>,
    window: usize,
    end_step: u64,
    state: Mutex<State<T>>,
    /// Signals workers that there may be work, and the consumer that a sample is done.
    work: Condvar,
    done: Condvar,
}

#[derive(Debug)]
struct State<T> {
    /// Batches being prepared, oldest first; at most `window` of them.
    pending: VecDeque<Pending<T>>,
    /// The step that is sampled next.
    next_step: u64,
    work: Duration,
    failure: Option<Error>,
    stop: bool,
}

#[derive(Debug)]
struct Pending<T> {
    step: u64,
    draws: Arc<Vec<Draw>>,
    handed_out: usize,
    left: usize,
    slots: Vec<Option<Slot<T>>>,
}

/// A sample, or the id of the record that it could not be made of, and why.
type Slot<T> = std::result::Result<T, (String, String)>;

impl<T: Send + 'static> Loader<T> {
    /// Starts the workers. `prepare` turns a draw and its record into a sample, or says why the record cannot be used.
    ///
    /// # Errors
    /// [`Error::Options`] for no workers, no prefetch or an empty range of steps; [`Error::Files`] when the system gives no
    /// thread.
    pub fn start<F, E>(sampler: Arc<Sampler>, options: LoaderOptions, prepare: F) -> Result<Self>
    where
        F: Fn(&Draw, &Record) -> std::result::Result<T, E> + Send + Sync + 'static,
        E: Display,
    {
        if options.workers == 0 || options.prefetch == 0 {
            return Err(Error::Options("a loader needs at least 1 worker and 1 batch of prefetch".into()));
        }
        if options.start_step > options.end_step {
            let (start, end) = (options.start_step, options.end_step);
            return Err(Error::Options(format!(
                "a loader cannot run from step {start} to an earlier one, {end}"
            )));
        }
        let state = State {
            pending: VecDeque::new(),
            next_step: options.start_step,
            work: Duration::ZERO,
            failure: None,
            stop: false,
        };
        let shared = Arc::new(Shared {
            sampler,
            window: options.prefetch,
            end_step: options.end_step,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let prepare = Arc::new(prepare);
        let mut loader = Self {
            shared,
            workers: Vec::new(),
            max_skip: options.max_skip,
            skipped: BTreeMap::new(),
            stats: LoaderStats::default(),
        };
        for number in 0..options.workers {
            let (shared, prepare) = (loader.shared.clone(), prepare.clone());
            let worker = std::thread::Builder::new()
                .name(format!("loader-{number}"))
                .spawn(move || shared.run(&*prepare))
                .map_err(Error::io(std::path::Path::new("loader"), "start a thread"))?;
            // Dropping `loader` on a later failure joins those already started.
            loader.workers.push(worker);
        }
        Ok(loader)
    }

    /// The next batch, waiting for it; `None` after the last one. After an error there is nothing more.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would invite `collect`, which holds every batch"
    )]
    pub fn next(&mut self) -> Option<Result<Batch<T>>> {
        let start = Instant::now();
        let mut state = self.shared.lock();
        let ready = loop {
            if let Some(failure) = state.failure.take() {
                state.stop = true;
                self.shared.work.notify_all();
                return Some(Err(failure));
            }
            match state.pending.front() {
                Some(front) if front.left == 0 => break state.pending.pop_front(),
                _ if state.stop || (state.pending.is_empty() && state.next_step >= self.shared.end_step) => {
                    return None;
                }
                _ => state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        self.stats.work = state.work;
        drop(state);
        self.shared.work.notify_all();
        self.stats.wait += start.elapsed();
        ready.map(|pending| self.collect(pending))
    }

    fn collect(&mut self, pending: Pending<T>) -> Result<Batch<T>> {
        let items = Vec::with_capacity(pending.slots.len());
        let mut batch = Batch { step: pending.step, items, skipped: Vec::new(), again: 0 };
        for slot in pending.slots.into_iter().flatten() {
            match slot {
                Ok(item) => batch.items.push(item),
                Err((id, reason)) => match self.skipped.insert(id.clone(), reason.clone()) {
                    None => batch.skipped.push(Skip { id, reason }),
                    Some(_) => batch.again += 1,
                },
            }
        }
        if let Some(last) = batch.skipped.last()
            && self.skipped.len() > self.max_skip
        {
            self.shared.stop();
            return Err(Error::TooManySkipped {
                count: self.skipped.len(),
                max: self.max_skip,
                id: last.id.clone(),
                reason: last.reason.clone(),
            });
        }
        self.stats.batches += 1;
        self.stats.samples += batch.items.len() as u64;
        self.stats.skipped += (batch.skipped.len() + batch.again) as u64;
        Ok(batch)
    }
}

impl<T> Loader<T> {
    /// Where the time went so far.
    pub fn stats(&self) -> LoaderStats {
        self.stats
    }

    /// Every record skipped so far with its latest reason, by id.
    pub fn skipped(&self) -> &BTreeMap<String, String> {
        &self.skipped
    }
}

impl<T> Drop for Loader<T> {
    fn drop(&mut self) {
        self.shared.stop();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of `prepare`; there is nothing to do about any other while dropping.
            let _ = worker.join();
        }
    }
}

impl<T> Shared<T> {
    /// The state stays sound at every point where a thread could stop, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.work.notify_all();
        self.done.notify_all();
    }

    /// A worker's life: take a sample, prepare it without the lock, put it in its place.
    fn run<E: Display>(&self, prepare: &(impl Fn(&Draw, &Record) -> std::result::Result<T, E> + ?Sized)) {
        let mut state = self.lock();
        while !state.stop {
            let Some((step, index, draws)) = state.take(self) else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let start = Instant::now();
            let result = self.sample(&draws[index], prepare);
            let spent = start.elapsed();
            state = self.lock();
            state.work += spent;
            match result {
                Ok(slot) => state.put(step, index, slot),
                Err(panicked) => drop(state.failure.get_or_insert(panicked)),
            }
            // Only what the consumer waits for wakes it.
            if state.failure.is_some() || state.pending.front().is_some_and(|p| p.left == 0) {
                self.done.notify_one();
            }
        }
    }
}

impl<T> Shared<T> {
    /// One draw's record, prepared.
    fn sample<E: Display>(
        &self,
        draw: &Draw,
        prepare: &(impl Fn(&Draw, &Record) -> std::result::Result<T, E> + ?Sized),
    ) -> Result<Slot<T>> {
        let record = match self.sampler.record(draw) {
            Ok(record) => record,
            Err(e) => return Ok(Err((self.sampler.place(draw), one_line(&e.to_string())))),
        };
        let refused = |e: E| (record.id.clone(), one_line(&e.to_string()));
        let made = catch_unwind(AssertUnwindSafe(|| prepare(draw, &record).map_err(refused)));
        made.map_err(|panic| Error::WorkerPanic { id: record.id.clone(), message: panic_message(&*panic) })
    }
}

impl<T> State<T> {
    /// The oldest sample not handed out yet; samples a new batch when there is room for one.
    fn take(&mut self, shared: &Shared<T>) -> Option<(u64, usize, Arc<Vec<Draw>>)> {
        let open = |p: &Pending<T>| p.handed_out < p.draws.len();
        if !self.pending.iter().any(open)
            && self.pending.len() < shared.window
            && self.next_step < shared.end_step
        {
            let draws = Arc::new(shared.sampler.batch(self.next_step));
            let slots = draws.iter().map(|_| None).collect();
            self.pending.push_back(Pending {
                step: self.next_step,
                left: draws.len(),
                handed_out: 0,
                draws,
                slots,
            });
            self.next_step += 1;
        }
        let pending = self.pending.iter_mut().find(|p| open(p))?;
        pending.handed_out += 1;
        Some((pending.step, pending.handed_out - 1, pending.draws.clone()))
    }

    fn put(&mut self, step: u64, index: usize, slot: Slot<T>) {
        if let Some(pending) = self.pending.iter_mut().find(|p| p.step == step) {
            pending.slots[index] = Some(slot);
            pending.left -= 1;
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    one_line(&text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into()))
}

#[cfg(test)]
#[path = "tests/loader.rs"]
mod tests;

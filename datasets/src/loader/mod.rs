//! Worker threads that prepare samples ahead of training.
//!
//! The unit of work is one sample, so all workers help with the batch that is waited for; batches come out in step order
//! with their items in draw order, whatever the number of workers.

mod clock;
mod faults;
mod skip;
mod stats;

pub use clock::{Stage, timed};
pub use faults::{Allowed, Fault};
pub use skip::Skip;
pub use stats::LoaderStats;

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sampler::{Draw, Sampler};
use crate::{Error, Record, Result};
use faults::{Fail, Faults, Met};
use unisono_media::one_line;

/// How a [`Loader`] runs.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    pub max_skip: Allowed,
    /// Which of the ranks this is, from 0, and how many there are: it draws its part of each batch.
    pub rank: (usize, usize),
}

/// A prepared batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch<T> {
    /// Its step.
    pub step: u64,
    /// The samples that could be prepared, in draw order.
    pub items: Vec<T>,
    /// For each of them whether it only fills a place ([`crate::Tail::Pad`]).
    pub padding: Vec<bool>,
    /// Records that could not: what to print. Each is named once by a loader, and of many only some.
    pub skipped: Vec<Skip>,
    /// Draws of such records that are not named: they were before, or there are many.
    pub again: usize,
}

impl<T> Batch<T> {
    /// The samples that do not only fill a place.
    pub fn real(self) -> Vec<T> {
        self.items
            .into_iter()
            .zip(self.padding)
            .filter_map(|(item, padding)| (!padding).then_some(item))
            .collect()
    }
}

/// Prepares batches on worker threads and hands them out in order. Dropping it stops the workers (each after the sample in
/// its hands) and joins them.
#[derive(Debug)]
pub struct Loader<T> {
    shared: Arc<Shared<T>>,
    workers: Vec<JoinHandle<()>>,
    faults: Faults,
    stats: LoaderStats,
}

#[derive(Debug)]
struct Shared<T> {
    sampler: Arc<Sampler>,
    window: usize,
    end_step: u64,
    rank: (usize, usize),
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
    stages: [Duration; 3],
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

/// A sample, or the record that it could not be made of, and why.
type Slot<T> = std::result::Result<T, Fail>;

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
        let (rank, ranks) = options.rank;
        if rank >= ranks {
            return Err(Error::Options(format!("a rank lies below their number {ranks}, found {rank}")));
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
            stages: [Duration::ZERO; 3],
            failure: None,
            stop: false,
        };
        let shared = Arc::new(Shared {
            sampler,
            window: options.prefetch,
            end_step: options.end_step,
            rank: options.rank,
            state: Mutex::new(state),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let prepare = Arc::new(prepare);
        let mut loader = Self {
            shared,
            workers: Vec::new(),
            faults: Faults::new(options.max_skip),
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
        self.stats.ready += state.pending.iter().filter(|p| p.left == 0).count() as u64;
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
        (self.stats.work, self.stats.stages) = (state.work, state.stages);
        drop(state);
        self.shared.work.notify_all();
        self.stats.wait += start.elapsed();
        ready.map(|pending| self.collect(pending))
    }

    fn collect(&mut self, pending: Pending<T>) -> Result<Batch<T>> {
        let (items, padding) = (Vec::with_capacity(pending.slots.len()), Vec::new());
        let mut batch = Batch { step: pending.step, items, padding, skipped: Vec::new(), again: 0 };
        let mut last = None;
        for (slot, draw) in pending.slots.into_iter().flatten().zip(pending.draws.iter()) {
            self.faults.drawn();
            match slot {
                Ok(item) => {
                    batch.items.push(item);
                    batch.padding.push(draw.padding);
                }
                Err(fail) => {
                    let source = self.shared.sampler.shares().get(fail.share).map_or("", |s| s.name.as_str());
                    match self.faults.add(source, fail) {
                        Met::Told(skip) => {
                            last = Some(skip.clone());
                            batch.skipped.push(skip);
                        }
                        Met::Quiet(skip) => {
                            last = Some(skip);
                            batch.again += 1;
                        }
                        Met::Again => batch.again += 1,
                    }
                }
            }
        }
        if let Some(last) = last {
            self.faults.check(&last).inspect_err(|_| self.shared.stop())?;
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

    /// Records skipped so far with their reasons, by id; the first ten thousand of them.
    pub fn skipped(&self) -> &BTreeMap<String, String> {
        self.faults.named()
    }

    /// How many distinct records of each source were skipped for which cause.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.table()
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
                // A batch in which this rank has no place is ready as it is: nobody's sample will say so.
                if state.ready() {
                    self.done.notify_one();
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            drop(state);
            let start = Instant::now();
            let result = self.sample(&draws[index], prepare);
            let (spent, stages) = (start.elapsed(), clock::spent());
            state = self.lock();
            state.work += spent;
            state.stages.iter_mut().zip(stages).for_each(|(sum, spent)| *sum += spent);
            match result {
                Ok(slot) => state.put(step, index, slot),
                Err(panicked) => drop(state.failure.get_or_insert(panicked)),
            }
            // Only what the consumer waits for wakes it.
            if state.failure.is_some() || state.ready() {
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
        let share = draw.share;
        let fail = |stage: Stage, id: String, reason: String| Fail { share, stage: stage.name(), id, reason };
        // A source is a stranger's, too: what reading panics on is as much a bug as what preparing does.
        let panicked = |id: &str, panic: Box<dyn Any + Send>| Error::WorkerPanic {
            id: id.to_owned(),
            message: panic_message(&*panic),
        };
        let read = catch_unwind(AssertUnwindSafe(|| timed(Stage::Read, || self.sampler.record(draw))));
        let record = match read.map_err(|panic| panicked(&self.sampler.place(draw), panic))? {
            Ok(record) => record,
            Err(e) => return Ok(Err(fail(Stage::Read, self.sampler.place(draw), one_line(&e.to_string())))),
        };
        let refused = |e: E| fail(Stage::Decode, record.id.clone(), one_line(&e.to_string()));
        let made = catch_unwind(AssertUnwindSafe(|| prepare(draw, &record).map_err(refused)));
        made.map_err(|panic| panicked(&record.id, panic))
    }
}

impl<T> State<T> {
    /// The oldest sample not handed out yet; draws new batches when there is room for them.
    fn take(&mut self, shared: &Shared<T>) -> Option<(u64, usize, Arc<Vec<Draw>>)> {
        let open = |p: &Pending<T>| p.handed_out < p.draws.len();
        while !self.pending.iter().any(open)
            && self.pending.len() < shared.window
            && self.next_step < shared.end_step
        {
            let (rank, ranks) = shared.rank;
            let draws = Arc::new(shared.sampler.part(self.next_step, rank, ranks));
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

    /// Whether the batch that is waited for can be handed out.
    fn ready(&self) -> bool {
        self.pending.front().is_some_and(|p| p.left == 0)
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
#[path = "../tests/loader.rs"]
mod tests;

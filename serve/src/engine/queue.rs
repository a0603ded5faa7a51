//! What waits for a model.

use super::batch::EmbedJob;
use super::held::Held;
use super::load::Load;
use crate::Batching;
use crate::refusal::{Answer, Refusal};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is to be done with a model.
pub(super) type Task = Box<dyn FnOnce(Answer<&mut Held>) + Send>;

pub(super) enum Job {
    /// With others of its kind.
    Embed(EmbedJob),
    /// Alone.
    Task(Task),
}

/// What is done next.
pub(super) enum Next {
    Embed(Vec<EmbedJob>),
    Task(Task),
}

/// First come, first served; what can go along with the first does.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    come: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().jobs.len()
    }

    pub(super) fn push(&self, job: Job) -> Result<(), Refusal> {
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::ending());
        }
        state.jobs.push_back(job);
        self.come.notify_one();
        Ok(())
    }

    /// No more comes in; what waits is done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.come.notify_all();
    }

    /// Waits for something to do; `None` when there is nothing and nothing more comes.
    pub(super) fn next(&self, batching: &Batching) -> Option<Next> {
        let mut state = self.lock();
        let first = loop {
            match state.jobs.pop_front() {
                // Whoever asked has gone.
                Some(Job::Embed(job)) if job.is_forsaken() => (),
                Some(Job::Embed(job)) => break job,
                Some(Job::Task(task)) => return Some(Next::Task(task)),
                None if state.closed => return None,
                None => state = self.come.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        };
        let until = Instant::now() + batching.wait;
        let (mut load, mut jobs) = (Load::default().with_all(first.inputs()), vec![first]);
        loop {
            state.take_along(&mut jobs, &mut load, batching);
            let left = until.saturating_duration_since(Instant::now());
            // What does not fit, or is of another kind, is not kept waiting for more of this one.
            if load.fills(batching) || left.is_zero() || state.closed || !state.jobs.is_empty() {
                return Some(Next::Embed(jobs));
            }
            state = self.come.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    /// Moves what goes through the model with the first job's inputs, and still has room, over to it.
    fn take_along(&mut self, jobs: &mut Vec<EmbedJob>, load: &mut Load, batching: &Batching) {
        let mut at = 0;
        while at < self.jobs.len() && !load.fills(batching) {
            let with = match (&self.jobs[at], jobs.first()) {
                (Job::Embed(job), Some(first)) if job.goes_with(first) => load.with_all(job.inputs()),
                _ => {
                    at += 1;
                    continue;
                }
            };
            if with.exceeds(batching) {
                at += 1;
            } else if let Some(Job::Embed(job)) = self.jobs.remove(at)
                && !job.is_forsaken()
            {
                *load = with;
                jobs.push(job);
            }
        }
    }
}

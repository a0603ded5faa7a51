//! A model on a thread of its own. libtorch's tensors are not shared by threads: requests send what is to be done and wait for what comes of it. The thread
//! sleeps while there is nothing.

mod batch;
mod held;
mod load;
mod queue;
mod slot;

pub use held::Held;
pub(crate) use load::Kind;
pub use slot::Load;
pub(crate) use slot::{Memory, Slot};

use crate::refusal::{Answer, Refusal};
use crate::{Batching, Error, Result};
pub(crate) use batch::Done;
use batch::EmbedJob;
use queue::{Job, Next, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::oneshot;
use unisono_jobs::{Error as JobError, Flow};
use unisono_processors::Prepared;

/// A model that takes work.
#[derive(Debug)]
pub(crate) struct Engine {
    queue: Arc<Queue>,
    done: Arc<Done>,
    slot: Arc<Slot>,
    memory: Arc<Memory>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the thread, and gives it the model that `load` has made of the folder `dir` and may have to make again.
    pub(crate) fn start(
        (name, dir): (&str, &Path),
        held: Held,
        load: Load,
        memory: &Arc<Memory>,
        batching: Batching,
    ) -> Result<Self> {
        let (queue, done) = (Arc::new(Queue::default()), Arc::new(Done::default()));
        let slot = memory.admit(name, dir, held, load)?;
        let (of, all) = (slot.clone(), memory.clone());
        let work = Work { slot: of, memory: all, batching, queue: queue.clone(), done: done.clone() };
        let thread = std::thread::Builder::new().name(format!("model {name}"));
        let thread = thread.spawn(move || work.run()).map_err(Error::system("a thread for the model"))?;
        let memory = memory.clone();
        Ok(Self { queue, done, slot, memory, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn done(&self) -> &Done {
        &self.done
    }

    /// Where the model is kept.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Jobs that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Unit vectors of inputs of one kind, cut to `dims` where it says so. They go through the model with those of other requests.
    pub(crate) async fn embed(&self, inputs: Vec<Prepared>, dims: Option<i64>) -> Answer<Vec<Vec<f32>>> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job::Embed(EmbedJob::new(inputs, dims, reply)))?;
        answer.await.map_err(|_| lost())?
    }

    /// What `work` makes of the model, alone. It asks its second argument now and then whether anyone still waits for it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Held, &mut dyn FnMut() -> Flow) -> Result<T, JobError> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let task = move |held: Answer<&mut Held>| {
            if reply.is_closed() {
                return;
            }
            let mut go_on = || if reply.is_closed() { Flow::Stop } else { Flow::Continue };
            let made = held.and_then(|held| work(held, &mut go_on).map_err(Refusal::from));
            // Whoever asked may have gone meanwhile.
            drop(reply.send(made));
        };
        self.queue.push(Job::Task(Box::new(task)))?;
        answer.await.map_err(|_| lost())?
    }

    /// Takes no more work, does what waits, and ends the thread.
    pub(crate) fn end(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that panicked has nothing more to say.
        drop(thread.map(JoinHandle::join));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody can ask it any more: its thread ends by itself, and the model goes with it.
        self.queue.close();
        self.memory.forget(&self.slot);
    }
}

/// The thread ended its work without an answer.
fn lost() -> Refusal {
    Refusal::broken("the model's thread gave no answer (this is a bug, please report it)")
}

struct Work {
    slot: Arc<Slot>,
    memory: Arc<Memory>,
    batching: Batching,
    queue: Arc<Queue>,
    done: Arc<Done>,
}

impl Work {
    fn run(&self) {
        // libtorch's number of threads is a thread's own.
        unisono_torch_ext::threads::set(None);
        while let Some(next) = self.queue.next(&self.batching) {
            let begun = Instant::now();
            // What panics costs its own requests, whose channels close, and no others.
            drop(catch_unwind(AssertUnwindSafe(|| self.do_next(next))));
            self.done.micros.fetch_add(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
        }
    }

    fn do_next(&self, next: Next) {
        let mut taken = self.memory.take(&self.slot);
        let held = match &mut taken {
            Ok(taken) => taken.held(),
            Err(refusal) => Err(refusal.clone()),
        };
        match (next, held) {
            (Next::Task(task), held) => task(held),
            (Next::Embed(jobs), Ok(held)) => batch::embed(held, jobs, &self.batching, &self.done),
            (Next::Embed(jobs), Err(refusal)) => jobs.into_iter().for_each(|job| job.refuse(&refusal)),
        }
    }
}

#[cfg(test)]
#[path = "../tests/engine.rs"]
mod tests;

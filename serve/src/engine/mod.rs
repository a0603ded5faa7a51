//! A model on a thread of its own. libtorch's tensors are not shared by threads: requests send what is to be done and wait for what comes of it. The thread
//! sleeps while there is nothing.

mod batch;
mod held;
mod load;
mod queue;

pub use held::Held;
pub(crate) use load::Kind;

use crate::refusal::{Answer, Refusal};
use crate::{Batching, Error, Result};
pub(crate) use batch::Done;
use batch::EmbedJob;
use queue::{Job, Next, Queue};
use std::panic::{AssertUnwindSafe, catch_unwind};
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
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Starts the thread, which owns the model from now on.
    pub(crate) fn start(name: &str, held: Held, batching: Batching) -> Result<Self> {
        let (queue, done) = (Arc::new(Queue::default()), Arc::new(Done::default()));
        let mut work = Work { held, batching, queue: queue.clone(), done: done.clone() };
        let thread = std::thread::Builder::new().name(format!("model {name}"));
        let thread = thread.spawn(move || work.run()).map_err(Error::system("a thread for the model"))?;
        Ok(Self { queue, done, thread: Mutex::new(Some(thread)) })
    }

    pub(crate) fn done(&self) -> &Done {
        &self.done
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
        let task = move |held: &mut Held| {
            if reply.is_closed() {
                return;
            }
            let mut go_on = || if reply.is_closed() { Flow::Stop } else { Flow::Continue };
            let made = work(held, &mut go_on);
            // Whoever asked may have gone meanwhile.
            drop(reply.send(made.map_err(Refusal::from)));
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

/// The thread ended its work without an answer.
fn lost() -> Refusal {
    Refusal::broken("the model's thread gave no answer (this is a bug, please report it)")
}

struct Work {
    held: Held,
    batching: Batching,
    queue: Arc<Queue>,
    done: Arc<Done>,
}

impl Work {
    fn run(&mut self) {
        // libtorch's number of threads is a thread's own.
        unisono_torch_ext::threads::set(None);
        while let Some(next) = self.queue.next(&self.batching) {
            let begun = Instant::now();
            // What panics costs its own requests, whose channels close, and no others.
            let outcome = catch_unwind(AssertUnwindSafe(|| match next {
                Next::Task(task) => task(&mut self.held),
                Next::Embed(jobs) => batch::embed(&mut self.held, jobs, &self.batching, &self.done),
            }));
            drop(outcome);
            self.done.micros.fetch_add(begun.elapsed().as_micros() as u64, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[path = "../tests/engine.rs"]
mod tests;

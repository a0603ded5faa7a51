//! Who trains: this process alone, or several that share each batch.
//!
//! Several are started by `torchrun`, MPI or Slurm ([`Launch`]) and meet in a c10d store; tensors go from one to another through Gloo. Every rank makes
//! the same calls in the same order. Tensors on a GPU go through the processor's memory.

mod gather;
mod sum;
mod watch;

pub use gather::Gathered;

use crate::{Error, Result};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};
use unisono_torch_ext::c10d::{ProcessGroup, Reduce, Role, Store, Work};
use unisono_torch_ext::{Launch, cuda, threads};
use watch::Watch;

/// Runs that this process has joined.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// The processes of a run, and which of them this one is.
#[derive(Clone, Default)]
pub struct World(Option<Arc<Shared>>);

struct Shared {
    launch: Launch,
    /// The number of this process among those of its machine, and how many they are.
    local: (usize, usize),
    /// Nothing when this process has left the others.
    group: Mutex<Option<ProcessGroup>>,
    watch: Watch,
    /// Bytes that this process sent.
    sent: AtomicU64,
    /// Nanoseconds that it waited for others.
    waited: AtomicU64,
}

/// What a process sent to the others, and how long it waited for them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
}

impl World {
    /// One process, which does everything.
    pub const fn alone() -> Self {
        Self(None)
    }

    /// The processes that were started together with this one, as the environment says it; alone where it says nothing. A call that the others do not answer
    /// within `timeout` is an error.
    ///
    /// # Errors
    /// Half of what is needed is in the environment; a process that does not come within the time.
    pub fn from_environment(timeout: Duration) -> Result<Self> {
        Launch::from_environment()?.map_or(Ok(Self::alone()), |launch| Self::join(launch, timeout))
    }

    /// Joins the processes of a launch.
    ///
    /// # Errors
    /// As [`from_environment`](Self::from_environment).
    pub fn join(launch: Launch, timeout: Duration) -> Result<Self> {
        let serves = launch.rank == 0 && !launch.served;
        let role = if serves { Role::Server } else { Role::Client };
        let (address, port) = launch.store.clone().map_err(|message| Error::World { message })?;
        let store = Store::tcp(&address, port, role, timeout).map_err(|e| {
            let what = if serves { "cannot serve the store" } else { "nobody serves the store" };
            let Launch { rank, size, by, .. } = &launch;
            Error::World {
                message: format!("rank {rank} of {size}, started by {by}: {what} at {address}:{port} ({e})"),
            }
        })?;
        // Each start of the same processes, and each run of one of them, has keys of its own.
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let store = store.under(&format!("unisono/attempt_{}/run_{run}", launch.attempt))?;
        let watch = Watch::start(&store, &launch)?;
        let mates = watch.meet(timeout)?;
        let interface = std::env::var("GLOO_SOCKET_IFNAME").ok().filter(|name| !name.is_empty());
        // One machine needs no network.
        let address = (mates.len() == launch.size).then_some("127.0.0.1");
        let place = (launch.rank, launch.size);
        let group = ProcessGroup::gloo(&store.under("gloo")?, place, timeout, interface.as_deref(), address)
            .map_err(|e| watch.blame(e.into()))?;
        let local = mates.iter().position(|rank| *rank == launch.rank).unwrap_or(0);
        let (sent, waited) = (AtomicU64::new(0), AtomicU64::new(0));
        let (group, local) = (Mutex::new(Some(group)), (local, mates.len().max(1)));
        Ok(Self(Some(Arc::new(Shared { launch, local, group, watch, sent, waited }))))
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |shared| shared.launch.rank)
    }

    /// Processes.
    pub fn size(&self) -> usize {
        self.0.as_ref().map_or(1, |shared| shared.launch.size)
    }

    /// Whether there are no others.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this process writes what all of them make: checkpoints and metrics.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// The number of this process among those of its machine, and how many they are.
    pub fn local(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 1), |shared| shared.local)
    }

    /// Cores for this process: its part of those that the machine's processes may use together.
    pub fn cores(&self) -> usize {
        (threads::available() / self.local().1).max(1)
    }

    /// Sets libtorch's threads and returns their number: `wanted`, or for 0 what suits. Of several processes each has its part of the cores, whatever
    /// `OMP_NUM_THREADS` says: `torchrun` sets it to 1 where nobody did.
    pub fn set_threads(&self, wanted: usize) -> usize {
        let share = (!self.is_alone()).then(|| self.cores());
        threads::set(if wanted > 0 { Some(wanted) } else { share })
    }

    /// The device of a recipe. Where it does not say which GPU, each process of a machine has its own.
    ///
    /// # Errors
    /// As [`cuda::device`].
    pub fn device(&self, wanted: &str) -> Result<Device> {
        let device = cuda::device(wanted)?;
        Ok(match device {
            Device::Cuda(_) if !self.is_alone() && !wanted.contains(':') => Device::Cuda(self.local().0),
            other => other,
        })
    }

    /// Whether the processes were started again, because one of them died.
    pub fn is_restarted(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.launch.attempt > 0)
    }

    /// The last call of a run: who serves the store stays until the others have left it.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn leave(&self) -> Result<()> {
        self.meet()?;
        if let Some(shared) = &self.0 {
            shared.watch.leave();
        }
        Ok(())
    }

    /// How a run is shared, a line; nothing alone.
    pub fn describe(&self) -> Option<String> {
        let shared = self.0.as_ref()?;
        let (by, (_, here)) = (shared.launch.by, shared.local);
        let again = match shared.launch.attempt {
            0 => String::new(),
            n => format!(", restart {n}"),
        };
        Some(format!("{} processes by {by}, {here} on this machine{again}", self.size()))
    }

    /// What this process sent and waited for so far.
    pub fn traffic(&self) -> Traffic {
        self.0.as_ref().map_or(Traffic::default(), |shared| Traffic {
            bytes: shared.sent.load(Ordering::Relaxed),
            seconds: shared.waited.load(Ordering::Relaxed) as f64 / 1e9,
        })
    }

    /// Waits until all have come so far.
    ///
    /// # Errors
    /// One that went away or does not answer, by name.
    pub fn meet(&self) -> Result<()> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let work = shared.begin(0.0, ProcessGroup::barrier)?;
        shared.finish(work)
    }

    /// Has the leader do something before the others go on.
    ///
    /// # Errors
    /// The leader's; the others are told of it.
    pub fn leader_first<T>(&self, does: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let done = if self.leads() { Some(self.telling(does())?) } else { None };
        self.meet()?;
        Ok(done)
    }

    /// The largest of every rank's numbers, one by one.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn largest<const N: usize>(&self, numbers: [f64; N]) -> Result<[f64; N]> {
        let Some(shared) = &self.0 else { return Ok(numbers) };
        let tensor = Tensor::f_from_slice(&numbers)?;
        let work = shared.begin(shared.reduced(&tensor), |group| group.all_reduce(&tensor, Reduce::Max))?;
        shared.finish(work)?;
        let found = Vec::<f64>::try_from(tensor)?;
        Ok(std::array::from_fn(|i| found.get(i).copied().unwrap_or_default()))
    }

    /// The sum of every rank's number.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn total(&self, number: f64) -> Result<f64> {
        let Some(shared) = &self.0 else { return Ok(number) };
        let tensor = Tensor::f_from_slice(&[number])?;
        let work = shared.begin(shared.reduced(&tensor), |group| group.all_reduce(&tensor, Reduce::Sum))?;
        shared.finish(work)?;
        Ok(tensor.double_value(&[0]))
    }

    /// Which of these is so on any rank.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn any<const N: usize>(&self, flags: [bool; N]) -> Result<[bool; N]> {
        Ok(self.largest(flags.map(|flag| f64::from(u8::from(flag))))?.map(|most| most > 0.0))
    }

    /// `tensor` of every rank becomes that of `root`: the values, in place.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<()> {
        let Some(shared) = &self.0 else { return Ok(()) };
        let host = on_host(tensor)?;
        let size = self.size() as f64;
        let work = shared.begin(bytes(&host) * (size - 1.0) / size, |group| group.broadcast(&host, root))?;
        shared.finish(work)?;
        tch::no_grad(|| tensor.shallow_clone().f_copy_(&host))?;
        Ok(())
    }

    /// Leaves the others after a failure: what they wait for fails now, and who serves the store stays until they have looked there for the reason.
    pub fn abandon(&self) {
        if let Some(shared) = &self.0 {
            drop(shared.group.lock().unwrap_or_else(PoisonError::into_inner).take());
            shared.watch.leave();
        }
    }

    /// A result that the others are told of where it is a failure of this process's own: they say its name and its words in place of guessing.
    ///
    /// # Errors
    /// The result's.
    pub fn telling<T>(&self, result: Result<T>) -> Result<T> {
        if let (Some(shared), Err(e)) = (&self.0, &result)
            && !matches!(e, Error::World { .. })
        {
            shared.watch.tell(&e.to_string());
        }
        result
    }
}

impl Shared {
    /// Begins a call that sends so many bytes.
    fn begin(
        &self,
        bytes: f64,
        call: impl FnOnce(&ProcessGroup) -> unisono_torch_ext::Result<Work>,
    ) -> Result<Work> {
        self.watch.count();
        self.sent.fetch_add(bytes.max(0.0) as u64, Ordering::Relaxed);
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        match &*group {
            Some(group) => call(group).map_err(|e| self.watch.blame(e.into())),
            None => Err(Error::World { message: "this process has left the others".into() }),
        }
    }

    /// Waits for it.
    fn finish(&self, work: Work) -> Result<()> {
        let begun = Instant::now();
        let done = work.wait();
        let spent = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(spent, Ordering::Relaxed);
        done.map_err(|e| self.watch.blame(e.into()))
    }

    /// Bytes that a rank sends to have a tensor reduced in a ring: all of it but its own part, twice.
    fn reduced(&self, tensor: &Tensor) -> f64 {
        let size = self.launch.size as f64;
        2.0 * bytes(tensor) * (size - 1.0) / size
    }

    /// Bytes that a rank sends to have tensors of this size gathered in a ring: everybody's but the next one's.
    fn gathered(&self, tensor: &Tensor) -> f64 {
        bytes(tensor) * (self.launch.size as f64 - 1.0)
    }
}

fn bytes(tensor: &Tensor) -> f64 {
    (tensor.numel() * tensor.kind().elt_size_in_bytes()) as f64
}

/// As Gloo takes it: contiguous, in the processor's memory, without a graph.
fn on_host(tensor: &Tensor) -> Result<Tensor> {
    Ok(tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?)
}

/// Nothing, of so many rows and columns.
fn zeros(shape: &[i64], kind: Kind) -> Result<Tensor> {
    Ok(Tensor::f_zeros(shape, (kind, Device::Cpu))?)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "World({} of {})", self.rank(), self.size())
    }
}

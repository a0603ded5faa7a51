//! Which of the others is to blame. A rank that dies takes its connections with it, one that hangs answers nothing: libtorch tells of neither by name. So every
//! rank writes into the store, twice a second, that it lives and how many calls it has begun; who fails looks there.

use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use unisono_torch_ext::Launch;
use unisono_torch_ext::c10d::Store;

const BEAT: Duration = Duration::from_millis(500);
/// Beats that a living rank may miss.
const MISSED: u32 = 6;
/// Times that the store's server looks whether all have left.
const LEAVING: u32 = 100;

/// What a rank says of itself, and looks up of the others.
pub(super) struct Watch {
    store: Store,
    launch: Launch,
    /// Calls that this rank has begun.
    calls: Arc<AtomicU64>,
    /// Ranks that were found dead: nobody waits for them.
    dead: AtomicU64,
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a rank wrote last: how often, and how many calls it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Beat {
    number: u64,
    calls: u64,
}

impl Watch {
    /// Says who this rank is, and from now on that it lives.
    pub(super) fn start(store: &Store, launch: &Launch) -> Result<Self> {
        let (store, own) = (store.another()?, store.another()?);
        let who = format!("{}\n{}", host(), std::process::id());
        store.set(&format!("who/{}", launch.rank), who.as_bytes())?;
        let calls = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = channel();
        let (rank, counted) = (launch.rank, calls.clone());
        let thread = std::thread::Builder::new()
            .name("world".into())
            .spawn(move || beat(&own, rank, &counted, &stopped))
            .map_err(|e| Error::io("world", e))?;
        Ok(Self {
            store,
            launch: launch.clone(),
            calls,
            dead: AtomicU64::new(0),
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Waits until all have said who they are; the ranks of this machine.
    ///
    /// # Errors
    /// The ranks that did not come within the time.
    pub(super) fn meet(&self, timeout: Duration) -> Result<Vec<usize>> {
        let begun = std::time::Instant::now();
        let (mut mates, mut missing) = (Vec::new(), Vec::new());
        for rank in 0..self.launch.size {
            let left = timeout.saturating_sub(begun.elapsed());
            match self.store.wait(&format!("who/{rank}"), left) {
                Err(_) => missing.push(rank.to_string()),
                Ok(()) if self.host_of(rank).is_some_and(|name| name == host()) => mates.push(rank),
                Ok(()) => {}
            }
        }
        if missing.is_empty() {
            return Ok(mates);
        }
        Err(Error::World {
            message: format!(
                "rank {} of {} waited {:.0} s: rank {} did not come; start as many processes as WORLD_SIZE says, or raise world.timeout",
                self.launch.rank,
                self.launch.size,
                timeout.as_secs_f64(),
                missing.join(", ")
            ),
        })
    }

    /// A call begins.
    pub(super) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells the others why this rank leaves.
    pub(super) fn tell(&self, why: &str) {
        // Who serves the store may be gone: then nobody asks, either.
        let _ = self.store.set(&format!("failed/{}", self.launch.rank), why.as_bytes());
    }

    /// Says that this rank needs the store no more; who serves it waits a while for the others to say so.
    pub(super) fn leave(&self) {
        let dead = i64::try_from(self.dead.load(Ordering::Relaxed)).unwrap_or(0);
        let others = self.launch.size as i64 - 1 - dead;
        let serves = self.launch.rank == 0 && !self.launch.served;
        if !serves {
            let _ = self.store.add("left", 1);
            return;
        }
        for _ in 0..LEAVING {
            if self.store.add("left", 0).is_ok_and(|left| left >= others) {
                return;
            }
            std::thread::sleep(BEAT / 10);
        }
    }

    /// The error of a call that did not come to its end, with the name of who is to blame.
    pub(super) fn blame(&self, error: Error) -> Error {
        let (rank, size) = (self.launch.rank, self.launch.size);
        let why = self.reason().unwrap_or_else(|_| {
            let who = if self.launch.served { self.launch.by } else { "rank 0" };
            format!("the store through which the processes meet is gone, and with it {who}, who serves it")
        });
        Error::World { message: format!("rank {rank} of {size} stopped: {why} ({error})") }
    }

    /// Whose fault it is that a call failed.
    fn reason(&self) -> Result<String> {
        let others = || (0..self.launch.size).filter(|rank| *rank != self.launch.rank);
        for rank in others() {
            if let Some(why) = self.store.find(&format!("failed/{rank}"))? {
                return Ok(format!("{} failed: {}", self.name(rank), String::from_utf8_lossy(&why)));
            }
        }
        let before: Vec<(usize, Option<Beat>)> =
            others().map(|rank| Ok((rank, self.beat_of(rank)?))).collect::<Result<_>>()?;
        std::thread::sleep(BEAT * MISSED);
        let (own, mut dead, mut late) = (self.calls.load(Ordering::Relaxed), Vec::new(), Vec::new());
        for (rank, was) in before {
            match self.beat_of(rank)? {
                now if now.map(|beat| beat.number) == was.map(|beat| beat.number) => {
                    dead.push(self.name(rank))
                }
                Some(beat) if beat.calls < own => late.push(self.name(rank)),
                _ => {}
            }
        }
        self.dead.store(dead.len() as u64, Ordering::Relaxed);
        Ok(match (dead.as_slice(), late.as_slice()) {
            ([], []) => "a connection to another rank broke".into(),
            ([], late) => format!("{} lives and did not come so far within the time", late.join(", ")),
            (dead, _) => format!("{} is gone or stands still", dead.join(", ")),
        })
    }

    fn beat_of(&self, rank: usize) -> Result<Option<Beat>> {
        let said = self.store.find(&format!("alive/{rank}"))?.unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let mut numbers = said.split(' ').map(str::parse::<u64>);
        Ok(match (numbers.next(), numbers.next()) {
            (Some(Ok(number)), Some(Ok(calls))) => Some(Beat { number, calls }),
            _ => None,
        })
    }

    fn host_of(&self, rank: usize) -> Option<String> {
        let who = self.store.find(&format!("who/{rank}")).ok()??;
        Some(String::from_utf8_lossy(&who).lines().next()?.to_owned())
    }

    /// `rank 3 (node7, process 4711)`.
    fn name(&self, rank: usize) -> String {
        let who = self.store.find(&format!("who/{rank}")).ok().flatten().unwrap_or_default();
        match String::from_utf8_lossy(&who).split_once('\n') {
            Some((host, process)) => format!("rank {rank} ({host}, process {process})"),
            None => format!("rank {rank}"),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It catches nothing and panics nowhere.
            let _ = thread.join();
        }
    }
}

/// Until it is told to stop, or nobody serves the store any more.
fn beat(store: &Store, rank: usize, calls: &AtomicU64, stopped: &Receiver<()>) {
    let key = format!("alive/{rank}");
    for number in 1u64.. {
        let said = format!("{number} {}", calls.load(Ordering::Relaxed));
        if store.set(&key, said.as_bytes()).is_err() {
            return;
        }
        if stopped.recv_timeout(BEAT) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// This machine's name.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => std::env::var("HOSTNAME").unwrap_or_else(|_| "this machine".into()),
        name => name.to_owned(),
    }
}

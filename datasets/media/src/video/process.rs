//! A decoder that runs: watched while it is waited for, ended with its readers.

use super::limits::VideoLimits;
use super::log::Log;
use std::io::PipeReader;
use std::process::{Child, ChildStderr, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How a decoder ended.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) success: bool,
    /// In the system's words.
    pub(super) status: String,
    /// It was ended because it said nothing.
    pub(super) silent: bool,
    /// Frames that came, of all its outputs.
    pub(super) frames: u64,
    /// Outputs that ended in the middle of a frame, or before one that the log tells of.
    pub(super) missed: u64,
    pub(super) log: Log,
}

#[derive(Debug)]
pub(super) struct Process {
    child: Mutex<Child>,
    log: Mutex<Option<JoinHandle<Log>>>,
    pulse: Arc<Pulse>,
    _watch: Sender<()>,
}

/// How far the decoder is, for the one that watches it.
#[derive(Debug, Default)]
struct Pulse {
    /// Reads that have ended.
    beats: AtomicU64,
    /// Readers that wait for it.
    waiting: AtomicUsize,
    /// Readers that have not come to their end.
    readers: AtomicUsize,
    frames: AtomicU64,
    missed: AtomicU64,
    silent: AtomicBool,
}

impl Process {
    /// Watches over `child`; `follow` reads its log, on a thread of its own.
    pub(super) fn new(
        mut child: Child,
        readers: usize,
        limits: &VideoLimits,
        follow: impl FnOnce(ChildStderr) -> Log + Send + 'static,
    ) -> Arc<Self> {
        let log = child.stderr.take().map(|err| std::thread::spawn(move || follow(err)));
        let pulse = Arc::new(Pulse { readers: AtomicUsize::new(readers), ..Pulse::default() });
        let (keep, ends) = mpsc::channel();
        let process = Arc::new(Self {
            child: Mutex::new(child),
            log: Mutex::new(log),
            pulse: Arc::clone(&pulse),
            _watch: keep,
        });
        let patience = Duration::from_secs_f64(limits.max_silence.max(0.1));
        let watched = Arc::downgrade(&process);
        std::thread::spawn(move || {
            if silence(&pulse, &ends, patience)
                && let Some(process) = watched.upgrade()
            {
                process.kill();
            }
        });
        process
    }

    /// Does something that waits for the decoder.
    pub(super) fn waiting<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.pulse.waiting.fetch_add(1, Ordering::SeqCst);
        let got = wait();
        self.pulse.waiting.fetch_sub(1, Ordering::SeqCst);
        self.pulse.beats.fetch_add(1, Ordering::SeqCst);
        got
    }

    /// A frame has come.
    pub(super) fn came(&self) {
        self.pulse.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// A frame that was told did not come.
    pub(super) fn missed(&self) {
        self.pulse.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// A reader has come to its end, or wants no more.
    pub(super) fn leave(&self) {
        self.pulse.readers.fetch_sub(1, Ordering::SeqCst);
    }

    /// Readers that have not come to their end.
    pub(super) fn readers(&self) -> usize {
        self.pulse.readers.load(Ordering::SeqCst)
    }

    /// Waits for the end.
    pub(super) fn end(&self) -> End {
        // The log ends when the decoder does; only then is it waited for, so that the watch can still end it.
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner).take();
        let log = self.waiting(|| log.and_then(|thread| thread.join().ok())).unwrap_or_default();
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
        End {
            success: status.as_ref().is_ok_and(ExitStatus::success),
            status: status.map_or_else(|e| e.to_string(), |s| s.to_string()),
            silent: self.pulse.silent.load(Ordering::Relaxed),
            frames: self.pulse.frames.load(Ordering::Relaxed),
            missed: self.pulse.missed.load(Ordering::Relaxed),
            log,
        }
    }

    fn kill(&self) {
        super::watchdog::kill(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        drop(self.child.lock().unwrap_or_else(PoisonError::into_inner).wait());
    }
}

/// Whether the decoder has to be ended: everyone who is left waits for it, and nothing came.
fn silence(pulse: &Pulse, ends: &Receiver<()>, patience: Duration) -> bool {
    let mut before = None;
    while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(patience) {
        let now = pulse.beats.load(Ordering::SeqCst);
        let readers = pulse.readers.load(Ordering::SeqCst).max(1);
        if pulse.waiting.load(Ordering::SeqCst) >= readers && before == Some(now) {
            pulse.silent.store(true, Ordering::Relaxed);
            return true;
        }
        before = Some(now);
    }
    false
}

/// Makes a pipe hold about a frame: the fewer times the two sides take turns, the less they cost. Where the system allows no more, it
/// stays as it is.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn wide(pipe: &PipeReader) {
    rustix::pipe::fcntl_setpipe_size(pipe, 1 << 20).ok();
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn wide(_: &PipeReader) {}

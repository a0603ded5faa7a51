//! A run of the program that is waited for: one that does nothing any more is ended.
//!
//! Frames have a watch of their own, which knows when their readers wait. Here nobody sees what goes on inside: headers of a long file,
//! or a clip, may take minutes in which nothing is said. So what is looked at is whether the program works at all.

use super::limits::VideoLimits;
use crate::blob::OnDisk;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A run that is prepared, with what a [`Command`] can do that is needed here.
#[derive(Debug)]
pub(crate) struct Run {
    pub(super) command: Command,
    pub(super) path: PathBuf,
    pub(super) limits: VideoLimits,
    /// What it reads.
    pub(super) disk: Option<OnDisk>,
}

/// It was ended: for so many seconds it neither used the processor nor read or wrote anything.
#[derive(Debug, Clone, thiserror::Error)]
#[error("ffmpeg did nothing for {} seconds", limits.max_silence)]
pub(super) struct Idle {
    pub(super) path: PathBuf,
    pub(super) limits: VideoLimits,
}

impl Idle {
    fn error(&self) -> Error {
        Error::new(ErrorKind::TimedOut, self.clone())
    }

    /// The one that an error holds.
    pub(super) fn of(error: &Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// A run that goes on, and is ended when it is dropped.
#[derive(Debug)]
pub(crate) struct WatchedChild {
    /// What it writes; reading it fails where the run was ended.
    pub(crate) stdout: Option<WatchedPipe<ChildStdout>>,
    /// What it says.
    pub(crate) stderr: Option<ChildStderr>,
    shared: Arc<Shared>,
    _watch: Sender<()>,
    _disk: Option<OnDisk>,
}

#[derive(Debug)]
struct Shared {
    child: Mutex<Child>,
    idle: AtomicBool,
    what: Idle,
}

/// What a run writes.
#[derive(Debug)]
pub(crate) struct WatchedPipe<R> {
    from: R,
    shared: Arc<Shared>,
}

impl Run {
    /// Starts it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn spawn(mut self) -> Result<WatchedChild> {
        let mut child = self.command.spawn()?;
        let (stdout, stderr, process) = (child.stdout.take(), child.stderr.take(), child.id());
        let patience = Duration::from_secs_f64(self.limits.max_silence.max(0.1));
        let what = Idle { path: self.path, limits: self.limits };
        let shared = Arc::new(Shared { child: Mutex::new(child), idle: AtomicBool::new(false), what });
        let (keep, ends) = mpsc::channel::<()>();
        let watched = Arc::clone(&shared);
        std::thread::spawn(move || {
            let (mut before, mut since) = (None, Instant::now());
            while let Err(RecvTimeoutError::Timeout) = ends.recv_timeout(patience / 8) {
                let now = work(process);
                // Where the system does not tell, nobody is accused.
                if now.is_none() || now != before {
                    (before, since) = (now, Instant::now());
                } else if since.elapsed() >= patience {
                    watched.idle.store(true, Ordering::SeqCst);
                    watched.kill();
                    return;
                }
            }
        });
        let stdout = stdout.map(|from| WatchedPipe { from, shared: Arc::clone(&shared) });
        Ok(WatchedChild { stdout, stderr, shared, _watch: keep, _disk: self.disk })
    }

    /// Runs it to its end, as [`Command::output`] does.
    ///
    /// # Errors
    /// The system's; one that holds [`Idle`].
    pub(crate) fn output(self) -> Result<Output> {
        let mut run = self.spawn()?;
        let log = run.stderr.take().map(|mut from| {
            std::thread::spawn(move || {
                let mut log = Vec::new();
                // What cannot be read is not said.
                drop(from.read_to_end(&mut log));
                log
            })
        });
        let mut stdout = Vec::new();
        let read = run.stdout.take().map_or(Ok(0), |mut from| from.read_to_end(&mut stdout));
        if read.is_err() {
            drop(run.kill());
        }
        let stderr = log.and_then(|log| log.join().ok()).unwrap_or_default();
        let status = run.wait()?;
        read?;
        Ok(Output { status, stdout, stderr })
    }
}

impl WatchedChild {
    /// Waits for its end.
    ///
    /// # Errors
    /// The system's; one that holds [`Idle`].
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            // Not for long: the watch has to get at it.
            let status = self.shared.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait()?;
            match status {
                Some(_) if self.shared.idle.load(Ordering::SeqCst) => return Err(self.shared.what.error()),
                Some(status) => return Ok(status),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// None: it may have ended already.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.shared.kill();
        Ok(())
    }
}

impl Drop for WatchedChild {
    fn drop(&mut self) {
        self.shared.kill();
        drop(self.shared.child.lock().unwrap_or_else(PoisonError::into_inner).wait());
    }
}

impl Shared {
    fn kill(&self) {
        kill(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl<R: Read> Read for WatchedPipe<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let n = self.from.read(buffer)?;
        // What was ended has not written all.
        if n == 0 && !buffer.is_empty() && self.shared.idle.load(Ordering::SeqCst) {
            return Err(self.shared.what.error());
        }
        Ok(n)
    }
}

/// Ends a program that [leads a group](std::os::unix::process::CommandExt::process_group), with what it may have started.
pub(super) fn kill(child: &mut Child) {
    // One that has been waited for has no number any more.
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    }
    child.kill().ok();
}

/// What a process has done so far, as the system counts it; equal only where it did nothing.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn work(process: u32) -> Option<String> {
    let folder = Path::new("/proc").join(process.to_string());
    // The name stands in brackets and may hold anything; times of the processor are the 14th and 15th of all fields.
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    let times: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(2).collect();
    let moved = std::fs::read_to_string(folder.join("io")).unwrap_or_default();
    Some(format!("{times:?} {moved}"))
}

#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
fn work(process: u32) -> Option<String> {
    let output = Command::new("ps").args(["-o", "time=", "-p", &process.to_string()]).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned()).filter(|time| !time.trim().is_empty())
}

#[cfg(not(unix))]
fn work(_: u32) -> Option<String> {
    None
}

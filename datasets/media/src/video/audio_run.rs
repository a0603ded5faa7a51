//! A run of the program whose samples come through a pipe.

use super::log::Log;
use super::watchdog::WatchedChild;
use super::{Ffmpeg, Time, VideoLimits};
use crate::{Blob, Result};
use std::io::Read;
use std::process::ExitStatus;
use std::thread::JoinHandle;

/// A decoder whose samples come through a pipe.
pub(super) struct AudioRun {
    pub(super) child: WatchedChild,
    log: Option<JoinHandle<Log>>,
}

impl AudioRun {
    /// Starts one that makes `output`; what `ashowinfo@TAG` says is kept, for the `tag` TAG.
    pub(super) fn start(
        ffmpeg: &Ffmpeg,
        blob: &Blob,
        limits: &VideoLimits,
        begin: Option<Time>,
        output: &[&str],
        tag: &str,
    ) -> Result<Self> {
        let mut child =
            ffmpeg.on_from(blob, limits, begin, output)?.spawn().map_err(ffmpeg.cannot_start())?;
        let tag = tag.to_owned();
        let follow = |err| std::thread::spawn(move || Log::follow(err, &tag, &[]));
        let log = child.stderr.take().map(follow);
        Ok(Self { child, log })
    }

    /// What comes first: enough for any head.
    pub(super) fn head(&mut self) -> std::io::Result<Vec<u8>> {
        let mut head = Vec::new();
        if let Some(stdout) = &mut self.child.stdout {
            stdout.take(4096).read_to_end(&mut head)?;
        }
        Ok(head)
    }

    /// Hands on the samples that come behind `bytes`, until the end or until `more` says no.
    pub(super) fn samples(
        &mut self,
        bytes: Vec<u8>,
        more: &mut dyn FnMut(&[f32]) -> bool,
    ) -> std::io::Result<()> {
        match &mut self.child.stdout {
            Some(stdout) => samples(stdout, bytes, more),
            None => Ok(()),
        }
    }

    /// Waits for the end, or makes it.
    pub(super) fn end(mut self, now: bool) -> (Log, std::io::Result<ExitStatus>) {
        if now {
            // It may have ended already.
            drop(self.child.kill());
        }
        // Nothing more is read: it must not wait for that.
        drop(self.child.stdout.take());
        let status = self.child.wait();
        (self.log.take().and_then(|thread| thread.join().ok()).unwrap_or_default(), status)
    }
}

/// Hands on the samples that come behind `bytes`, at most 2^16 at a time, until the end or until `more` says no.
pub(super) fn samples(
    from: &mut impl Read,
    mut bytes: Vec<u8>,
    more: &mut dyn FnMut(&[f32]) -> bool,
) -> std::io::Result<()> {
    let mut samples = Vec::new();
    loop {
        let (whole, rest) = bytes.as_chunks::<4>();
        samples.clear();
        samples.extend(whole.iter().map(|b| f32::from_le_bytes(*b)));
        if !samples.is_empty() && !more(&samples) {
            return Ok(());
        }
        bytes = rest.to_vec();
        if from.take((1 << 18) - bytes.len() as u64).read_to_end(&mut bytes)? == 0 {
            return Ok(());
        }
    }
}

//! Reporting progress of work that runs on other threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Progress, Unit};

/// How often progress is reported.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// Receives the reports.
pub(super) type Report<'a> = &'a mut dyn FnMut(Progress);

/// Runs `work` on a thread of its own, which adds to the counter what it has done, and reports the counter meanwhile.
pub(super) fn with_progress<T: Send>(
    report: Report,
    stage: &str,
    (total, unit): (Option<u64>, Unit),
    work: impl FnOnce(&AtomicU64) -> T + Send,
) -> T {
    let counter = AtomicU64::new(0);
    let mut tell = |done| report(Progress { stage: stage.to_owned(), done, total, unit });
    tell(0);
    let result = std::thread::scope(|scope| {
        let worker = scope.spawn(|| work(&counter));
        while !worker.is_finished() {
            std::thread::park_timeout(TICK);
            tell(counter.load(Ordering::Relaxed));
        }
        worker.join()
    });
    match result {
        Ok(value) => {
            tell(counter.load(Ordering::Relaxed));
            value
        }
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

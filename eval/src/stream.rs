//! Work on many threads, a little ahead of whoever takes its results in order.

use crate::{Error, Result};
use rayon::prelude::*;
use std::sync::mpsc::sync_channel;

/// Results that are made together: every thread has something to do, and no more than three times as many are held.
const PART: usize = 64;

/// Calls `work` on the numbers below `count` on rayon's threads and `take` on each result in order, on this thread, meanwhile. However
/// many there are, three parts of them exist at most: one is made, one waits, one is taken.
///
/// # Errors
/// The first error of `take`, which ends the work; the system gives no thread.
pub(crate) fn ahead<R: Send>(
    count: usize,
    work: impl Fn(usize) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Vec<R>>(1);
        let work = &work;
        let make = move || {
            for from in (0..count).step_by(PART) {
                let part = (from..count.min(from + PART)).into_par_iter().map(work).collect();
                if sender.send(part).is_err() {
                    // Nobody takes results any more.
                    return;
                }
            }
        };
        let maker = std::thread::Builder::new().name("prepare".into()).spawn_scoped(scope, make);
        let maker = maker.map_err(|e| Error::Input(format!("no thread to decode on: {e}")))?;
        let mut at = 0;
        for result in receiver.iter().flatten() {
            take(at, result)?;
            at += 1;
        }
        match maker.join() {
            Ok(()) if at == count => Ok(()),
            _ => Err(Error::Input(format!("decoding ended after {at} of {count} items: this is a bug"))),
        }
        // On an early return the receiver is dropped before the scope joins: a sender that waits wakes up and ends.
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order_and_few_are_held() {
        for count in [0, 1, PART - 1, PART, PART + 1, 7 * PART + 3] {
            let (made, mut seen) = (AtomicUsize::new(0), Vec::new());
            let work = |at: usize| {
                made.fetch_add(1, Ordering::SeqCst);
                at
            };
            ahead(count, work, |at, result| {
                assert_eq!(at, result);
                assert!(made.load(Ordering::SeqCst) <= at + 3 * PART, "{at}");
                seen.push(at);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let made = AtomicUsize::new(0);
        let work = |_| made.fetch_add(1, Ordering::SeqCst);
        let refused = ahead(1000 * PART, work, |at, _| match at {
            5 => Err(Error::Input("enough".into())),
            _ => Ok(()),
        });
        assert_eq!(refused.unwrap_err().to_string(), "enough");
        assert!(made.load(Ordering::SeqCst) <= 3 * PART);
    }
}

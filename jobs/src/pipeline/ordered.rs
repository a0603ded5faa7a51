//! SavedRows on many threads whose results come back in order, never more of them in memory than asked for.

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Calls `work` on every number of `range` on `workers` threads and `take` on every result in their order, on this thread, meanwhile.
/// At most `ahead` results a worker wait for it. The i-th is worker `i mod workers`' own, so order needs no bookkeeping.
///
/// # Errors
/// The first error of `take`, which ends the work; or `lost(i)` when the worker of number `i` died.
pub(crate) fn ordered<R: Send, E>(
    range: Range<usize>,
    workers: usize,
    ahead: usize,
    work: impl Fn(usize) -> R + Sync,
    mut take: impl FnMut(usize, R) -> Result<(), E>,
    lost: impl Fn(usize) -> E,
) -> Result<(), E> {
    let workers = workers.clamp(1, range.len().max(1));
    std::thread::scope(|scope| {
        let mut receivers: Vec<Receiver<R>> = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (sender, receiver): (SyncSender<R>, _) = sync_channel(ahead.max(1));
            let work = &work;
            let mine = range.clone().skip(worker).step_by(workers);
            let body = move || {
                for number in mine {
                    if sender.send(work(number)).is_err() {
                        // Nobody takes results any more.
                        break;
                    }
                }
            };
            // Where the system gives no thread, the receiver is closed and the item counts as lost.
            let started =
                std::thread::Builder::new().name(format!("prepare-{worker}")).spawn_scoped(scope, body);
            drop(started.map(|handle| handle.thread().id()));
            receivers.push(receiver);
        }
        for (place, number) in range.enumerate() {
            let result = receivers[place % workers].recv().map_err(|_| lost(number))?;
            take(number, result)?;
        }
        Ok(())
        // On an early return the receivers are dropped before the scope joins: blocked senders wake up and end.
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_from_any_number_of_workers() {
        for workers in [1, 2, 3, 7, 500] {
            let mut seen = Vec::new();
            let work = |i: usize| {
                // Uneven work: late items are ready before early ones.
                (0..(120 - i) * 50).fold(i, |a, b| std::hint::black_box(a ^ b ^ b))
            };
            ordered(
                7..108,
                workers,
                2,
                work,
                |i, r| {
                    seen.push((i, r));
                    Ok::<_, ()>(())
                },
                |_| (),
            )
            .unwrap();
            assert_eq!(seen, (7..108).map(|i| (i, i)).collect::<Vec<_>>(), "{workers}");
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let done = std::sync::atomic::AtomicUsize::new(0);
        let count = |_: usize| done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stop = |i, _| if i == 5 { Err("stop") } else { Ok(()) };
        assert_eq!(ordered(0..1000, 3, 2, count, stop, |_| "lost"), Err("stop"));
        assert!(done.into_inner() <= 6 + 3 * 4);
        assert_eq!(ordered(0..0, 3, 2, |_| (), |_, ()| Err("none"), |_| "lost"), Ok(()));
    }
}

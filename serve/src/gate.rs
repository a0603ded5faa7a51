//! So much at once and no more: inputs that wait, bytes that are held.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is inside.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Counted>);

#[derive(Debug)]
struct Counted {
    most: usize,
    now: AtomicUsize,
}

/// What came in goes out when this is dropped.
#[derive(Debug)]
pub(crate) struct Inside {
    gate: Gate,
    count: usize,
}

impl Gate {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Counted { most, now: AtomicUsize::new(0) }))
    }

    /// How much is inside.
    pub(crate) fn now(&self) -> usize {
        self.0.now.load(Ordering::Relaxed)
    }

    /// Lets `count` in, or nothing. What is more than there is room for at all comes in alone: it would never come in otherwise.
    pub(crate) fn enter(&self, count: usize) -> Option<Inside> {
        let fits = |now: usize| {
            let then = now.checked_add(count)?;
            (now == 0 || then <= self.0.most).then_some(then)
        };
        self.0.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).ok()?;
        Some(Inside { gate: self.clone(), count })
    }
}

impl Inside {
    /// Lets so many more in, under the same rule.
    pub(crate) fn more(&mut self, count: usize) -> bool {
        let fits = |now: usize| {
            let then = now.checked_add(count)?;
            (now == self.count || then <= self.gate.0.most).then_some(then)
        };
        let entered = self.gate.0.now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok();
        self.count += if entered { count } else { 0 };
        entered
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.gate.0.now.fetch_sub(self.count, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_fits_and_nothing_stays() {
        let gate = Gate::new(10);
        let mut a = gate.enter(6).unwrap();
        assert!(gate.enter(5).is_none());
        let b = gate.enter(4).unwrap();
        assert!(!a.more(1) && gate.now() == 10);
        drop(b);
        assert!(a.more(4) && gate.now() == 10);
        drop(a);
        assert_eq!(gate.now(), 0);
        // Larger than all there is: alone.
        let whole = gate.enter(50).unwrap();
        assert!(gate.enter(1).is_none());
        drop(whole);
        assert_eq!(gate.now(), 0);
    }
}

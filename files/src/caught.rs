//! Panics of other people's readers on strangers' files.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many pieces of such work this thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One more piece of work, for as long as it lasts.
struct Inside;

impl Inside {
    fn new() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
    }
}

/// Does work that may panic on a damaged file; `None`: it did. Nothing is printed of that: who calls says in one line which file it was. Of other panics
/// everything is said as before.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            // A thread that ends has no number any more.
            if DEPTH.try_with(Cell::get).unwrap_or(0) == 0 {
                before(panic);
            }
        }));
    });
    let inside = Inside::new();
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    drop(inside);
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none_and_the_work_behind_it_is_as_before() {
        assert_eq!(caught(|| 1), Some(1));
        assert_eq!(caught(|| [0][std::hint::black_box(1)]), None);
        assert_eq!(caught(|| caught(|| [0][std::hint::black_box(1)])), Some(None));
        assert_eq!(DEPTH.get(), 0);
        assert_eq!(caught(|| 2), Some(2));
    }
}

//! Where the time of loading goes.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// A part of the work on a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Its record is read from the source.
    Read,
    /// Its media are opened, decoded and processed.
    Decode,
    /// They are changed at random.
    Augment,
}

impl Stage {
    /// All, in the order of the work.
    pub const ALL: [Self; 3] = [Self::Read, Self::Decode, Self::Augment];

    /// In messages: `read`, `decode`, `augment`.
    pub fn name(self) -> &'static str {
        ["read", "decode", "augment"][self as usize]
    }
}

thread_local! {
    /// Of the sample that this thread works on.
    static SPENT: Cell<[Duration; 3]> = const { Cell::new([Duration::ZERO; 3]) };
}

/// Does a part of the work on a sample, its time counted as the stage's. Of stages within one another the inner's time is its own.
pub fn timed<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let before = SPENT.get();
    let start = Instant::now();
    let result = work();
    let whole = start.elapsed();
    let mut spent = SPENT.get();
    let inner: Duration = spent.iter().zip(before).map(|(now, then)| now.saturating_sub(then)).sum();
    spent[stage as usize] += whole.saturating_sub(inner);
    SPENT.set(spent);
    result
}

/// What the stages took since this was asked last.
pub(super) fn spent() -> [Duration; 3] {
    SPENT.replace([Duration::ZERO; 3])
}

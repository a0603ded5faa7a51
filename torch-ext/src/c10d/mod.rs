//! c10d, what PyTorch's distributed training is made of, without Python: a key-value store through which processes find each other, and groups of
//! processes that exchange tensors (Gloo, over TCP). `libtorch_cpu` has both.

mod ffi;
mod group;
mod store;

pub use group::{ProcessGroup, Reduce, Work};
pub use store::{Role, Store};

use std::time::Duration;

/// As libtorch takes it: milliseconds, at least one.
fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1)
}

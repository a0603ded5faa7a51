//! What every format of shards is written through.

use super::sample::Sample;
use crate::Result;

/// Writes the records of one shard.
pub trait ShardWriter: Send {
    /// Adds a record. Its bytes are a function of the records so far: no time, no owner, no randomness.
    ///
    /// # Errors
    /// No space; a medium that ends before its length.
    fn add(&mut self, sample: Sample) -> Result<()>;

    /// Bytes of the shard so far, those that are held back included; an estimate where they are compressed later.
    fn bytes(&self) -> u64;

    /// Writes what is held back, and the end, and flushes it.
    ///
    /// # Errors
    /// No space.
    fn finish(self: Box<Self>) -> Result<()>;
}

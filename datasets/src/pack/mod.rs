//! From any source to shards that are read by position: media copied as they are, the rest of a record beside them.
//!
//! ```text
//! source -> sample (a record with its media at hand) -> a shard's writer -> OUT/shard-00000.tar (or .parquet), …, OUT/index.json
//! ```
//!
//! The same source gives the same bytes. A shard has its name when it is whole; what was finished before a job ended is kept, as long as the
//! shards and the source are what they were. A new format is a [`Format`] and a [`ShardWriter`].

mod entry;
mod format;
mod listing;
mod out;
mod parquet;
mod progress;
mod run;
mod sample;
mod tar;
mod uses;
mod writer;

pub use format::Format;
pub use listing::{LISTING, ListedShard, Listing};
pub use progress::PackProgress;
pub use run::{LEDGER, PackOptions, Packed, pack};
pub use sample::{Content, Field, Medium, Sample};
pub use writer::ShardWriter;

#[cfg(test)]
#[path = "../tests/pack_parquet.rs"]
mod parquet_tests;

#[cfg(test)]
#[path = "../tests/pack.rs"]
mod tests;

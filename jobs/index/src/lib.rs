//! An index: vectors, what they belong to, and the model that made them, in one folder.
//!
//! | file | holds |
//! |---|---|
//! | `index.json` | [`Header`]: version, model, counts, how it was built; written last |
//! | `vectors.safetensors` | `vectors`, fp32 `[N, D]`, memory-mapped for searching; its metadata ties it to the other two |
//! | `items.jsonl` | one [`Item`] a line, line `i` for row `i` |
//!
//! Rows that were written together are a [`Segment`]; an index searches all of its own as one. No models here: rows come from a [`Writer`]'s caller, and what
//! `index.json` says of how they were made is the type `B` of whoever made them.

mod error;
mod header;
mod item;
mod items;
mod lines;
mod open;
mod search;
mod segment;
mod vectors;
mod write;

pub use error::{Error, Result};
pub use header::{FORMAT_VERSION, Files, Header, ModelRef};
pub use item::{Item, write_item};
pub use items::{Items, Iter};
pub use open::Index;
pub use search::{Hit, top};
pub use segment::Segment;
pub use vectors::{Vectors, similarity};
pub use write::{Mapped, TENSOR, Writer, sum, tensor_head};

/// The file of the [`Header`].
pub const HEADER: &str = "index.json";
/// The file of the vectors.
pub const VECTORS: &str = "vectors.safetensors";
/// The file of the items.
pub const ITEMS: &str = "items.jsonl";
/// The key in the vectors' metadata that holds [`Header::sum`].
pub const SUM: &str = "unisono.index";

//! An index: vectors, what they belong to, and the model that made them, in one folder.
//!
//! | file | holds |
//! |---|---|
//! | `index.json` | [`Header`]: version, model, counts, its segments; the one file that changes, replaced at once |
//! | `segments/000007/vectors.safetensors` | `vectors`, fp32 `[rows, D]`, memory-mapped for searching; its metadata ties it to the items |
//! | `segments/000007/items.jsonl` | one [`Item`] a line, line `i` for row `i`; then those that hold what another one holds |
//! | `segments/000007/columns.bin` | of every line where it ends, its modality, and its [`Facts`] |
//! | `segments/000007/codes.bin` | the vectors in fewer bytes, where the index's [`Method`] says so |
//! | `segments/000007/graph.bin` | who is near whom, where rows are many or the method says so |
//! | `segments/000007/words.bin` | which rows have which words: of texts, captions, labels, file names and keys |
//! | `segments/000007/removed-….bin` | the rows that are removed, a bit each |
//! | `asked.safetensors` | texts as queries ask them, for [chances](Chance); only of models that embed texts |
//!
//! Rows that were written together are a [`Segment`], which never changes; an index searches all of its own as one, and an [`Editor`] adds and merges them. The first format had
//! one segment in the index's own folder, without columns; it is still read. No models here: rows come from the caller, and what
//! `index.json` says of how they were made is the type `B` of whoever made them.

mod bits;
mod chance;
mod check;
mod codes;
mod columns;
mod edit;
mod error;
mod facts;
mod filter;
mod graph;
mod header;
mod item;
mod items;
mod lines;
mod measure;
mod near;
mod new;
mod open;
mod query;
mod ranks;
mod recall;
mod search;
mod segment;
mod store;
mod together;
mod vectors;
mod words;
mod write;

pub use chance::Chance;
pub use check::{Checked, check, repair};
pub use edit::{Editor, is_number, is_removed};
pub use error::{Error, Result};
pub use facts::{Facts, Key};
pub use filter::{Filter, Places, Test};
pub use graph::Told;
pub use header::{CodesRef, FORMAT_VERSION, Files, Header, ModelRef, Parts, SEGMENTS, SegmentRef};
pub use item::{Item, write_item};
pub use items::{Items, Iter};
pub use new::NewSegment;
pub use open::Index;
pub use query::combine;
pub use ranks::fuse;
pub use search::{Hit, top, top_where};
pub use segment::Segment;
pub use store::{Effort, GRAPH_ROWS, Linked, Method, Recalled, Store};
pub use vectors::{Vectors, similarity};
pub use write::{Mapped, TENSOR, Writer, sum, tensor_head};

/// The file of the [`Header`].
pub const HEADER: &str = "index.json";
/// The file of the vectors.
pub const VECTORS: &str = "vectors.safetensors";
/// The file of the items.
pub const ITEMS: &str = "items.jsonl";
/// The file of the columns.
pub const COLUMNS: &str = "columns.bin";
/// The file of vectors in fewer bytes.
pub const CODES: &str = "codes.bin";
/// The file of the graph.
pub const GRAPH: &str = "graph.bin";
/// The file of the words.
pub const WORDS: &str = "words.bin";
/// The file of texts as queries ask them.
pub const ASKED: &str = "asked.safetensors";
/// The key in the vectors' metadata that holds [`Header::sum`].
pub const SUM: &str = "unisono.index";

//! Text files by position: a record a line, or a row of a table, each read when it is asked for.
//!
//! ```text
//! file -> cut into records, read in parallel -> entries: where each lies, its split, language and modalities
//!                                               (in memory, or in an index file beside the text file)
//! ```
//!
//! What a file of 100 million lines keeps in memory is the names of its splits and languages.

mod build;
mod entry;
mod form;
mod index;
mod lined;
mod stored;
mod unique;

pub(crate) use entry::Words;
pub(crate) use form::Form;
pub(crate) use lined::Lined;

/// A file above this many bytes has its entries in an index file; those of a smaller one are in memory.
pub(crate) const LARGE: u64 = 64 << 20;

/// Longest record, in bytes: a binary file given by mistake fails at once instead of filling memory.
pub(crate) const LONGEST: u64 = unisono_files::Budget::LINE.bytes;

#[cfg(test)]
#[path = "../tests/lines.rs"]
mod tests;

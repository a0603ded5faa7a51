//! Tables by columns as sources of records: which column is what, a row as a record, and files as a source.

mod codes;
mod features;
mod fields;
mod files;
mod folder;
mod ids;
pub(crate) mod own;
mod record;
mod rows;
mod source;
mod usual;

pub(crate) use files::{is_arrow, is_parquet};
pub use rows::reopened;
pub(crate) use source::{arrow, parquet};

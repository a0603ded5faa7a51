//! What is made of data to stand beside them: splits, which records are kept, hard negatives.
//!
//! Each is a file of JSON Lines, one for a record with its id, which a source reads as its annotations
//! ([`SourceConfig::annotations`](unisono_datasets::SourceConfig::annotations), [`SourceConfig::only`](unisono_datasets::SourceConfig::only)).

mod assign;
mod conditions;
mod filter;
mod kin;
mod lines;
mod measures;
mod mine;
mod nearest;
mod parts;
mod read;
mod split;
mod teach;
mod vectors;

pub(crate) use lines::write as write_lines;

pub use conditions::{Conditions, Fell, Measured};
pub use filter::{FilterOptions, Filtered, Likeness, filter};
pub use mine::{MineOptions, Mined, mine};
pub use parts::Parts;
pub use split::{Divided, PartCount, SplitOptions, Stratum, split};
pub use teach::{Taught, TeachOptions, Vectors, Views, teach};
pub use vectors::{Embedding, work_path};

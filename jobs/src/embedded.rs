//! Vectors in memory, and what they are of.

use unisono_datasets::Skip;
use unisono_index::{Item, Vectors};

/// What came of it: row `i` of `vectors` belongs to `items[i]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// `[N, D]` vectors, of length 1 unless the embedder keeps theirs.
    pub vectors: Vectors,
    /// The N items, in the order of the inputs.
    pub items: Vec<Item>,
    /// What could not be used, each with its reason.
    pub skipped: Vec<Skip>,
}

//! Where a tensor lies in a file.

use tch::Kind;

/// One tensor's place.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub file: usize,
    pub kind: Kind,
    pub shape: Vec<i64>,
    /// In elements, where the tensor is a view of its storage.
    pub strides: Option<Vec<i64>>,
    /// Of the first byte in the file.
    pub start: usize,
    /// Bytes from there to the end of its last element.
    pub len: usize,
}

impl Entry {
    /// Numbers in it. Its shape was checked: the product does not overflow.
    pub(crate) fn elements(&self) -> u64 {
        self.shape.iter().fold(1, |n, d| n.saturating_mul(d.unsigned_abs()))
    }
}

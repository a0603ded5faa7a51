//! How far packing is.

/// How far the work is. Nothing is done as long as all records are looked at for what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackProgress {
    /// Records that were looked at.
    pub records: u64,
    /// Of so many.
    pub total: u64,
}

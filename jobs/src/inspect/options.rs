//! What the page of an inspection shows.

use std::path::Path;

/// What a page shows.
#[derive(Debug, Clone, Copy)]
pub struct PageOptions<'a> {
    /// Where it will lie: links to files lead from there.
    pub page: &'a Path,
    /// Records that are shown, drawn by lot.
    pub samples: usize,
    /// Another number draws others.
    pub seed: u64,
}

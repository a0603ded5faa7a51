//! How a source is looked at, and what the page of it shows.

use crate::LangDetector;
use std::path::Path;

/// How a source is looked at.
#[derive(Debug, Clone)]
pub struct InspectOptions {
    /// Threads that read records.
    pub workers: usize,
    /// Finds the languages of records that name none, by their captions.
    pub detector: Option<LangDetector>,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self { workers: std::thread::available_parallelism().map_or(1, usize::from), detector: None }
    }
}

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

//! How a job works.

/// How to work; none of it changes a vector by more than rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbedOptions {
    /// Items of one modality that the model takes at once.
    pub batch: usize,
    /// Threads that decode and process files.
    pub workers: usize,
    /// More unusable inputs than this end the job.
    pub max_skip: usize,
}

impl Default for EmbedOptions {
    /// 32 at once, a worker a core, at most 100 unusable inputs.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { batch: 32, workers, max_skip: 100 }
    }
}

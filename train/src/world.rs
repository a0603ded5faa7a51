//! Who trains: this process alone, or several that share each batch.

use crate::Result;
use tch::Tensor;

/// The processes of a run, and which of them this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    rank: usize,
    size: usize,
}

impl World {
    /// One process, which does everything.
    pub const fn alone() -> Self {
        Self { rank: 0, size: 1 }
    }

    /// The number of this process, from 0.
    pub const fn rank(&self) -> usize {
        self.rank
    }

    /// Processes.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether this process writes what all of them make: checkpoints and metrics.
    pub const fn leads(&self) -> bool {
        self.rank == 0
    }

    /// The mean of the gradients of all processes; alone they are it.
    ///
    /// # Errors
    /// None alone.
    pub fn mean(&self, gradients: Vec<Option<Tensor>>) -> Result<Vec<Option<Tensor>>> {
        Ok(gradients)
    }
}

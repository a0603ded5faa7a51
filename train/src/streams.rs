//! The random streams of one draw.

use rand_chacha::ChaCha8Rng;
use unisono_datasets::rng::{Purpose, rng};

/// One stream for each purpose, a function of the run's seed and of what is drawn.
pub(crate) struct Streams {
    pub(crate) seed: u64,
    pub(crate) key: u64,
}

impl Streams {
    pub(crate) fn of(&self, purpose: Purpose) -> ChaCha8Rng {
        rng(self.seed, self.key, 0, purpose)
    }
}

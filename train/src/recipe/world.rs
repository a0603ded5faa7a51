//! `[world]`: how several processes share a training.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the processes that `torchrun`, MPI or Slurm has started share a training; of one process it says nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorldConfig {
    /// Seconds after which a process that does not answer ends the run of the others. While one of them writes a checkpoint or measures the others wait: it is
    /// longer than that takes.
    pub timeout: f64,
    /// ZeRO, stage 1: each process remembers the optimizer's moments of its part of the parameters only. Checkpoints hold all of them.
    pub zero: bool,
    /// Each process makes the contrastive losses of its own rows only, against the columns of all: less arithmetic where there are many, for a second exchange of
    /// the vectors' gradients. The same losses and gradients.
    pub local_loss: bool,
}

impl Default for WorldConfig {
    fn default() -> Self {
        // As PyTorch's process groups wait.
        Self { timeout: 1800.0, zero: false, local_loss: false }
    }
}

impl WorldConfig {
    /// # Errors
    /// A value that cannot work.
    pub(super) fn check(&self) -> Result<()> {
        if self.timeout.is_finite() && (1.0..=1e6).contains(&self.timeout) {
            return Ok(());
        }
        let message = format!("expected 1 to 1000000 seconds, found {}", self.timeout);
        Err(Error::setting("world.timeout", message))
    }

    /// How long is waited for another process.
    pub(crate) fn patience(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::from_secs(1800))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let check = |text: &str| toml::from_str::<WorldConfig>(text).unwrap().check();
        check("timeout = 5.5\nzero = true\nlocal_loss = true").unwrap();
        for bad in ["timeout = 0.0", "timeout = -3.0", "timeout = inf", "timeout = 1e12"] {
            let said = check(bad).unwrap_err().to_string();
            assert!(said.starts_with("world.timeout: expected 1 to 1000000 seconds"), "{said}");
        }
    }
}

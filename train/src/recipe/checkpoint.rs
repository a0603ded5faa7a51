//! `[checkpoint]`: when the state is saved, and how much of it is kept.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Saving.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Every so many steps, and at the end; 0: at the end only.
    pub every: u64,
    /// And whenever so many minutes have passed since the last one; 0: not by the clock.
    pub every_minutes: f64,
    /// How many of the last ones are kept to go on from: `last`, and `step-…` of those before it.
    pub keep_last: u64,
    /// How many of the best ones are kept to use: `best`, and `best-…` of those behind it.
    pub keep_best: u64,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 500, every_minutes: 0.0, keep_last: 1, keep_best: 1 }
    }
}

impl CheckpointConfig {
    /// # Errors
    /// A value that cannot work.
    pub(super) fn check(&self) -> Result<()> {
        let minutes = self.every_minutes;
        if !(minutes.is_finite() && minutes >= 0.0) {
            let message = format!("expected 0 or more minutes, found {minutes}");
            return Err(Error::setting("checkpoint.every_minutes", message));
        }
        for (key, kept) in [("keep_last", self.keep_last), ("keep_best", self.keep_best)] {
            if kept == 0 {
                return Err(Error::setting(format!("checkpoint.{key}"), "expected 1 or more, found 0"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused() {
        let check = |text: &str| toml::from_str::<CheckpointConfig>(text).unwrap().check();
        check("every_minutes = 0.5\nkeep_last = 3\nkeep_best = 2").unwrap();
        for (bad, key) in [
            ("every_minutes = -1.0", "every_minutes"),
            ("keep_last = 0", "keep_last"),
            ("keep_best = 0", "keep_best"),
        ] {
            assert!(check(bad).unwrap_err().to_string().starts_with(&format!("checkpoint.{key}: expected")));
        }
    }
}

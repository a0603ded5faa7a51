//! `[energy]`: what a kilowatt-hour costs the climate, and what is assumed where nothing measures.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What energy is counted as.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnergyConfig {
    /// Grams of CO2 equivalents of a kilowatt-hour from the grid; without it the world's mean.
    pub grid: f64,
    /// Watts of a busy thread, where the processors do not say what they take.
    pub watts_per_thread: f64,
    /// Watts of a busy GPU, where it does not say what it takes.
    pub watts_per_gpu: f64,
}

impl Default for EnergyConfig {
    fn default() -> Self {
        // Ember's Global Electricity Review 2025: 473 g in 2024. Server processors of the last years take 2 to 8 W a thread under load.
        Self { grid: 473.0, watts_per_thread: 5.0, watts_per_gpu: 300.0 }
    }
}

impl EnergyConfig {
    /// # Errors
    /// A value that cannot work.
    pub(super) fn check(&self) -> Result<()> {
        for (key, v) in [
            ("grid", self.grid),
            ("watts_per_thread", self.watts_per_thread),
            ("watts_per_gpu", self.watts_per_gpu),
        ] {
            if !(v.is_finite() && v >= 0.0) {
                return Err(Error::setting(
                    format!("energy.{key}"),
                    format!("expected 0 or more, found {v}"),
                ));
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
        let check = |text: &str| toml::from_str::<EnergyConfig>(text).unwrap().check();
        check("grid = 56").unwrap();
        for key in ["grid", "watts_per_thread", "watts_per_gpu"] {
            let said = check(&format!("{key} = -1.0")).unwrap_err().to_string();
            assert!(said.starts_with(&format!("energy.{key}: expected 0 or more")), "{said}");
        }
    }
}

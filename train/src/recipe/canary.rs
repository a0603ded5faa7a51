//! What a recipe says of abilities that a training should not cost: `[canary]`.

use serde::{Deserialize, Serialize};
use unisono_nn::params::matches;

/// Abilities that are measured before the first step and watched from there on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryConfig {
    /// Names of `[[evaluate]]` protocols, with `*` for any run of characters.
    pub evaluate: Vec<String>,
    /// Steps between measurements, which there is one of at the end too; 0: whenever the recipe evaluates.
    #[serde(default)]
    pub every: u64,
    /// How many points (hundredths) of its primary metric an ability may fall before there is a warning.
    #[serde(default = "two")]
    pub tolerance: f64,
}

fn two() -> f64 {
    2.0
}

impl CanaryConfig {
    /// Whether it watches the protocol of this name.
    pub(crate) fn watches(&self, protocol: &str) -> bool {
        self.evaluate.iter().any(|pattern| matches(pattern, protocol))
    }
}

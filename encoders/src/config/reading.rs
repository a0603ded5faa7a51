//! A classifier that says in words what an image tower sees.

use super::ClassifierConfig;
use serde::{Deserialize, Serialize};

/// What an image tower was trained to tell apart, read by the text tower: the vectors of the labels' texts, each weighted by its label's probability,
/// are summed (ConSE, Norouzi et al. 2014). The sum stands behind the pooled vector, and is added to what the projection gives, times a learned factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadingConfig {
    /// The classifier. Each label is a text, or several with commas between them, whose vectors' mean stands for it.
    pub classifier: ClassifierConfig,
    /// Its numbers are divided by this before they become probabilities: above 1 less sure, below it surer.
    pub temperature: f64,
}

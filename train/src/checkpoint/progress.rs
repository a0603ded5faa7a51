//! How far a run is: `training.json`.

use crate::Recipe;
use crate::clock::Clock;
use crate::watched::Watched;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The version of the training state. A reader refuses another.
pub const FORMAT_VERSION: u32 = 2;

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The layout's version.
    pub format_version: u32,
    /// Steps done.
    pub step: u64,
    /// Best score so far, and its step.
    pub best: Option<(f64, u64)>,
    /// Wall seconds of training so far.
    pub seconds: f64,
    /// Wall seconds by part of the loop.
    pub parts: BTreeMap<String, f64>,
    /// Floating-point operations of the steps so far.
    pub flops: f64,
    /// Samples so far.
    pub samples: u64,
    /// Steps that were left out, because a loss or a gradient was no finite number.
    #[serde(default)]
    pub left_out: u64,
    /// How many of them one after the other, up to now.
    #[serde(default)]
    pub left_out_in_a_row: u64,
    /// Energy so far, joules.
    #[serde(default)]
    pub joules: f64,
    /// What `micro = "auto"` came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro: Option<usize>,
    /// What the records of each manifest add up to.
    #[serde(default)]
    pub data: BTreeMap<PathBuf, String>,
    /// What the rows of each file of given vectors add up to: a teacher's, and those in place of media.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vectors: BTreeMap<PathBuf, String>,
    /// What was found of the abilities that are watched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canary: BTreeMap<String, Watched>,
    /// The recipe that the run follows.
    pub recipe: Recipe,
}

impl Progress {
    /// Where a run of `recipe` goes on that is as far as `before`, or begins.
    pub(crate) fn going_on(before: Option<Self>, recipe: &Recipe, data: BTreeMap<PathBuf, String>) -> Self {
        let recipe = recipe.clone();
        match before {
            Some(before) => Self { recipe, data, ..before },
            None => Self {
                format_version: FORMAT_VERSION,
                step: 0,
                best: None,
                seconds: 0.0,
                parts: BTreeMap::new(),
                flops: 0.0,
                samples: 0,
                left_out: 0,
                left_out_in_a_row: 0,
                joules: 0.0,
                micro: None,
                data,
                vectors: BTreeMap::new(),
                canary: BTreeMap::new(),
                recipe,
            },
        }
    }

    /// The same with the time that `clock` has measured since.
    pub(crate) fn after(&self, clock: &Clock) -> Self {
        Self { seconds: self.seconds + clock.total(), parts: clock.parts().clone(), ..self.clone() }
    }

    /// Of what does not depend on the clock: the state of a run that was stopped is, byte for byte, that of one that was not.
    pub(super) fn sum(&self) -> String {
        let Self { format_version, step, best, samples, .. } = self;
        let text = format!("{format_version} {step} {best:?} {samples}");
        Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
    }
}

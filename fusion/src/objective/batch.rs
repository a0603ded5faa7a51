//! What an objective sees of a batch, and what it makes of it.

use super::{Items, TowerTokens, View};
use std::collections::BTreeMap;
use tch::Tensor;
use unisono_encoders::{Modality, Pass};

/// What an objective sees of a batch.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Which items are no negatives of each other.
    pub items: &'a Items,
    /// Unit vectors by modality.
    pub views: &'a BTreeMap<Modality, View>,
    /// Tokens of the modalities that a fusion part attends to.
    pub tokens: &'a BTreeMap<Modality, TowerTokens>,
    /// By modality what leads from the student's vectors to a teacher's of another width, `[T, D]`; for a [`Distill`](super::Distill) of `features`.
    pub bridges: Option<&'a BTreeMap<Modality, Tensor>>,
    /// The token ids of each item's text, where it has one.
    pub texts: Vec<Option<&'a [i64]>>,
    /// How a fusion part runs; texts go through it in [`Pass::parts`] parts of like length.
    pub pass: Pass<'a>,
    /// What random draws are a function of.
    pub seed: u64,
    /// The step, likewise.
    pub step: u64,
}

/// One loss of a batch.
#[derive(Debug)]
pub struct Part {
    /// Its name in logs: `text_image`, `caption`.
    pub name: String,
    /// A scalar, in nats, its weight not in it.
    pub loss: Tensor,
    /// The factor with which it is added.
    pub weight: f64,
}

/// The losses of a batch.
#[derive(Debug)]
pub struct Losses {
    /// Their weighted sum, a scalar; `None` where no term found anything to learn from.
    pub total: Option<Tensor>,
    /// Each by itself, in the order in which they were added.
    pub parts: Vec<Part>,
    /// How the space looks, at some of the steps: `alignment/text_image`, `uniformity/text`. Nothing is learned by it.
    pub measures: Vec<(String, f64)>,
    /// Floating-point operations of a fusion part's forward pass, a lower bound.
    pub flops: f64,
}

impl Losses {
    /// Every loss and measure by its name.
    pub fn named(&self) -> Vec<(String, f64)> {
        let parts = self.parts.iter().map(|p| (p.name.clone(), p.loss.double_value(&[])));
        parts.chain(self.measures.iter().cloned()).collect()
    }
}

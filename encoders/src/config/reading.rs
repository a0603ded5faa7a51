//! A classifier that says in words what an image tower sees.

use super::{ClassifierConfig, ClassifierInput, ModelConfig, ProjectionConfig};
use crate::{Error, Modality, Result};
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

impl ReadingConfig {
    /// Width of what the classifier takes: what the first of the tower's poolings gives.
    pub(crate) fn width(&self, model: &ModelConfig) -> i64 {
        let tokens = model.image.as_ref().map_or(0, |image| image.token_width());
        match self.classifier.input {
            ClassifierInput::Pooled => {
                let first = model.image.as_ref().and_then(|image| image.pooling().each().first());
                first.map_or(tokens, |pooling| pooling.out_width(tokens))
            }
            ClassifierInput::FirstMean => tokens.saturating_mul(2),
            ClassifierInput::First | ClassifierInput::Mean => tokens,
        }
    }

    pub(super) fn validate(&self, model: &ModelConfig) -> Result<()> {
        const AT: &str = "reading";
        self.classifier.check(AT, model)?;
        if self.classifier.modality != Modality::Image || model.image.is_none() || model.text.is_none() {
            let message =
                "expected an image tower with its classifier, and a text tower that reads its labels";
            return Err(Error::config(AT, message));
        }
        if self.classifier.pair.is_some() || model.classifier.is_some() {
            let message = "expected a classifier of images, and no other beside it";
            return Err(Error::config(AT, message));
        }
        if model.image.as_ref().is_some_and(|image| image.projection() == ProjectionConfig::None) {
            let message = "what is read is added to what the image tower's projection gives: expected one";
            return Err(Error::config(AT, message));
        }
        if !(self.temperature > 0.0 && self.temperature <= 1000.0) {
            let message = format!("expected a number above 0 and at most 1000, found {}", self.temperature);
            return Err(Error::config(format!("{AT}.temperature"), message));
        }
        Ok(())
    }
}

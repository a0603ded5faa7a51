//! What a classifier over an image tower says, in words that the text tower has read.

use crate::classifier::Classifier;
use crate::clips::Tokens;
use crate::config::{ModelConfig, ReadingConfig};
use crate::towers::TowerOutput;
use crate::{Error, Result};
use tch::{Kind, Tensor};
use unisono_nn::{Init, Scope};

/// A classifier and what its labels are called in the shared space.
#[derive(Debug)]
pub(crate) struct Reading {
    classifier: Classifier,
    temperature: f64,
    /// Width of the pooled vector that the classifier takes.
    width: i64,
    /// `[K, D]`, of length 1.
    words: Tensor,
}

impl Reading {
    /// Under `scope`.
    ///
    /// # Errors
    /// The names are taken.
    pub fn new(scope: &Scope, c: &ReadingConfig, model: &ModelConfig) -> Result<Self> {
        let (width, labels) = (c.width(model), c.classifier.labels.len());
        let shape = [i64::try_from(labels).unwrap_or(i64::MAX), model.embed_dim];
        Ok(Self {
            classifier: Classifier::over(scope, &c.classifier, width, model)?,
            temperature: c.temperature,
            width,
            words: scope.buffer("words", &shape, Init::Const(0.0))?,
        })
    }

    /// Where the labels' vectors stand, `[K, D]`.
    pub fn words(&self) -> &Tensor {
        &self.words
    }

    /// The labels' vectors, each times its probability, summed `[B, D]` and put behind the pooled vectors `[B, W]`.
    pub fn read(&self, out: TowerOutput) -> Result<TowerOutput> {
        let pooled = tch::no_grad(|| {
            let tokens: Tokens = (out.tokens.shallow_clone(), out.mask.as_ref().map(Tensor::shallow_clone));
            let seen = out.pooled.f_narrow(-1, 0, self.width.min(out.pooled.size2()?.1))?;
            let logits = self.classifier.forward(&seen, Some(&tokens))?;
            let shares = logits.f_div_scalar(self.temperature)?.f_softmax(-1, Kind::Float)?;
            let read = shares.f_matmul(&self.words)?.f_to_kind(out.pooled.kind())?;
            Ok::<_, Error>(Tensor::f_cat(&[&out.pooled, &read], -1)?)
        })?;
        Ok(TowerOutput { pooled, ..out })
    }
}

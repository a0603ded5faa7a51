//! What a classifier over an image tower says, in words that the text tower has read.

use crate::classifier::Classifier;
use crate::clips::{Tokens, unit};
use crate::config::{ModelConfig, ReadingConfig};
use crate::towers::TowerOutput;
use crate::{Error, Modality, Model, Pass, Result};
use tch::{Kind, Tensor};
use unisono_nn::{Init, Scope};

/// Labels that go through the text tower at once.
const AT_ONCE: usize = 64;

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

impl Model {
    /// Has the text tower read the labels of the image tower's classifier ([`ReadingConfig`]).
    ///
    /// # Errors
    /// No text tower, or libtorch's.
    pub(crate) fn read_labels(&self) -> Result<()> {
        let (Some(config), Some(reading)) = (&self.config().reading, &self.reading) else { return Ok(()) };
        let parts = |label: &str| -> Vec<String> {
            let named = label.split(',').map(str::trim).filter(|part| !part.is_empty());
            named.map(str::to_owned).collect()
        };
        let labels: Vec<Vec<String>> = config.classifier.labels.iter().map(|label| parts(label)).collect();
        let processor = self.text_processor()?;
        let mut rows = Vec::new();
        tch::no_grad(|| {
            let all: Vec<&String> = labels.iter().flatten().collect();
            for texts in all.chunks(AT_ONCE) {
                let ids = texts.iter().map(|text| Ok(processor.encode(text)?)).collect::<Result<Vec<_>>>()?;
                let pooled = self.encode_texts(&ids, &Pass::EVAL, false)?.pooled;
                rows.push(unit(&self.project_raw(Modality::Text, &pooled)?)?);
            }
            if rows.is_empty() {
                return Ok(());
            }
            let (read, mut at) = (Tensor::f_cat(&rows, 0)?, 0);
            for (row, label) in (0..).zip(&labels).filter(|(_, label)| !label.is_empty()) {
                let n = i64::try_from(label.len()).unwrap_or(0);
                let mean = read.f_narrow(0, at, n)?.f_mean_dim([0i64].as_slice(), true, Kind::Float)?;
                reading.words.f_narrow(0, row, 1)?.f_copy_(&unit(&mean)?)?;
                at += n;
            }
            Ok(())
        })
    }
}

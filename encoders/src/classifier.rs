//! A small head over one tower, for what it was trained to tell apart.

use crate::clips::Tokens;
use crate::config::{ClassifierConfig, ClassifierInput, ModelConfig};
use crate::pool::mean;
use crate::{Error, Result};
use tch::Tensor;
use unisono_nn::{Activation, Init, LayerNorm, Linear, Scope};

/// The layers.
#[derive(Debug)]
pub(crate) struct Classifier {
    input: ClassifierInput,
    /// Tokens of the tower that are no input's.
    prefix: i64,
    norm: Option<LayerNorm>,
    hidden: Option<(Linear, Activation)>,
    linear: Linear,
    /// `[W]`: of the second text of a pair.
    second: Option<Tensor>,
}

impl Classifier {
    pub fn new(scope: &Scope, c: &ClassifierConfig, model: &ModelConfig) -> Result<Self> {
        Self::over(scope, c, c.width(model)?, model)
    }

    /// Over vectors of `width` numbers.
    pub fn over(scope: &Scope, c: &ClassifierConfig, width: i64, model: &ModelConfig) -> Result<Self> {
        let norm = c.norm_eps.map(|eps| LayerNorm::new(&scope.child("norm"), width, eps)).transpose()?;
        let std = (width as f64).powf(-0.5);
        let hidden = match c.hidden {
            Some(after) => Some((Linear::new(&scope.child("hidden"), width, width, true, std)?, after)),
            None => None,
        };
        let second = match c.pair {
            Some(pair) if pair.segments => {
                Some(scope.param("second", &[model.text_width()], Init::Normal(0.02))?)
            }
            _ => None,
        };
        let labels = i64::try_from(c.labels.len()).unwrap_or(i64::MAX);
        Ok(Self {
            input: c.input,
            prefix: model.prefix(c.modality),
            norm,
            hidden,
            linear: Linear::new(&scope.child("linear"), width, labels, true, std)?,
            second,
        })
    }

    /// What is added to the embeddings of the second text of a pair, `[W]`.
    pub fn second(&self) -> Option<&Tensor> {
        self.second.as_ref()
    }

    /// Whether it looks at tokens.
    pub fn wants_tokens(&self) -> bool {
        self.input != ClassifierInput::Pooled
    }

    /// What a tower makes of a batch → `[B, K]`.
    pub fn forward(&self, pooled: &Tensor, tokens: Option<&Tokens>) -> Result<Tensor> {
        let others = || {
            let (x, mask) =
                tokens.ok_or_else(|| Error::Input("a classifier over tokens, without any".into()))?;
            let n = x.size3()?.1 - self.prefix;
            let mask = mask.as_ref().map(|m| m.f_narrow(1, self.prefix, n)).transpose()?;
            Ok::<_, Error>((x.f_select(1, 0)?, mean(&x.f_narrow(1, self.prefix, n)?, mask.as_ref())?))
        };
        let x = match self.input {
            ClassifierInput::Pooled => pooled.shallow_clone(),
            ClassifierInput::First => others()?.0,
            ClassifierInput::Mean => others()?.1,
            ClassifierInput::FirstMean => {
                let (first, mean) = others()?;
                Tensor::f_cat(&[first, mean], 1)?
            }
        };
        let x = match &self.norm {
            Some(norm) => norm.forward(&x)?,
            None => x,
        };
        let x = match &self.hidden {
            Some((layer, activation)) => activation.forward(&layer.forward(&x)?)?,
            None => x,
        };
        Ok(self.linear.forward(&x)?)
    }
}

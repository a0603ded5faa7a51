//! Inputs → numbers for the labels that a model was trained on.

use crate::classifier::Classifier;
use crate::config::ClassifierConfig;
use crate::features::Input;
use crate::towers::TowerOutput;
use crate::{Error, Model, Pass, Result};
use tch::Tensor;

impl Model {
    /// What it was trained to tell apart, where it has a head for that.
    pub fn classifier(&self) -> Option<&ClassifierConfig> {
        self.config().classifier.as_ref()
    }

    fn head(&self) -> Result<(&ClassifierConfig, &Classifier)> {
        let both = self.classifier().zip(self.classifier.as_ref());
        both.ok_or_else(|| Error::Input("this model has no classifier: it was not trained on labels".into()))
    }

    /// What the classifier makes of inputs of its modality, in their order → `[N, K]`, without a graph, a number for each of its labels.
    /// [`Score`](crate::config::Score) says what they mean.
    ///
    /// # Errors
    /// No classifier, an input of another modality, or as [`features`](Self::features).
    pub fn class_logits<'a, I>(&self, inputs: I) -> Result<Tensor>
    where
        I: IntoIterator,
        I::Item: Into<Input<'a>>,
    {
        let (config, head) = self.head()?;
        let inputs: Vec<Input> = inputs.into_iter().map(Into::into).collect();
        if let Some(other) = inputs.iter().map(Input::modality).find(|m| *m != config.modality) {
            let own = config.modality;
            return Err(Error::Input(format!(
                "the classifier's modality is {own}, found an input of {other}"
            )));
        }
        tch::no_grad(|| {
            let mut features = self.run(&inputs, &Pass::EVAL, head.wants_tokens())?;
            let of = features.towers.remove(&config.modality);
            let of = of.ok_or_else(|| Error::Input("nothing to classify".into()))?;
            head.forward(&of.pooled, of.tokens.first())
        })
    }

    /// [`class_logits`](Self::class_logits) of what the classifier's tower has made of a batch.
    ///
    /// # Errors
    /// No classifier, or libtorch's.
    pub fn class_logits_of(&self, out: &TowerOutput) -> Result<Tensor> {
        let tokens = (out.tokens.shallow_clone(), out.mask.as_ref().map(Tensor::shallow_clone));
        self.head()?.1.forward(&out.pooled, Some(&tokens))
    }
}

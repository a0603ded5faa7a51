//! Classification by what a model was trained to tell apart.

use super::{Classified, Guess, best};
use crate::embed::{ROUND, possible};
use crate::pipeline::{Batch, Outcome, Pipeline, Round, Sink};
use crate::{EmbedOptions, Embedder, Error, Flow, Listing, Modality, Progress, Result, Skip};
use unisono_encoders::config::Score;

/// Classifies images or audio files by the model's own labels, the `top` best each. Files that cannot be used come back beside.
///
/// # Errors
/// A model without labels of its own, or whose labels are of texts; a regression, which has no probabilities; and as
/// [`embed`](crate::embed).
pub fn classify_by_own_labels(
    embedder: &Embedder,
    listing: Listing,
    top: usize,
    options: &EmbedOptions,
    progress: &mut dyn FnMut(Progress) -> Flow,
) -> Result<(Vec<Classified>, Vec<Skip>)> {
    let model = embedder.model();
    let Some(classifier) = model.classifier() else {
        return Err(Error::Input("this model has no labels of its own: expected labels".into()));
    };
    if classifier.modality == Modality::Text {
        return Err(Error::Input(
            "this model's own labels are of texts; expected labels of images or audio files".into(),
        ));
    }
    let sigmoid = match classifier.score {
        Score::Softmax => false,
        Score::Sigmoid => true,
        Score::Raw => {
            let message = "this model's head is a regression: its numbers are no probabilities of labels";
            return Err(Error::Input(message.into()));
        }
    };
    possible(embedder, &listing.items)?;
    let labels = &classifier.labels;
    let mut engine = |batch: Batch, _: &mut dyn FnMut() -> Flow| -> Result<Vec<Outcome<Vec<Guess>>>> {
        let logits = unisono_encoders::to_vec(&model.class_logits(&batch.inputs)?)?;
        if logits.iter().any(|v| !v.is_finite()) {
            return Err(Error::Input("the model's logits are not finite: its weights are broken".into()));
        }
        let rows = logits.chunks(labels.len().max(1));
        let guesses = |row: &[f32]| best(row.iter().map(|l| f64::from(*l)).collect(), labels, sigmoid, top);
        Ok(rows.map(|row| Ok(guesses(row))).collect())
    };
    let contract = embedder.contract()?;
    let pipeline = Pipeline { stage: "classify", contract, options, round: ROUND, weigh: |_| 1 };
    let mut found = Found(Vec::new());
    let skipped = pipeline.run(&listing, &mut engine, &mut found, progress)?;
    Ok((found.0, skipped))
}

struct Found(Vec<Classified>);

impl Sink<Vec<Guess>> for Found {
    fn keep(&mut self, round: Round<'_, Vec<Guess>>) -> Result<()> {
        let all = round.items.iter().zip(round.outcomes);
        self.0
            .extend(all.filter_map(|(item, of)| Some(Classified { id: item.id.clone(), guesses: of.ok()? })));
        Ok(())
    }
}

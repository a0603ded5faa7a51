//! Do a text and an image, audio file, video or other text belong together?

use super::{Task, tokens};
use crate::{Batch, Error, Flow, Outcome, Result};
use serde::Serialize;
use unisono_fusion::{Ability, FusionModel};

/// Say how probable it is that each text and each image, audio, video or other text belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The texts.
    pub texts: Vec<String>,
}

/// What each text has to do with an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matches {
    /// In the order of the texts.
    pub matches: Vec<Matched>,
}

/// A text and an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    /// The text.
    pub text: String,
    /// How well they belong together.
    #[serde(flatten)]
    pub fit: Fit,
}

/// How well a text and an item belong together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// How probable it is.
    Probability(f64),
    /// A number without bounds, larger where they belong together more: of a model that compares texts and says that its numbers are so.
    Score(f64),
}

impl Fit {
    /// The number.
    pub fn number(self) -> f64 {
        match self {
            Self::Probability(number) | Self::Score(number) => number,
        }
    }
}

impl Task for Match {
    type Value = Matches;
    const STAGE: &'static str = "match";
    const ABILITY: Ability = Ability::Match;

    fn check(&self, model: &FusionModel) -> Result<()> {
        self.texts.iter().try_for_each(|text| Ok(model.fits("a text", text)?))
    }

    fn settings(&self) -> String {
        format!("{:?}", self.texts)
    }

    fn run(
        &mut self,
        model: &FusionModel,
        batch: Batch<'_>,
        _: &mut dyn FnMut() -> Flow,
    ) -> Result<Vec<Outcome<Matches>>> {
        if model.towers().compares_texts() {
            return self.texts(model, &batch);
        }
        let count = batch.items.len();
        let tokens = tokens(model, batch.inputs)?;
        let mut rows = vec![Matches { matches: Vec::with_capacity(self.texts.len()) }; count];
        for text in &self.texts {
            for (row, p) in rows.iter_mut().zip(model.matches(&vec![text; count], &tokens)?) {
                row.matches.push(Matched { text: text.clone(), fit: Fit::Probability(p.into()) });
            }
        }
        Ok(rows.into_iter().map(Ok).collect())
    }
}

impl Match {
    /// Each text, as the first one, with each item's text.
    fn texts(&self, model: &FusionModel, batch: &Batch<'_>) -> Result<Vec<Outcome<Matches>>> {
        let processor = model.text()?;
        let mut rows: Vec<Outcome<Matches>> = Vec::with_capacity(batch.items.len());
        let mut pairs = Vec::with_capacity(batch.items.len() * self.texts.len());
        for item in &batch.items {
            let other = item.text.as_deref().unwrap_or_default();
            let each = self.texts.iter().map(|text| processor.encode_pair(text, other));
            match each.collect::<std::result::Result<Vec<_>, _>>() {
                Ok(each) => {
                    pairs.extend(each);
                    rows.push(Ok(Matches { matches: Vec::with_capacity(self.texts.len()) }));
                }
                Err(e) => rows.push(Err(e.to_string())),
            }
        }
        let mut numbers = Vec::with_capacity(pairs.len());
        // As many at once as there are items in a batch, however many texts there are.
        for part in pairs.chunks(batch.items.len().max(1)) {
            numbers.extend(model.compare(part)?);
        }
        if numbers.iter().any(|n| !n.is_finite()) {
            return Err(Error::Input("the model's scores are not finite: its weights are broken".into()));
        }
        let probable = model.gives_probabilities();
        let mut numbers = numbers.into_iter().map(f64::from);
        for row in rows.iter_mut().flatten() {
            for text in &self.texts {
                let number = numbers.next().unwrap_or_default();
                let fit = if probable { Fit::Probability(number) } else { Fit::Score(number) };
                row.matches.push(Matched { text: text.clone(), fit });
            }
        }
        Ok(rows)
    }
}

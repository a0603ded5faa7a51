//! Do a text and an image, audio file or video belong together?

use super::{Task, tokens};
use crate::{Batch, Flow, Outcome, Result};
use serde::Serialize;
use unisono_fusion::{Ability, FusionModel};

/// Say how probable it is that each text and each image, audio or video belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The texts.
    pub texts: Vec<String>,
}

/// What each text has to do with a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matches {
    /// In the order of the texts.
    pub matches: Vec<Matched>,
}

/// A text and a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matched {
    /// The text.
    pub text: String,
    /// How probable it is that they belong together.
    pub probability: f64,
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
        let count = batch.items.len();
        let tokens = tokens(model, batch.inputs)?;
        let mut rows = vec![Matches { matches: Vec::with_capacity(self.texts.len()) }; count];
        for text in &self.texts {
            for (row, p) in rows.iter_mut().zip(model.matches(&vec![text; count], &tokens)?) {
                row.matches.push(Matched { text: text.clone(), probability: p.into() });
            }
        }
        Ok(rows.into_iter().map(Ok).collect())
    }
}

//! Abilities that a checkpoint had before a run, measured again while it is trained further.

use crate::evaluate::Evaluation;
use crate::events::Event;
use crate::recipe::CanaryConfig;
use crate::watched::{CanaryLine, Watched, warning};
use crate::world::World;
use crate::{Learner, Recipe, Result};
use std::collections::BTreeMap;
use unisono_eval::protocol::Outcome;

/// Watches what the recipe names; nothing where it names nothing.
#[derive(Debug, Default)]
pub(crate) struct Canary<'a> {
    config: Option<&'a CanaryConfig>,
    figures: BTreeMap<String, Watched>,
}

impl<'a> Canary<'a> {
    /// Goes on from `before`.
    pub(crate) fn new(recipe: &'a Recipe, before: &BTreeMap<String, Watched>) -> Self {
        Self { config: recipe.canary.as_ref(), figures: before.clone() }
    }

    /// The figures by protocol.
    pub(crate) fn figures(&self) -> &BTreeMap<String, Watched> {
        &self.figures
    }

    /// Looks where it is time to: before the first step, every so many, at the end, and at what was measured of this step anyway.
    ///
    /// # Errors
    /// As [`Evaluation::measure`].
    pub(crate) fn look(
        &mut self,
        evaluation: &mut Evaluation,
        known: Option<&BTreeMap<String, Outcome>>,
        model: &Learner,
        ((step, seconds), last): ((u64, f64), bool),
        world: &World,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Option<CanaryLine>> {
        let Some(config) = self.config else { return Ok(None) };
        let due = last || step == 0 || config.every > 0 && step.is_multiple_of(config.every);
        let outcomes: BTreeMap<String, Outcome> = match known {
            Some(known) => known.iter().map(|(name, outcome)| (name.clone(), outcome.clone())).collect(),
            None if due => evaluation.measure(model, &|name| config.watches(name), world, tell)?,
            None => return Ok(None),
        };
        let outcomes: BTreeMap<String, Outcome> =
            outcomes.into_iter().filter(|(name, _)| config.watches(name)).collect();
        for (name, outcome) in &outcomes {
            let value = outcome.value(&outcome.primary).unwrap_or_default();
            let begin = || Watched {
                metric: outcome.primary.clone(),
                start: value,
                last: value,
                lowest: value,
                at: step,
                fell: false,
            };
            let watched = self.figures.entry(name.clone()).or_insert_with(begin);
            watched.see(value, step, config.tolerance);
            if watched.fell {
                tell(Event::Note(warning(name, watched, step, config.tolerance)));
            }
        }
        Ok(Some(CanaryLine { step, figures: self.figures.clone(), outcomes, seconds }))
    }
}

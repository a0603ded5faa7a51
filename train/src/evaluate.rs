//! What is measured while training, and which checkpoint is the best one.

use crate::events::Event;
use crate::features::of_trunk;
use crate::recipe::Best;
use crate::setup::Sources;
use crate::step::frozen;
use crate::tracking::EvalLine;
use crate::world::World;
use crate::{Error, Learner, Recipe, Result};
use std::collections::{BTreeMap, BTreeSet};
use unisono_encoders::Modality;
use unisono_eval::memo::Memo;
use unisono_eval::protocol::{Outcome, Reading, Task};

/// The evaluations of a run.
#[derive(Debug, Default)]
pub(crate) struct Evaluation {
    tasks: Vec<Task>,
    best: Option<Best>,
    /// Records that were left out and named.
    named: BTreeSet<String>,
}

impl Evaluation {
    /// Lists what `recipe` measures.
    ///
    /// # Errors
    /// A protocol over nothing, or one that this model cannot be measured by.
    pub(crate) fn new(
        recipe: &Recipe,
        model: &Learner,
        sources: &mut Sources,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Self> {
        // What frozen towers make of an evaluation's media is the same each time.
        let towers: BTreeSet<Modality> = frozen(model.towers(), of_trunk).into_iter().collect();
        let memo = Memo::of_towers(towers.into_iter().filter(|m| *m != Modality::Video).collect());
        let reading = Reading { limits: recipe.limits, memo: Some(&memo), ..Reading::default() };
        let mut tasks = Vec::with_capacity(recipe.evaluate.len());
        for protocol in &recipe.evaluate {
            let source = sources.get(protocol.source())?;
            let task = protocol.task(&*source, model.models(), &reading).map_err(|e| {
                // Of several protocols it is said which one cannot be followed.
                match e.protocol() {
                    Some(_) => e.into(),
                    None => Error::setting(format!("evaluate.{}", protocol.name()), e.to_string()),
                }
            })?;
            tell(Event::Note(format!("evaluation {}: {task}", task.name())));
            tasks.push(task);
        }
        Ok(Self { tasks, best: recipe.best()?, named: BTreeSet::new() })
    }

    /// Measures `model`; records that cannot be used are named once.
    ///
    /// # Errors
    /// Nothing that can be used, or libtorch's.
    pub(crate) fn run(
        &mut self,
        model: &Learner,
        (step, seconds): (u64, f64),
        world: &World,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Option<EvalLine>> {
        let Some(best) = self.best.clone() else { return Ok(None) };
        let outcomes = self.measure(model, &|_| true, world, tell)?;
        let score = best.score(&outcomes);
        Ok(Some(EvalLine { step, score, by: best.to_string(), outcomes, seconds }))
    }

    /// What the protocols whose names are `wanted` find. Each is followed by one of the ranks, and all learn of it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn measure(
        &mut self,
        model: &Learner,
        wanted: &dyn Fn(&str) -> bool,
        world: &World,
        tell: &mut dyn FnMut(Event),
    ) -> Result<BTreeMap<String, Outcome>> {
        let mut outcomes = BTreeMap::new();
        let all = self.tasks.iter().filter(|task| wanted(task.name()));
        let own = all.enumerate().filter(|(i, _)| i % world.size() == world.rank());
        for (_, task) in own {
            let mut skipped = Vec::new();
            let outcome = task.measure(model.models(), &mut skipped);
            for skip in skipped.iter().filter(|s| self.named.insert(s.id.clone())) {
                tell(Event::Skipped(skip));
            }
            outcomes.insert(task.name().to_owned(), outcome?);
        }
        Ok(if world.is_alone() { outcomes } else { world.gather(&outcomes)?.into_iter().flatten().collect() })
    }

    /// Whether a smaller score is a better one.
    pub(crate) fn less_is_better(&self) -> bool {
        self.best.as_ref().is_some_and(Best::less_is_better)
    }

    /// Whether a score is better than the best one before.
    pub(crate) fn is_better(&self, score: f64, before: Option<(f64, u64)>) -> bool {
        let less = self.less_is_better();
        before.is_none_or(|(before, _)| if less { score < before } else { score > before })
    }
}

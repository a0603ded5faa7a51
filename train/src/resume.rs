//! Whether a run may begin in its directory, or go on there.

use crate::checkpoint::{self, Progress};
use crate::events::Options;
use crate::{Error, Recipe, Result, folder};
use std::path::Path;

/// What the directory holds, and whether this run may use it.
pub(crate) fn begin(recipe: &Recipe, run: &Path, options: Options) -> Result<Option<Progress>> {
    if options.fresh {
        folder::clear(run)?;
        return Ok(None);
    }
    let Some(progress) = checkpoint::progress(run)? else { return Ok(None) };
    let refuse = |message: String| Err(Error::Run { path: run.to_owned(), message });
    if !options.resume {
        let step = progress.step;
        return refuse(format!(
            "holds a run at step {step}; go on with --resume, begin again with --fresh, or choose another --out"
        ));
    }
    if recipe.steps < progress.step {
        let (step, steps) = (progress.step, recipe.steps);
        return refuse(format!("is at step {step} already: expected steps = {step} or more, found {steps}"));
    }
    if let Some(key) = difference(&progress.recipe, recipe) {
        return refuse(format!(
            "its run follows another recipe (`{key}` differs): an exact resumption needs the same one; {}",
            "use its recipe.toml, or begin again with --fresh"
        ));
    }
    Ok(Some(progress))
}

/// What is said of a run that goes on.
pub(crate) fn describe(before: Option<&Progress>, recipe: &Recipe) -> Vec<String> {
    let (Some(before), steps) = (before, recipe.steps) else { return Vec::new() };
    let mut notes = vec![format!("resumed at step {} of {steps}", before.step)];
    if before.recipe.steps != steps {
        let was = before.recipe.steps;
        notes.push(format!(
            "the run was to have {was} steps: from here on the learning rate is that of {steps}"
        ));
    }
    notes
}

/// The first top-level key in which two recipes differ, of those that change the result.
fn difference(a: &Recipe, b: &Recipe) -> Option<String> {
    let table = |r: &Recipe| toml::Table::try_from(r).unwrap_or_default();
    let (a, b) = (table(a), table(b));
    // How often it saves and how many workers read does not change what is learned. More steps are a longer run: what was learned so
    // far stays, and from here on the schedule is the new one's.
    let free = ["checkpoint", "loader", "device", "threads", "report", "steps"];
    a.keys().chain(b.keys()).find(|k| !free.contains(&k.as_str()) && a.get(*k) != b.get(*k)).cloned()
}

//! Whether a run may begin in its directory, or go on there.

use crate::checkpoint::{self, Progress};
use crate::events::{Event, Options};
use crate::world::World;
use crate::{Error, Recipe, Result, folder};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use unisono_encoders::Params;

/// A run that is started again, because one of its processes died, goes on from its last checkpoint, whatever it was told at first.
pub(crate) fn going_on<'a>(world: &World, options: Options<'a>) -> Options<'a> {
    if world.is_restarted() { Options { resume: true, fresh: false, ..options } } else { options }
}

/// What the directory holds, and whether this run may use it.
pub(crate) fn begin(
    recipe: &Recipe,
    run: &Path,
    options: Options,
    tell: &mut dyn FnMut(Event),
) -> Result<Option<Progress>> {
    if options.fresh {
        folder::clear(run)?;
        return Ok(None);
    }
    let Some(found) = checkpoint::newest(run)? else { return Ok(None) };
    let progress = &found.progress;
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
    for damaged in &found.damaged {
        let step = progress.step;
        tell(Event::Note(format!("{damaged}: the checkpoint of step {step} is used in its place")));
    }
    checkpoint::settle(run, &found)?;
    Ok(Some(found.progress))
}

/// What is said of a run that goes on.
pub(crate) fn describe(
    before: Option<&Progress>,
    recipe: &Recipe,
    data: &BTreeMap<PathBuf, String>,
) -> Vec<String> {
    let (Some(before), steps) = (before, recipe.steps) else { return Vec::new() };
    let mut notes = vec![format!("resumed at step {} of {steps}", before.step)];
    if before.recipe.steps != steps {
        let was = before.recipe.steps;
        notes.push(format!(
            "the run was to have {was} steps: from here on the learning rate is that of {steps}"
        ));
    }
    for (path, was) in &before.data {
        if data.get(path).is_some_and(|now| now != was) {
            notes.push(format!(
                "{}: its records are not those of before: what follows is no exact resumption",
                path.display()
            ));
        }
    }
    notes
}

/// Refuses ranks that would begin with something else than the first of them: another recipe, other records, another checkpoint.
///
/// # Errors
/// The rank, and in what it differs.
pub(crate) fn same_start(
    world: &World,
    recipe: &Recipe,
    (step, data): (u64, &BTreeMap<PathBuf, String>),
    trained: &Params,
) -> Result<()> {
    if world.is_alone() {
        return Ok(());
    }
    let mut sum = 0.0;
    for (_, p) in trained.iter() {
        let of = p.tensor.f_detach()?.f_to_kind(tch::Kind::Double)?;
        sum += of.f_sum(tch::Kind::Double)?.double_value(&[])
            + of.f_square()?.f_sum(tch::Kind::Double)?.double_value(&[]);
    }
    let data: Vec<&String> = data.values().collect();
    let own = [
        ("recipe", recipe.to_toml()?),
        ("records", format!("{data:?}")),
        ("checkpoint, of step", step.to_string()),
        ("weights, which add up to", format!("{sum:.6e}")),
    ];
    let own = own.map(|(what, said)| (what.to_owned(), said));
    let all = world.gather(&own.to_vec())?;
    for (rank, theirs) in all.iter().enumerate() {
        for ((what, ours), (_, said)) in all.first().into_iter().flatten().zip(theirs) {
            if ours != said {
                let short = |text: &str| text.chars().take(60).collect::<String>();
                let message = match what.as_str() {
                    "recipe" | "records" => {
                        format!("rank {rank} has other {what} than rank 0: give all processes the same files")
                    }
                    _ => format!(
                        "rank {rank} begins with another {what} {} than rank 0, whose is {}: is --out on a file system that all machines share?",
                        short(said),
                        short(ours)
                    ),
                };
                return Err(Error::World { message });
            }
        }
    }
    Ok(())
}

/// Refuses a run that would go on after other vectors than those that it began with. States of before they were kept know none.
///
/// # Errors
/// The file, and what to do.
pub(crate) fn same_vectors(
    before: &BTreeMap<PathBuf, String>,
    now: &BTreeMap<PathBuf, String>,
) -> Result<()> {
    match now.iter().find(|(path, sum)| before.get(*path).is_some_and(|was| was != *sum)) {
        Some((path, _)) => Err(Error::Run {
            path: path.clone(),
            message: "its vectors are not those that the run began with: put them back, or begin again with --fresh".into(),
        }),
        None => Ok(()),
    }
}

/// The first top-level key in which two recipes differ, of those that change the result.
fn difference(a: &Recipe, b: &Recipe) -> Option<String> {
    let table = |r: &Recipe| {
        let mut recipe = r.clone();
        let o = &mut recipe.optimizer;
        // A default that is written out is the same; and how often a run may stumble says nothing of its steps so far.
        (o.betas, o.eps) = (Some(o.betas()), Some(o.eps()));
        (o.non_finite, o.max_skipped) = Default::default();
        toml::Table::try_from(recipe).unwrap_or_default()
    };
    let (a, b) = (table(a), table(b));
    // How often it saves, how many workers read and what is computed twice does not change what is learned. More steps are a longer run: what was learned so
    // far stays, and from here on the schedule is the new one's.
    let free = [
        "activation_checkpointing",
        "checkpoint",
        "energy",
        "loader",
        "device",
        "threads",
        "report",
        "steps",
        "world",
    ];
    a.keys().chain(b.keys()).find(|k| !free.contains(&k.as_str()) && a.get(*k) != b.get(*k)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::NonFinite;

    fn recipe(steps: u64, more: &str) -> Recipe {
        let text = format!(
            "seed = 1\nsteps = {steps}\ninit = \"run\"\nobjective = [{{ kind = \"contrastive\" }}]\ndata = []\n{more}\n[optimizer]\nlr = 1.0\n"
        );
        Recipe::parse(&text, Path::new("r.toml")).unwrap()
    }

    #[test]
    fn what_changes_no_result_may_change() {
        let before = recipe(10, "");
        for (more, differs) in [
            ("device = \"cpu\"\nthreads = 3\nactivation_checkpointing = true", None),
            ("[loader]\nworkers = 5\n[checkpoint]\nevery = 1", None),
            ("[energy]\ngrid = 50", None),
            ("evaluate_every = 5", Some("evaluate_every")),
            ("[augment.image]\nflip = 0.5", Some("augment")),
        ] {
            assert_eq!(difference(&before, &recipe(20, more)).as_deref(), differs, "{more}");
        }
        let mut now = recipe(10, "");
        (now.optimizer.betas, now.optimizer.non_finite) = (Some([0.9, 0.98]), NonFinite::Skip);
        assert_eq!(difference(&before, &now), None);
        now.optimizer.betas = Some([0.9, 0.99]);
        assert_eq!(difference(&before, &now).as_deref(), Some("optimizer"));
    }

    #[test]
    fn vectors_that_are_others_are_refused() {
        let sums = |sum: &str| BTreeMap::from([(PathBuf::from("taught/text.safetensors"), sum.to_owned())]);
        same_vectors(&sums("a"), &sums("a")).unwrap();
        same_vectors(&BTreeMap::new(), &sums("a")).unwrap();
        let said = same_vectors(&sums("a"), &sums("b")).unwrap_err().to_string();
        assert!(said.starts_with("taught/text.safetensors: its vectors are not those"), "{said}");
    }

    #[test]
    fn a_run_that_goes_on_is_told_what_is_new() {
        let sums = |sum: &str| BTreeMap::from([(PathBuf::from("m.jsonl"), sum.to_owned())]);
        let mut before = Progress::going_on(None, &recipe(10, ""), sums("a"));
        before.step = 4;
        let told =
            |before: &Progress, steps, sum: &str| describe(Some(before), &recipe(steps, ""), &sums(sum));
        assert_eq!(told(&before, 10, "a"), ["resumed at step 4 of 10"]);
        let all = told(&before, 12, "b");
        assert!(all[1].contains("was to have 10 steps") && all[1].ends_with("that of 12"), "{all:?}");
        assert!(all[2].starts_with("m.jsonl: its records are not those of before"), "{all:?}");
        assert!(describe(None, &recipe(10, ""), &sums("a")).is_empty());
        // Of a run that was begun before records had a sum nothing is known.
        before.data.clear();
        assert_eq!(told(&before, 10, "b").len(), 1);
    }
}

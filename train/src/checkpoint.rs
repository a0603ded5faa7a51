//! Checkpoints: `last/` to go on from, `best/` to use. A directory is whole under its name or not there.
//!
//! `last/` is a model directory (the weights that are evaluated) with `training.safetensors` (the weights that are trained, the
//! optimizer's moments) and `training.json` (the step, the recipe, sums over the other files). Random numbers and the data's order are functions of
//! the seed and the step, so nothing else is needed to go on exactly. `step-…` are earlier ones of the same form; `best-…` are
//! models, as `best` is.

mod kept;
mod progress;
mod whole;

pub use kept::Chosen;
pub(crate) use kept::is_ours;
pub use progress::{FORMAT_VERSION, Progress};
use unisono_encoders::Params;
pub use unisono_encoders::model_dir;

use crate::learner::Learner;
use crate::optimizer::Optimizer;
use crate::recipe::CheckpointConfig;
use crate::{Error, Result};
use kept::{EVALUATION, STATE};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tch::Tensor;
use unisono_files::{Budget, folder_beside, left_beside, only_holds, read_json, replace_folder, write_json};
use unisono_nn::tensors;
use whole::PROGRESS;

/// The key in the state's metadata that holds a sum over the progress: the two of different steps are not taken for one run's.
const SUM: &str = "unisono.progress";

/// `run/last`.
pub fn last(run: &Path) -> PathBuf {
    run.join("last")
}

/// `run/best`.
pub fn best(run: &Path) -> PathBuf {
    run.join("best")
}

/// Writes the state of a run as `run/last`: what is trained, and what the optimizer remembers of it. Of those before it so many stay, as `run/step-…`, as `config` keeps.
///
/// # Errors
/// No space, no permission; the checkpoint before stays.
pub fn save(
    run: &Path,
    config: &CheckpointConfig,
    progress: &Progress,
    evaluated: &Learner,
    (trained, remembered): (&Params, &[(String, Tensor)]),
) -> Result<()> {
    let step = |dir: &Path| -> Option<u64> {
        let value: serde_json::Value = read_json(&dir.join(PROGRESS), &Budget::CONFIG).ok()?;
        value.get("step")?.as_u64()
    };
    let aside = |old: &Path| match step(old) {
        // A run that went on may write a step anew.
        Some(step) if config.keep_last > 1 && step < progress.step => {
            kept::rename(old, &kept::at(run, "step", step))
        }
        _ => only_holds(old, is_ours).is_ok(),
    };
    replace(&last(run), aside, |dir| {
        evaluated.save(dir)?;
        let mut state: Vec<(String, Tensor)> =
            trained.iter().map(|(n, p)| (format!("param.{n}"), p.tensor.shallow_clone())).collect();
        state.extend(remembered.iter().map(|(name, t)| (name.clone(), t.shallow_clone())));
        let metadata = HashMap::from([(SUM.to_owned(), progress.sum())]);
        tensors::write(&dir.join(STATE), &state, metadata)?;
        // Last: a directory that has it is whole.
        whole::seal(dir, progress)
    })?;
    let beyond = usize::try_from(config.keep_last).unwrap_or(usize::MAX).saturating_sub(1);
    kept::all(run, "step").iter().skip(beyond).try_for_each(|(_, dir)| kept::remove(dir))
}

/// Writes `model` as `run/best` where its score is the `best` so far; the one before it, and others that are among the best that `config` keeps,
/// are `run/best-…`. `less`: a smaller score is a better one.
///
/// # Errors
/// As [`save`].
pub fn save_best(
    run: &Path,
    config: &CheckpointConfig,
    model: &Learner,
    chosen: &Chosen,
    (best_so_far, less): (bool, bool),
) -> Result<()> {
    let others = usize::try_from(config.keep_best).unwrap_or(usize::MAX).saturating_sub(1);
    let fill = |dir: &Path| {
        model.save(dir)?;
        Ok(write_json(&dir.join(EVALUATION), chosen)?)
    };
    let ours = |old: &Path| only_holds(old, is_ours).is_ok();
    if best_so_far {
        let aside = |old: &Path| match kept::chosen(old) {
            Some(was) if others > 0 && was.step < chosen.step => {
                kept::rename(old, &kept::at(run, "best", was.step))
            }
            _ => ours(old),
        };
        replace(&best(run), aside, fill)?;
    }
    if others == 0 && best_so_far {
        return Ok(());
    }
    // Of a run that went on from an earlier step there may be later ones: they come again.
    let (mut ranked, mut stale) = (Vec::new(), Vec::new());
    for (step, dir) in kept::all(run, "best") {
        match kept::chosen(&dir) {
            Some(was) if step < chosen.step => ranked.push((was.score, step)),
            _ => stale.push(dir),
        }
    }
    stale.iter().try_for_each(|dir| kept::remove(dir))?;
    if !best_so_far {
        ranked.push((chosen.score, chosen.step));
    }
    // Of equal ones the earlier.
    ranked.sort_by(|(a, s), (b, t)| (if less { a.total_cmp(b) } else { b.total_cmp(a) }).then(s.cmp(t)));
    for (i, (_, step)) in ranked.into_iter().enumerate() {
        let dir = kept::at(run, "best", step);
        match (i < others, step == chosen.step) {
            (true, true) => replace(&dir, ours, fill)?,
            (false, false) => kept::remove(&dir)?,
            _ => {}
        }
    }
    Ok(())
}

/// A checkpoint to go on from.
#[derive(Debug)]
pub struct Found {
    /// Where it is: `run/last`, or `run/step-…` where that is damaged.
    pub dir: PathBuf,
    /// How far it is.
    pub progress: Progress,
    /// What is wrong with those after it.
    pub damaged: Vec<String>,
}

/// The newest whole checkpoint of `run`, if there is one.
///
/// # Errors
/// A state of another version, or one that is damaged where no other is there.
pub fn newest(run: &Path) -> Result<Option<Found>> {
    recover(&last(run))?;
    let mut damaged = Vec::new();
    let mut first = None;
    let older = kept::all(run, "step").into_iter().map(|(_, dir)| dir);
    for dir in std::iter::once(last(run)).chain(older) {
        match whole::open(&dir) {
            Ok(Some(progress)) => return Ok(Some(Found { dir, progress, damaged })),
            Ok(None) => {}
            Err(Error::Damaged { path, message }) => {
                damaged.push(format!("{}: {message}", path.display()));
                first.get_or_insert(Error::Damaged { path, message });
            }
            Err(e) => return Err(e),
        }
    }
    first.map_or(Ok(None), Err)
}

/// How far the run in `run` is, if there is one.
///
/// # Errors
/// As [`newest`].
pub fn progress(run: &Path) -> Result<Option<Progress>> {
    Ok(newest(run)?.map(|found| found.progress))
}

/// Gives the checkpoint that was found the name `run/last`; a damaged one that has it becomes `run/last.damaged`. Only for who holds the run's lock.
pub(crate) fn settle(run: &Path, found: &Found) -> Result<()> {
    let last = last(run);
    if found.dir == last {
        return Ok(());
    }
    if last.exists() {
        let aside = run.join("last.damaged");
        kept::remove(&aside)?;
        std::fs::rename(&last, &aside).map_err(|e| Error::io(&last, e))?;
    }
    std::fs::rename(&found.dir, &last).map_err(|e| Error::io(&found.dir, e))
}

/// The folders of checkpoints that a run has or may have.
pub(crate) fn folders(run: &Path) -> Vec<PathBuf> {
    let kept = ["step", "best"].into_iter().flat_map(|prefix| kept::all(run, prefix)).map(|(_, dir)| dir);
    [last(run), best(run), run.join("last.damaged")].into_iter().chain(kept).collect()
}

/// Puts the trained weights and the moments of `run/last`, which is as far as `progress`, into `trained` and `optimizer`.
///
/// # Errors
/// A state that was cut or belongs to another recipe.
pub fn restore(run: &Path, progress: &Progress, trained: &Params, optimizer: &mut Optimizer) -> Result<()> {
    let path = last(run).join(STATE);
    let (mut state, metadata) = tensors::read(&path)?;
    let misfit = |message: String| Error::Run { path: path.clone(), message };
    // States of earlier versions have no sum.
    if metadata.get(SUM).is_some_and(|sum| *sum != progress.sum()) {
        return Err(misfit(format!(
            "not the state that {PROGRESS} was written with; begin again with --fresh"
        )));
    }
    let names: Vec<String> = state.keys().filter(|n| n.starts_with("param.")).cloned().collect();
    let mut weights = BTreeMap::new();
    for name in names {
        if let Some(t) = state.remove(&name) {
            weights.insert(name["param.".len()..].to_owned(), t);
        }
    }
    trained.copy_from(&weights).map_err(|report| misfit(report.to_string()))?;
    optimizer.restore(&state).map_err(misfit)
}

/// Fills a new directory beside `dir` and puts it in `dir`'s place. `old` says what becomes of the one before: it has a new name or may be deleted;
/// otherwise (somebody else put something into it) it is kept beside as `NAME.kept`.
fn replace(dir: &Path, old: impl Fn(&Path) -> bool, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let new = folder_beside(dir)?;
    fill(new.path())?;
    replace_folder(new, dir, old)?;
    Ok(())
}

/// [`recover`]s `run/last`.
pub(crate) fn recover_last(run: &Path) -> Result<()> {
    recover(&last(run))
}

/// After a kill between two renames, where directories cannot change places at once: of the whole directories that are left, the one of the latest
/// step. (Earlier versions named them `last.new` and `last.old`.)
fn recover(dir: &Path) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let whole = |path: &Path| path.join(PROGRESS).is_file();
    let old = ["new", "old"].map(|what| {
        let mut name = dir.as_os_str().to_owned();
        name.push(format!(".{what}"));
        PathBuf::from(name)
    });
    let mut found: Vec<PathBuf> = old.into_iter().filter(|p| whole(p)).collect();
    found.extend(left_beside(dir, whole));
    let step = |path: &PathBuf| {
        let value: Option<serde_json::Value> = read_json(&path.join(PROGRESS), &Budget::CONFIG).ok();
        value.and_then(|v| v["step"].as_u64())
    };
    // The first of those of one step: `new` before `old`.
    match found.iter().rev().max_by_key(|path| step(path)) {
        Some(latest) => std::fs::rename(latest, dir).map_err(|e| Error::io(dir, e)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_directory_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("last");
        let fill = |text: &'static str| {
            move |d: &Path| fs::write(d.join(PROGRESS), text).map_err(|e| Error::io(d, e))
        };
        let ours = |old: &Path| only_holds(old, is_ours).is_ok();
        replace(&dir, ours, fill("1")).unwrap();
        replace(&dir, ours, fill("2")).unwrap();
        assert_eq!(fs::read_to_string(dir.join(PROGRESS)).unwrap(), "2");
        let refused = replace(&dir, ours, |d| Err(Error::io(d, std::io::Error::other("full"))));
        assert!(refused.is_err());
        assert_eq!(fs::read_to_string(dir.join(PROGRESS)).unwrap(), "2");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        // A user's notes are not deleted with it.
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        replace(&dir, ours, fill("3")).unwrap();
        assert_eq!(fs::read_to_string(dir.join(PROGRESS)).unwrap(), "3");
        assert_eq!(fs::read_to_string(root.path().join("last.kept/notes.txt")).unwrap(), "mine");
    }

    #[test]
    fn a_kill_between_the_renames_is_mended() {
        for (names, kept) in
            [(["last.new", "last.old"], "last.new"), ([".unisono-a.tmp", ".unisono-b.tmp"], ".unisono-b.tmp")]
        {
            let root = tempfile::tempdir().unwrap();
            let dir = root.path().join("last");
            for (i, name) in names.into_iter().enumerate() {
                fs::create_dir(root.path().join(name)).unwrap();
                let step = if name.starts_with("last") { 3 } else { i };
                let text = format!("{{\"step\": {step}, \"of\": \"{name}\"}}");
                fs::write(root.path().join(name).join(PROGRESS), text).unwrap();
            }
            // Not whole: no progress.
            fs::create_dir(root.path().join(".unisono-c.tmp")).unwrap();
            recover(&dir).unwrap();
            assert!(fs::read_to_string(dir.join(PROGRESS)).unwrap().contains(kept));
        }
    }
}

//! Checkpoints: `last/` to go on from, `best/` to use. A directory is whole under its name or not there.
//!
//! `last/` is a model directory (the weights that are evaluated) with `training.safetensors` (the weights that are trained, the
//! optimizer's moments) and `training.json` (the step, the recipe). Random numbers and the data's order are functions of
//! the seed and the step, so nothing else is needed to go on exactly.

use crate::learner::Learner;
use crate::optimizer::Optimizer;
use crate::{Error, Recipe, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use tch::Tensor;
use unisono_encoders::{files, tensors};

/// The version of the training state. A reader refuses another.
pub const FORMAT_VERSION: u32 = 1;

const STATE: &str = "training.safetensors";
const PROGRESS: &str = "training.json";

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The layout's version.
    pub format_version: u32,
    /// Steps done.
    pub step: u64,
    /// Best score so far, and its step.
    pub best: Option<(f64, u64)>,
    /// Wall seconds of training so far.
    pub seconds: f64,
    /// Wall seconds by part of the loop.
    pub parts: BTreeMap<String, f64>,
    /// Floating-point operations of the steps so far.
    pub flops: f64,
    /// Samples so far.
    pub samples: u64,
    /// The recipe that the run follows.
    pub recipe: Recipe,
}

/// `run/last`.
pub fn last(run: &Path) -> PathBuf {
    run.join("last")
}

/// `run/best`.
pub fn best(run: &Path) -> PathBuf {
    run.join("best")
}

/// Where a run's model is read from: its best checkpoint, the last one when none was evaluated yet, or the path itself when that is a
/// model directory.
pub fn model_dir(path: &Path) -> PathBuf {
    let holds_model = |p: &Path| p.join("config.json").exists();
    [path.to_owned(), best(path), last(path)]
        .into_iter()
        .find(|p| holds_model(p))
        .unwrap_or_else(|| path.to_owned())
}

/// Writes the state of a run as `run/last`.
///
/// # Errors
/// No space, no permission; the checkpoint before stays.
pub fn save(
    run: &Path,
    progress: &Progress,
    evaluated: &Learner,
    trained: &Learner,
    optimizer: &Optimizer,
) -> Result<()> {
    replace(&last(run), |dir| {
        evaluated.save(dir)?;
        let mut state: Vec<(String, Tensor)> =
            trained.params().iter().map(|(n, p)| (format!("param.{n}"), p.tensor.shallow_clone())).collect();
        state.extend(optimizer.state());
        tensors::write(&dir.join(STATE), &state, HashMap::new())?;
        Ok(files::write_json(&dir.join(PROGRESS), progress)?)
    })
}

/// Writes `model` as `run/best`.
///
/// # Errors
/// As [`save`].
pub fn save_best(run: &Path, model: &Learner) -> Result<()> {
    replace(&best(run), |dir| model.save(dir))
}

/// How far the run in `run` is, if there is one.
///
/// # Errors
/// A state of another version, or one that cannot be read.
pub fn progress(run: &Path) -> Result<Option<Progress>> {
    recover(&last(run))?;
    let path = last(run).join(PROGRESS);
    if !path.exists() {
        return Ok(None);
    }
    let value: serde_json::Value = files::read_json(&path)?;
    let version = value.get("format_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if version != u64::from(FORMAT_VERSION) {
        return Err(Error::Run {
            path,
            message: format!(
                "training state of version {version}, this build reads {FORMAT_VERSION}; start again with --fresh"
            ),
        });
    }
    let progress = serde_json::from_value(value).map_err(|e| Error::Run { path, message: e.to_string() })?;
    Ok(Some(progress))
}

/// Puts the trained weights and the moments of `run/last` into `trained` and `optimizer`.
///
/// # Errors
/// A state that was cut or belongs to another recipe.
pub fn restore(run: &Path, trained: &Learner, optimizer: &mut Optimizer) -> Result<()> {
    let path = last(run).join(STATE);
    let (mut state, _) = tensors::read(&path)?;
    let names: Vec<String> = state.keys().filter(|n| n.starts_with("param.")).cloned().collect();
    let mut weights = BTreeMap::new();
    for name in names {
        if let Some(t) = state.remove(&name) {
            weights.insert(name["param.".len()..].to_owned(), t);
        }
    }
    let misfit = |message: String| Error::Run { path: path.clone(), message };
    trained.params().copy_from(&weights).map_err(|report| misfit(report.to_string()))?;
    optimizer.restore(&state).map_err(misfit)
}

/// Fills a new directory beside `dir` and puts it in `dir`'s place.
fn replace(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let (new, old) = (beside(dir, "new"), beside(dir, "old"));
    for leftover in [&new, &old] {
        if leftover.exists() {
            fs::remove_dir_all(leftover).map_err(|e| Error::io(leftover, e))?;
        }
    }
    fs::create_dir_all(&new).map_err(|e| Error::io(&new, e))?;
    let filled = fill(&new);
    if filled.is_err() {
        let _ = fs::remove_dir_all(&new);
        return filled;
    }
    if dir.exists() {
        fs::rename(dir, &old).map_err(|e| Error::io(dir, e))?;
    }
    fs::rename(&new, dir).map_err(|e| Error::io(dir, e))?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// After a kill between the two renames of [`replace`]: the new directory is whole then, for the first rename follows its last file.
fn recover(dir: &Path) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    for candidate in [beside(dir, "new"), beside(dir, "old")] {
        if candidate.join(PROGRESS).exists() {
            return fs::rename(&candidate, dir).map_err(|e| Error::io(dir, e));
        }
    }
    Ok(())
}

fn beside(dir: &Path, what: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(what);
    dir.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("last");
        let fill =
            |text: &'static str| move |d: &Path| fs::write(d.join("x"), text).map_err(|e| Error::io(d, e));
        replace(&dir, fill("1")).unwrap();
        replace(&dir, fill("2")).unwrap();
        assert_eq!(fs::read_to_string(dir.join("x")).unwrap(), "2");
        let refused = replace(&dir, |d| Err(Error::io(d, std::io::Error::other("full"))));
        assert!(refused.is_err());
        assert_eq!(fs::read_to_string(dir.join("x")).unwrap(), "2");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_kill_between_the_renames_is_mended() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("last");
        for name in ["last.new", "last.old"] {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join(PROGRESS), name).unwrap();
        }
        recover(&dir).unwrap();
        assert_eq!(fs::read_to_string(dir.join(PROGRESS)).unwrap(), "last.new");
    }
}

//! Checkpoints: `last/` to go on from, `best/` to use. A directory is whole under its name or not there.
//!
//! `last/` is a model directory (the weights that are evaluated) with `training.safetensors` (the weights that are trained, the
//! optimizer's moments) and `training.json` (the step, the recipe). Random numbers and the data's order are functions of
//! the seed and the step, so nothing else is needed to go on exactly.

use crate::clock::Clock;
use crate::learner::Learner;
use crate::optimizer::Optimizer;
use crate::watched::Watched;
use crate::{Error, Recipe, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tch::Tensor;
use unisono_files::{
    Budget, folder_beside, left_beside, only_holds, read_json, replace_folder, write_atomic,
};
use unisono_nn::tensors;

/// The version of the training state. A reader refuses another.
pub const FORMAT_VERSION: u32 = 2;

const STATE: &str = "training.safetensors";
const PROGRESS: &str = "training.json";
/// The key in the state's metadata that holds a sum over the progress: the two of different steps are not taken for one run's.
const SUM: &str = "unisono.progress";

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
    /// What the records of each manifest add up to.
    #[serde(default)]
    pub data: BTreeMap<PathBuf, String>,
    /// What was found of the abilities that are watched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub canary: BTreeMap<String, Watched>,
    /// The recipe that the run follows.
    pub recipe: Recipe,
}

impl Progress {
    /// Where a run of `recipe` goes on that is as far as `before`, or begins.
    pub(crate) fn going_on(before: Option<Self>, recipe: &Recipe, data: BTreeMap<PathBuf, String>) -> Self {
        let recipe = recipe.clone();
        match before {
            Some(before) => Self { recipe, data, ..before },
            None => Self {
                format_version: FORMAT_VERSION,
                step: 0,
                best: None,
                seconds: 0.0,
                parts: BTreeMap::new(),
                flops: 0.0,
                samples: 0,
                data,
                canary: BTreeMap::new(),
                recipe,
            },
        }
    }

    /// The same with the time that `clock` has measured since.
    pub(crate) fn after(&self, clock: &Clock) -> Self {
        Self { seconds: self.seconds + clock.total(), parts: clock.parts().clone(), ..self.clone() }
    }
}

/// `run/last`.
pub fn last(run: &Path) -> PathBuf {
    run.join("last")
}

/// `run/best`.
pub fn best(run: &Path) -> PathBuf {
    run.join("best")
}

pub use unisono_encoders::model_dir;

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
        let path = dir.join(PROGRESS);
        let text = serde_json::to_string_pretty(progress)
            .map_err(|e| Error::Run { path: path.clone(), message: e.to_string() })?
            + "\n";
        let metadata = HashMap::from([(SUM.to_owned(), sum(progress))]);
        tensors::write(&dir.join(STATE), &state, metadata)?;
        // Last: a directory that has it is whole.
        Ok(write_atomic(&path, |w| w.write_all(text.as_bytes()))?)
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
    let value: serde_json::Value = read_json(&path, &Budget::CONFIG)?;
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
    let (mut state, metadata) = tensors::read(&path)?;
    let misfit = |message: String| Error::Run { path: path.clone(), message };
    let expected = metadata.get(SUM);
    // States of earlier versions have no sum.
    if expected.is_some() && progress(run)?.as_ref().map(sum).as_ref() != expected {
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
    trained.params().copy_from(&weights).map_err(|report| misfit(report.to_string()))?;
    optimizer.restore(&state).map_err(misfit)
}

/// Of what of a run's progress does not depend on the clock: the state of a run that was stopped is, byte for byte, that of one that was not.
fn sum(progress: &Progress) -> String {
    let Progress { format_version, step, best, samples, .. } = progress;
    let text = format!("{format_version} {step} {best:?} {samples}");
    Sha256::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect()
}

/// Fills a new directory beside `dir` and puts it in `dir`'s place. What somebody else put into the old one is not deleted with it: such a directory is
/// kept beside as `NAME.kept`.
fn replace(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let new = folder_beside(dir)?;
    fill(new.path())?;
    replace_folder(new, dir, |old| only_holds(old, is_ours).is_ok())?;
    Ok(())
}

/// Whether a file in a checkpoint is one that is written there.
pub(crate) fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "config.json",
        "preprocessor_config.json",
        "tokenizer.json",
        "model.safetensors",
        "adapter_config.json",
        "adapter_model.safetensors",
        "fusion.json",
        "fusion.safetensors",
        STATE,
        PROGRESS,
    ];
    NAMES.contains(&name)
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
        replace(&dir, fill("1")).unwrap();
        replace(&dir, fill("2")).unwrap();
        assert_eq!(fs::read_to_string(dir.join(PROGRESS)).unwrap(), "2");
        let refused = replace(&dir, |d| Err(Error::io(d, std::io::Error::other("full"))));
        assert!(refused.is_err());
        assert_eq!(fs::read_to_string(dir.join(PROGRESS)).unwrap(), "2");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        // A user's notes are not deleted with it.
        fs::write(dir.join("notes.txt"), "mine").unwrap();
        replace(&dir, fill("3")).unwrap();
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

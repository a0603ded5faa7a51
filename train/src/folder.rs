//! A run's folder: that it is one is known before anything is written or removed there.

use crate::{Error, Result, checkpoint};
use std::fs;
use std::path::Path;
use unisono_files::{Budget, Lock, only_holds, own_folder, read_text, sweep};

/// How the recipe in a run's folder begins.
pub(crate) const MARK: &str = "# The recipe of this run, as unisono train follows it.\n";

/// What a run's folder holds: what a training writes, and what `unisono report` and the quickstart add.
const NAMES: [&str; 15] = [
    "recipe.toml",
    "metrics.jsonl",
    "tensorboard",
    "features",
    "last",
    "best",
    "last.damaged",
    "summary.json",
    "report.html",
    "stages.json",
    "finetune.toml",
    "splits.jsonl",
    "canary.jsonl",
    "fusion",
    ".unisono.lock",
];

/// What may lie there before a training begins: the quickstart notes its stages, `unisono finetune` writes its recipe and its splits, and features are
/// kept before the first step.
const BEFORE: [&str; 6] =
    [".unisono.lock", "stages.json", "features", "finetune.toml", "splits.jsonl", "canary.jsonl"];

/// Takes the folder `run` for a training, until the lock is dropped: it is made where it is missing, and refused where another training
/// writes it or it holds something else.
///
/// # Errors
/// As [`Lock::within`]; [`Error::Run`].
pub(crate) fn claim(run: &Path) -> Result<Lock> {
    let lock = Lock::within(run)?;
    refuse_foreign(run)?;
    // What a run that was killed left half written. A checkpoint that it was just replacing is taken up first.
    checkpoint::recover_last(run)?;
    sweep(run);
    Ok(lock)
}

/// A folder is a run's when its recipe has the mark or there is a checkpoint to go on from; runs of earlier versions have neither before their first
/// checkpoint, but nothing else beside their metrics.
fn refuse_foreign(run: &Path) -> Result<()> {
    let is_run = checkpoint::last(run).join("training.json").is_file()
        || read_text(&run.join("recipe.toml"), &Budget::CONFIG).is_ok_and(|text| text.starts_with(MARK));
    if is_run {
        return Ok(());
    }
    let started = run.join("metrics.jsonl").is_file();
    let always = |name: &str| BEFORE.contains(&name) || name.starts_with(".unisono-");
    let numbered =
        |name: &str| ["step-", "best-", "nonfinite-"].iter().any(|prefix| name.starts_with(prefix));
    let known = |name: &str| always(name) || (started && (NAMES.contains(&name) || numbered(name)));
    only_holds(run, known).map_err(|e| match e {
        unisono_files::Error::Foreign { path, name } => Error::Run {
            path,
            message: format!(
                "holds {name} and is no training run: nothing is written there; choose a new folder"
            ),
        },
        other => other.into(),
    })
}

/// Removes an earlier run's checkpoints and events, and nothing else.
///
/// # Errors
/// Something else lies in one of these folders.
pub(crate) fn clear(run: &Path) -> Result<()> {
    let is_event = |name: &str| name.starts_with("events.out.tfevents.");
    let events = run.join("tensorboard");
    let mut there = checkpoint::folders(run);
    there.push(events.clone());
    there.retain(|dir| fs::symlink_metadata(dir).is_ok());
    let ours =
        |dir: &Path, name: &str| if dir == events { is_event(name) } else { checkpoint::is_ours(name) };
    // All are looked at before the first is removed.
    for dir in &there {
        own_folder(dir)?;
        only_holds(dir, |name| ours(dir, name))?;
    }
    for dir in &there {
        fs::remove_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_run_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let run = at("deep/run");
        drop(claim(&run).unwrap());
        assert!(!at("deep").exists(), "made for nothing");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("recipe.toml"), "steps = 3 # my own\n").unwrap();
        let said = claim(&run).unwrap_err().to_string();
        assert!(said.contains("holds recipe.toml and is no training run"), "{said}");
        fs::write(run.join("recipe.toml"), format!("{MARK}steps = 3\n")).unwrap();
        fs::write(run.join("notes.txt"), "mine").unwrap();
        fs::write(run.join(".unisono-half.tmp"), "").unwrap();
        let held = claim(&run).unwrap();
        assert!(claim(&run).unwrap_err().to_string().contains("is being written by another run"));
        assert!(run.join("notes.txt").exists() && !run.join(".unisono-half.tmp").exists());
        drop(held);
        assert_eq!(fs::read_dir(&run).unwrap().count(), 2);
    }

    #[test]
    fn a_run_of_an_earlier_version_is_known() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["recipe.toml", "metrics.jsonl"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        claim(dir.path()).unwrap();
        fs::write(dir.path().join("thesis.odt"), "").unwrap();
        assert!(claim(dir.path()).unwrap_err().to_string().contains("holds thesis.odt"));
    }

    #[test]
    fn clearing_takes_what_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["last", "best", "tensorboard"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("last/training.json"), "").unwrap();
        fs::write(at("best/the only copy.safetensors"), "").unwrap();
        let said = clear(dir.path()).unwrap_err().to_string();
        assert!(said.contains("holds the only copy.safetensors"), "{said}");
        assert!(at("last/training.json").exists());
        fs::remove_file(at("best/the only copy.safetensors")).unwrap();
        clear(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

//! Checkpoints beside `last` and `best`: `step-000500`, `best-000300`.

use super::whole::PROGRESS;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use unisono_files::{Budget, only_holds, own_folder, read_json};

/// In a best checkpoint: what it was chosen by.
pub(super) const EVALUATION: &str = "evaluation.json";
pub(super) const STATE: &str = "training.safetensors";

/// What a best checkpoint was chosen by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its step.
    pub step: u64,
    /// Its score.
    pub score: f64,
    /// Which figure that is.
    pub by: String,
}

/// Whether a file in a checkpoint is one that is written there.
pub(crate) fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 11] = [
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
        EVALUATION,
    ];
    NAMES.contains(&name)
}

/// `run/PREFIX-000500`.
pub(super) fn at(run: &Path, prefix: &str, step: u64) -> PathBuf {
    run.join(format!("{prefix}-{step:06}"))
}

/// The folders `PREFIX-STEP` of a run and their steps, the latest first.
pub(super) fn all(run: &Path, prefix: &str) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    let step = |name: &str| -> Option<u64> {
        let digits = name.strip_prefix(prefix)?.strip_prefix('-')?;
        let plain = digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let mut found: Vec<(u64, PathBuf)> = entries
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter_map(|e| Some((step(e.file_name().to_str()?)?, e.path())))
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Removes a checkpoint, but not with it what somebody else put there.
pub(super) fn remove(dir: &Path) -> Result<()> {
    if std::fs::symlink_metadata(dir).is_err() || only_holds(dir, is_ours).is_err() {
        return Ok(());
    }
    own_folder(dir)?;
    std::fs::remove_dir_all(dir).map_err(|e| Error::io(dir, e))
}

/// Gives `dir` the name `to`, in the place of an older one of that name. Whether it could be.
pub(super) fn rename(dir: &Path, to: &Path) -> bool {
    remove(to).is_ok() && std::fs::rename(dir, to).is_ok()
}

/// What the best checkpoint `dir` was chosen by, where it says so.
pub(super) fn chosen(dir: &Path) -> Option<Chosen> {
    read_json(&dir.join(EVALUATION), &Budget::CONFIG).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_our_folders_are_found_and_removed() {
        let run = tempfile::tempdir().unwrap();
        let run = run.path();
        for name in ["step-000002", "step-000010", "step-1234567", "step-12", "step-notes", "best-000003"] {
            fs::create_dir(run.join(name)).unwrap();
        }
        fs::write(run.join("step-000099"), "a file").unwrap();
        let steps = |prefix| all(run, prefix).into_iter().map(|(step, _)| step).collect::<Vec<_>>();
        assert_eq!((steps("step"), steps("best")), (vec![1_234_567, 10, 2], vec![3]));
        fs::write(run.join("step-000002/training.json"), "").unwrap();
        fs::write(run.join("step-000010/notes.txt"), "mine").unwrap();
        for (_, dir) in all(run, "step") {
            remove(&dir).unwrap();
        }
        assert_eq!(steps("step"), [10]);
        assert!(rename(&run.join("best-000003"), &at(run, "best", 4)) && steps("best") == [4]);
        assert!(!rename(&run.join("best-000004"), &run.join("step-000010")), "somebody's notes lie there");
    }
}

//! Where a model lies.

use std::path::{Path, PathBuf};

/// The model directory that `path` means: itself, or of a training run its best checkpoint, or the last one when none was evaluated yet.
pub fn model_dir(path: &Path) -> PathBuf {
    let places = [path.to_owned(), path.join("best"), path.join("last")];
    places.into_iter().find(|p| p.join("config.json").exists()).unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_means_its_best_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let holds = |name: &str| {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("config.json"), "{}").unwrap();
        };
        assert_eq!(model_dir(dir.path()), dir.path());
        for name in ["last", "best"] {
            holds(name);
            assert_eq!(model_dir(dir.path()), dir.path().join(name));
        }
        holds("");
        assert_eq!(model_dir(dir.path()), dir.path().join(""));
    }
}

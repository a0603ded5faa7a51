//! The per-user cache: where downloads and libraries lie.

use crate::error::Error;
use std::path::{Path, PathBuf};
use unisono_train::checkpoint::model_dir;

/// `UNISONO_CACHE`, else `$XDG_CACHE_HOME/unisono`, else `~/.cache/unisono`; absolute where the system can say so.
pub(crate) fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let chosen = set("UNISONO_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").filter(|path| path.is_absolute()).map(|path| path.join("unisono")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/unisono")))
        .unwrap_or_else(|| std::env::temp_dir().join("unisono-cache"));
    std::path::absolute(&chosen).unwrap_or(chosen)
}

/// The folder of a model that the user names: a model directory, a training run's best checkpoint, or a hub id's copy.
pub(crate) fn model(named: &Path) -> Result<PathBuf, Error> {
    Ok(model_dir(&unisono_jobs::hub::locate(named)?))
}

//! Where a model that the user names lies.

use crate::error::Error;
use std::path::{Path, PathBuf};

/// The folder of a model that the user names: a model directory, a training run's best checkpoint, or a hub id's copy.
pub(crate) fn model(named: &Path) -> Result<PathBuf, Error> {
    Ok(unisono_jobs::hub::locate(named)?)
}

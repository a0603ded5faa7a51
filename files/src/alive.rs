//! The temporary files and folders of this process, for an end that runs no destructors.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

static ALIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
/// Held while a folder's name is with neither the old nor the new one.
static PLACING: Mutex<()> = Mutex::new(());

fn alive() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ALIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary name that is in use until this is dropped.
#[derive(Debug)]
pub(crate) struct Alive(PathBuf);

impl Alive {
    pub(crate) fn new(path: &Path) -> Self {
        alive().insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        alive().remove(&self.0);
    }
}

/// A temporary folder whose end nobody tells: it is forgotten once it is gone.
pub(crate) fn folder(path: &Path) {
    let mut all = alive();
    if all.len() >= 64 {
        all.retain(|path| fs::symlink_metadata(path).is_ok());
    }
    all.insert(path.to_owned());
}

/// What this folder holds is not temporary any more.
pub(crate) fn keep(path: &Path) {
    alive().remove(path);
}

pub(crate) fn placing() -> MutexGuard<'static, ()> {
    PLACING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deletes what this process has begun to write and has not put in place, after a folder that is on its way has arrived: for ending the
/// process from outside of its work, where no destructor runs. Nothing may be written afterwards.
pub fn abandon() {
    // Kept: nothing is put in place any more, whose old folder would be lost.
    std::mem::forget(placing());
    for path in std::mem::take(&mut *alive()) {
        // Best effort, at the very end: there is nobody left to tell.
        let _ = match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(_) => Ok(()),
        };
    }
}

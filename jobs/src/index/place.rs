//! Where an index may be written.

use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unisono_files::{Budget, is_empty_folder, only_holds, read_json, replace_folder};
use unisono_index::{
    ASKED, CODES, COLUMNS, GRAPH, HEADER, ITEMS, SEGMENTS, VECTORS, WORDS, is_number, is_removed,
};

/// A wrong `--out` must never cost a folder that is no index: what may be replaced is nothing, an empty folder, or an index of ours and nothing
/// beside it.
pub(super) fn refuse_foreign(out: &Path) -> Result<()> {
    if fs::symlink_metadata(out).is_err() || is_empty_folder(out) {
        return Ok(());
    }
    let foreign = |why: &str| {
        let message = format!(
            "something that is no index stands there ({why}): nothing is replaced; choose another name"
        );
        Err(Error::format(out, message))
    };
    if !out.is_dir() {
        return foreign("no folder");
    }
    let path = out.join(HEADER);
    if fs::symlink_metadata(&path).is_err() {
        return foreign("it has no index.json");
    }
    // Of any version: what every one of them has.
    let ours = read_json(&path, &Budget::VOCABULARY).is_ok_and(|header: serde_json::Value| {
        header["format_version"].is_u64()
            && header["built"]["unisono"].is_string()
            && header["sum"].is_string()
    });
    if !ours {
        return foreign("its index.json is not one that this program wrote, or damaged");
    }
    only_ours(out)
}

/// Whether all that lies in a folder may be an index's.
pub(super) fn fits(folder: &Path) -> bool {
    only_ours(folder).is_ok()
}

/// Refuses a folder with anything that no index has.
fn only_ours(out: &Path) -> Result<()> {
    let left = |name: &str| name.starts_with(".unisono-") && name.ends_with(".tmp");
    let file = |at: &Path, name: &str| fs::symlink_metadata(at.join(name)).is_ok_and(|m| m.is_file());
    let folder = |at: &Path, name: &str| fs::symlink_metadata(at.join(name)).is_ok_and(|m| m.is_dir());
    let own = [HEADER, VECTORS, ITEMS, ASKED];
    only_holds(out, |name| {
        (own.contains(&name) || left(name)) && file(out, name) || name == SEGMENTS && folder(out, name)
    })?;
    let segments = out.join(SEGMENTS);
    if !segments.is_dir() {
        return Ok(());
    }
    only_holds(&segments, |name| (is_number(name) || left(name)) && folder(&segments, name))?;
    for entry in fs::read_dir(&segments).map_err(Error::io(&segments, "read"))?.flatten() {
        let at = entry.path();
        let files = [VECTORS, ITEMS, COLUMNS, CODES, GRAPH, WORDS];
        let own = |name: &str| files.contains(&name) || is_removed(name) || left(name);
        only_holds(&at, |name| own(name) && file(&at, name))?;
    }
    Ok(())
}

/// Puts an index in place of what stands at `out`; where that is kept when something else was put into it.
pub(super) fn replace(new: TempDir, out: &Path) -> Result<Option<PathBuf>> {
    Ok(replace_folder(new, out, |old| refuse_foreign(old).is_ok())?)
}

/// Removes an index, or what there is of one.
pub(super) fn forget(folder: &Path) -> Result<()> {
    fs::remove_dir_all(folder).map_err(Error::io(folder, "remove"))
}

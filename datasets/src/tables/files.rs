//! Which files are tables, and those that lie below a folder.

use crate::{Error, Result, parquet};
use std::path::{Path, PathBuf};

/// Most files of a data set, and how deep below its folder they may lie.
const MOST: usize = 1 << 20;
pub(super) const DEPTH: usize = 8;

/// Whether a path is a Parquet file, or a folder of them as Hugging Face's hub has it.
pub(crate) fn is_parquet(path: &Path) -> bool {
    match path.is_dir() {
        false => parquet::is_parquet(path),
        true => below(path, 2, &|file| has_ending(file, "parquet")).is_ok_and(|files| !files.is_empty()),
    }
}

/// Whether a path is what `datasets.save_to_disk` wrote, or one of its files.
pub(crate) fn is_arrow(path: &Path) -> bool {
    match path.is_dir() {
        false => has_ending(path, "arrow"),
        true => path.join("dataset_dict.json").is_file() || path.join("state.json").is_file(),
    }
}

pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().and_then(|e| e.to_str()).is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// Files below a folder, in the order of their names. Hidden ones are passed over.
pub(super) fn below(folder: &Path, depth: usize, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk(folder, depth, wanted, &mut found)?;
    Ok(found)
}

fn walk(folder: &Path, depth: usize, wanted: &dyn Fn(&Path) -> bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(Error::io(folder, "list"))?;
    let entries = entries.collect::<std::io::Result<Vec<_>>>().map_err(Error::io(folder, "list"))?;
    let mut paths: Vec<PathBuf> = entries
        .into_iter()
        .filter(|entry| !entry.file_name().to_string_lossy().starts_with(['.', '_']))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if depth > 1 {
                walk(&path, depth - 1, wanted, found)?;
            }
        } else if wanted(&path) {
            found.push(path);
        }
        if found.len() > MOST {
            return Err(Error::archive(folder, format!("holds more than {MOST} files")));
        }
    }
    Ok(())
}

//! A model's files, copied and summed up.

use super::FileSum;
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use unisono_files::hex;
use walkdir::WalkDir;

/// What a training keeps for itself.
const TRAINING: [&str; 2] = ["training.json", "training.safetensors"];
/// Folders below a model's own: of modules, no deeper.
const DEPTH: usize = 3;

/// Copies the files of the model in `from` to the folder `to`, with their bytes: links, as a hub's cache has them, are followed. Hidden files and a training's state are
/// left out.
pub(super) fn model(from: &Path, to: &Path) -> Result<Vec<FileSum>> {
    let mut files = Vec::new();
    let hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
    let walk = WalkDir::new(from).follow_links(true).max_depth(DEPTH).sort_by_file_name().into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
        let entry = entry.map_err(|e| Error::format(from, e.to_string()))?;
        let Ok(name) = entry.path().strip_prefix(from) else { continue };
        let target = to.join(name);
        if entry.depth() > 0 && entry.file_type().is_dir() {
            fs::create_dir(&target).map_err(Error::io(&target, "create"))?;
        }
        let state = TRAINING.iter().any(|own| name == Path::new(own));
        if !entry.file_type().is_file() || state {
            continue;
        }
        let name = name.to_str().ok_or_else(|| Error::format(entry.path(), "its name is no UTF-8"))?;
        let (bytes, sha256) = copied(entry.path(), &target)?;
        files.push(FileSum { name: name.to_owned(), bytes, sha256 });
    }
    Ok(files)
}

fn copied(from: &Path, to: &Path) -> Result<(u64, String)> {
    let mut source = unisono_files::open(from)?;
    let mut target = File::create_new(to).map_err(Error::io(to, "create"))?;
    let sum = pass(&mut source, from, &mut |part| target.write_all(part).map_err(Error::io(to, "write")))?;
    target.sync_all().map_err(Error::io(to, "write"))?;
    Ok(sum)
}

/// Length and SHA-256 of a file.
pub(super) fn sum(path: &Path) -> Result<(u64, String)> {
    pass(&mut unisono_files::open(path)?, path, &mut |_| Ok(()))
}

fn pass(source: &mut File, path: &Path, part: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<(u64, String)> {
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0u8; 1 << 20], 0);
    loop {
        let read = source.read(&mut buffer).map_err(Error::io(path, "read"))?;
        let Some(some) = buffer.get(..read).filter(|some| !some.is_empty()) else { break };
        hash.update(some);
        bytes += read as u64;
        part(some)?;
    }
    Ok((bytes, hex(&hash.finalize())))
}

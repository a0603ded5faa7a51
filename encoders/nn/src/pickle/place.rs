//! What both forms of a file share: what its program may cost, why it is refused, and where a tensor's bytes lie.

use super::values::{Made, Stop, Storage, View};
use crate::entry::Entry;
use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use unisono_files::Budget;

/// The program of a checkpoint has some 25 values and 150 bytes a tensor; optimisers' states treble that.
pub(super) const PROGRAM: Budget = Budget { bytes: 64 << 20, values: 1 << 22, depth: 64 };
/// Why a program ended early, for the reader of the file.
pub(super) fn stopped(path: &Path, stop: Stop) -> Error {
    match stop {
        Stop::Budget(e) => e.into(),
        Stop::Refused(message) => Error::format(path, format!("{message}; {}", advice(path))),
    }
}

/// What to do with a file that cannot be read safely.
pub(super) fn advice(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // A name of a stranger's making becomes no part of a command that somebody may paste.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.chars().all(plain) || name.starts_with('-') {
        return "if you trust it, convert it where Python runs: load it with torch and save its tensors with safetensors.torch.save_file \
                as model.safetensors"
            .to_owned();
    }
    format!(
        "if you trust it, convert it where Python runs: python -c \"import torch, safetensors.torch as s; \
         s.save_file({{k: v.contiguous() for k, v in torch.load('{name}').items()}}, 'model.safetensors')\""
    )
}

/// The tensors that a program described, where their storages lie in the file; `file` is noted in each.
pub(super) fn placed(
    path: &Path,
    found: &Made<'_>,
    storages: &HashMap<&str, Range<usize>>,
    file: usize,
) -> Result<Vec<(String, Entry)>> {
    let views = found.tensors();
    if views.is_empty() {
        return Err(stopped(path, Stop::Refused("no tensors in it".into())));
    }
    let placed = views.into_iter().map(|(name, view)| {
        let entry = place(view, found.storage(view), storages, file);
        Ok((name.to_owned(), entry.map_err(|e| Error::format(path, format!("tensor {name}: {e}")))?))
    });
    placed.collect()
}

/// Where a tensor's bytes lie.
fn place(
    view: &View,
    storage: &Storage<'_>,
    storages: &HashMap<&str, Range<usize>>,
    file: usize,
) -> Result<Entry, String> {
    let bytes = storages.get(storage.key).ok_or("its storage is not in the archive")?;
    let (kind, size) = (storage.kind, storage.kind.elt_size_in_bytes() as i64);
    let has = bytes.len() as i64;
    let (shape, strides) = (&view.shape, &view.strides);
    let wrong = || format!("shape {shape:?} with strides {strides:?} at {} is none", view.offset);
    if view.offset < 0 || shape.iter().chain(strides).any(|n| *n < 0) {
        return Err(wrong());
    }
    if storage.elements < 0 || storage.elements.checked_mul(size).is_none_or(|n| n > has) {
        return Err(format!("a storage of {} elements of {kind:?} in {has} bytes", storage.elements));
    }
    let whole = |dense: bool| if dense { None } else { Some(strides.clone()) };
    if shape.contains(&0) {
        let start = bytes.start;
        return Ok(Entry { file, kind, shape: shape.clone(), strides: None, start, len: 0 });
    }
    let (mut last, mut dense, mut count) = (view.offset, true, 1i64);
    for (n, stride) in shape.iter().zip(strides).rev() {
        dense &= *n == 1 || *stride == count;
        count = count.checked_mul(*n).ok_or_else(wrong)?;
        last = (n - 1).checked_mul(*stride).and_then(|step| last.checked_add(step)).ok_or_else(wrong)?;
    }
    let end = last.checked_add(1).and_then(|n| n.checked_mul(size)).ok_or_else(wrong)?;
    if end > has {
        return Err(format!("{shape:?} of {kind:?} needs {end} bytes, its storage has {has}"));
    }
    // Elements that stand in several places at once (a stride of 0): a few bytes would ask for any memory.
    if count.checked_mul(size).is_none_or(|n| n > has) {
        return Err(format!(
            "{shape:?} of {kind:?} repeats the {has} bytes of its storage, which no checkpoint's tensor does"
        ));
    }
    let skip = (view.offset * size) as usize;
    Ok(Entry {
        file,
        kind,
        shape: shape.clone(),
        strides: whole(dense),
        start: bytes.start + skip,
        len: end as usize - skip,
    })
}

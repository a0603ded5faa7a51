//! PyTorch's files from before version 1.6, which are no archives: a number that tells them, a version, what machine wrote them, the
//! program that describes the tensors, the storages' keys, and each storage's numbers behind how many they are.

use super::machine::Machine;
use super::place::{PROGRAM, placed, stopped};
use super::values::{Made, Stop};
use crate::entry::Entry;
use crate::{Error, Result};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// The first two pickles: a number of 80 bits that tells such a file, and the version, which was 1001 always.
const BEGINS: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";

/// Whether these are the first bytes of such a file.
pub(super) fn is(map: &[u8]) -> bool {
    map.starts_with(BEGINS)
}

/// The tensors of such a file; `file` is noted in each.
pub(super) fn entries(path: &Path, map: &[u8], file: usize) -> Result<Vec<(String, Entry)>> {
    let broken = |what: &str| {
        Error::format(path, format!("no whole file of tensors: {what}; download or copy it again"))
    };
    let mut at = BEGINS.len();
    let mut next = || -> Result<Made<'_>> {
        // Numbers of any length follow a program, which is no longer than one in an archive.
        let end = map.len().min(at.saturating_add(PROGRAM.bytes as usize));
        let (made, left) =
            Machine::new(&map[at..end], PROGRAM.of(path)).run_on().map_err(|stop| stopped(path, stop))?;
        at = end - left.len();
        Ok(made)
    };
    let (machine, found, keys) = (next()?, next()?, next()?);
    if machine.switch("little_endian") != Some(true) {
        let message =
            "written by a machine that puts a number's highest byte first, or by none that PyTorch runs on";
        return Err(stopped(path, Stop::Refused(message.into())));
    }
    let kinds: HashMap<&str, (tch::Kind, i64)> =
        found.storages.iter().map(|s| (s.key, (s.kind, s.elements))).collect();
    let mut storages: HashMap<&str, Range<usize>> = HashMap::new();
    for key in keys.texts().ok_or_else(|| broken("the storages' keys are no list of texts"))? {
        let Some((kind, elements)) = kinds.get(key) else {
            return Err(broken(&format!("storage {key} belongs to no tensor")));
        };
        let Some((count, rest)) = map[at..].split_first_chunk::<8>() else {
            return Err(broken(&format!("storage {key} is cut off")));
        };
        let count = i64::from_le_bytes(*count);
        let bytes = count.checked_mul(kind.elt_size_in_bytes() as i64).and_then(|n| usize::try_from(n).ok());
        match bytes.filter(|n| count == *elements && *n <= rest.len()) {
            Some(n) => {
                storages.insert(key, at + 8..at + 8 + n);
                at += 8 + n;
            }
            None => {
                let message = format!(
                    "storage {key} of {elements} {kind:?} is said to have {count}, {} bytes are left",
                    rest.len()
                );
                return Err(broken(&message));
            }
        }
    }
    if at != map.len() {
        return Err(broken(&format!("{} bytes are left over", map.len() - at)));
    }
    placed(path, &found, &storages, file)
}

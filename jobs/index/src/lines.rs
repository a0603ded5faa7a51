//! The lines of an index of the first format, which has no columns: every line is read once when it is opened.

use crate::columns::{Columns, Making};
use crate::{Error, Facts, Header, Item, Result, sum};
use memmap2::Mmap;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use unisono_processors::Modality;

/// Bytes that an item may have in the mean of all: a path and a label, or a text, have some hundreds.
const MOST_ITEM: u64 = 1 << 20;

/// Maps the file at `path` and reads every line once, to see that all are items and those that `header` was written for.
///
/// # Errors
/// A file that is cut or of another index.
pub(crate) fn open(path: &Path, header: &Header<impl Sized>) -> Result<(Mmap, Columns)> {
    let file = unisono_files::open(path)?;
    let length = file.metadata().map_err(Error::io(path, "read"))?.len();
    let most = (header.count as u64).saturating_mul(MOST_ITEM);
    if length > most {
        let (found, limit) = (format!("{length} bytes"), format!("{most} bytes"));
        return Err(unisono_files::Error::Budget { path: path.to_owned(), found, limit }.into());
    }
    // SAFETY: an index is replaced by renaming, never written in place, so the mapped file does not change; a process that
    // cuts it all the same would make any reader fault.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path, "map"))?;
    let (expected, found) = (header.count, count(&map));
    if found != expected {
        let message =
            format!("expected {expected} lines, found {found}: cut or of another index; build it again");
        return Err(Error::format(path, message));
    }
    let columns = columns(path, header, &map, &ends(&map, found))?;
    Ok((map, columns))
}

fn columns(path: &Path, header: &Header<impl Sized>, map: &[u8], ends: &[u64]) -> Result<Columns> {
    if sum(map, &header.model.contract()) != header.sum {
        let message = "not the items that index.json was written for; build the index again";
        return Err(Error::format(path, message));
    }
    let modality = |row: usize| {
        let start = row.checked_sub(1).map_or(0, |before| ends[before]);
        let item = serde_json::from_slice::<Item>(&map[start as usize..ends[row] as usize]);
        item.map(|item| item.modality).map_err(|e| Error::format(path, format!("line {}: {e}", row + 1)))
    };
    let modalities: Vec<Modality> = (0..ends.len()).into_par_iter().map(modality).collect::<Result<_>>()?;
    let (mut counts, mut columns) = (BTreeMap::new(), Making::default());
    for (end, modality) in ends.iter().zip(modalities) {
        *counts.entry(modality).or_insert(0) += 1;
        columns.push(*end, &Facts::default(), modality);
    }
    if counts != header.modalities {
        let message = "its items' modalities are not those of index.json; build the index again";
        return Err(Error::format(path, message));
    }
    Ok(columns.held())
}

/// How many lines there are; what stands behind the last line feed is one, too. Counted before they are kept.
fn count(bytes: &[u8]) -> usize {
    let feeds = bytes.iter().filter(|byte| **byte == b'\n').count();
    feeds + usize::from(bytes.last().is_some_and(|last| *last != b'\n'))
}

/// Where each of `count` lines ends.
fn ends(bytes: &[u8], count: usize) -> Vec<u64> {
    let mut ends = Vec::with_capacity(count);
    ends.extend(bytes.iter().zip(1..).filter(|(byte, _)| **byte == b'\n').map(|(_, end)| end));
    if ends.len() < count {
        ends.push(bytes.len() as u64);
    }
    ends
}

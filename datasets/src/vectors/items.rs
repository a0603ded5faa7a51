//! What the rows are of: a line of JSON each, found by id.

use crate::{Error, Result};
use memmap2::Mmap;
use serde::Deserialize;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use unisono_files::Budget;

/// The lines, mapped: 20 bytes of memory each.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    map: Mmap,
    /// Where each line begins, and the end of the last.
    starts: Vec<u64>,
    /// Sums of what each row is of, with its number, in order.
    sums: Vec<(u64, u32)>,
}

/// What is read of a line.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    modality: Cow<'a, str>,
    #[serde(default)]
    part: usize,
}

impl Line<'_> {
    fn sum(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&*self.id, &*self.modality, self.part).hash(&mut hasher);
        hasher.finish()
    }
}

impl Lines {
    /// The list beside a file of vectors; `None`: there is none.
    pub(super) fn beside(vectors: &Path) -> Result<Option<Self>> {
        let mut name = vectors.as_os_str().to_owned();
        name.push(".jsonl");
        let path = PathBuf::from(name);
        if !path.exists() {
            return Ok(None);
        }
        let file = unisono_files::open(&path)?;
        // SAFETY: the map is read only as bytes, which are checked wherever they are used.
        let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path, "map"))?;
        let mut starts = vec![0];
        starts.extend(map.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at as u64 + 1));
        // Behind the last line there is nothing, or a line without its end.
        if starts.last() != Some(&(map.len() as u64)) {
            starts.push(map.len() as u64);
        }
        let mut lines = Self { path, map, starts, sums: Vec::new() };
        let count = u32::try_from(lines.len())
            .map_err(|_| Error::archive(&lines.path, "has more than 2^32 lines"))?;
        let mut sums = Vec::with_capacity(lines.len());
        for row in 0..count {
            sums.push((lines.line(row as usize)?.sum(), row));
        }
        sums.sort_unstable();
        lines.sums = sums;
        Ok(Some(lines))
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn line(&self, row: usize) -> Result<Line<'_>> {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        let bytes = self.map.get(range).unwrap_or_default();
        Budget::LINE.json(&self.path, bytes)?;
        serde_json::from_slice(bytes).map_err(|e| {
            let message = e.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Error::Manifest {
                path: self.path.clone(),
                line: row + 1,
                message: format!("expected an item: {message}"),
            }
        })
    }

    /// The id of a row.
    pub(super) fn id(&self, row: usize) -> Result<Cow<'_, str>> {
        self.line(row).map(|line| line.id)
    }

    /// The first row of an id, modality and part.
    pub(super) fn find(&self, id: &str, modality: &str, part: usize) -> Result<Option<usize>> {
        let sum = Line { id: id.into(), modality: modality.into(), part }.sum();
        let first = self.sums.partition_point(|(s, _)| *s < sum);
        for (_, row) in self.sums[first..].iter().take_while(|(s, _)| *s == sum) {
            let line = self.line(*row as usize)?;
            if line.id == id && line.modality == modality && line.part == part {
                return Ok(Some(*row as usize));
            }
        }
        Ok(None)
    }
}

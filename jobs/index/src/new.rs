//! A segment that is being made.

use crate::columns::Making;
use crate::header::{ModelRef, SegmentRef};
use crate::{COLUMNS, Error, Facts, ITEMS, Item, Result, VECTORS, Writer};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use unisono_files::{folder_beside, hex};
use unisono_processors::Modality;

/// Rows that are to be a segment. Nothing of them is seen before the index [takes them](crate::Editor::commit).
#[derive(Debug)]
pub struct NewSegment {
    folder: TempDir,
    number: u64,
    writer: Writer,
    columns: Making,
    copies: Vec<(Item, Facts)>,
    counts: BTreeMap<Modality, usize>,
    /// Paths are written below the root as it was.
    back: Option<(PathBuf, PathBuf)>,
}

/// One that is whole and has no name yet.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) folder: TempDir,
    pub(crate) part: SegmentRef,
    pub(crate) counts: BTreeMap<Modality, usize>,
}

impl NewSegment {
    pub(crate) fn begin(
        index: &Path,
        number: u64,
        model: &ModelRef,
        dim: usize,
        back: Option<(PathBuf, PathBuf)>,
    ) -> Result<Self> {
        let folder = folder_beside(&index.join(crate::SEGMENTS).join("new"))?;
        let writer = Writer::begin(folder.path(), &model.contract(), dim)?;
        let (columns, copies, counts) = Default::default();
        Ok(Self { folder, number, writer, columns, copies, counts, back })
    }

    fn written(&self, item: &Item) -> Item {
        match &self.back {
            Some((now, was)) => item.clone().moved(now, was),
            None => item.clone(),
        }
    }

    /// Adds a row `[D]`.
    ///
    /// # Errors
    /// No space.
    pub fn push(&mut self, item: &Item, facts: &Facts, row: &[f32]) -> Result<()> {
        self.writer.push(&self.written(item), row)?;
        self.columns.push(self.writer.bytes(), facts, item.modality);
        *self.counts.entry(item.modality).or_insert(0) += 1;
        Ok(())
    }

    /// Adds an item that holds what another one of the index holds.
    pub fn copy(&mut self, item: Item, facts: Facts) {
        self.copies.push((item, facts));
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.columns.len() == 0 && self.copies.is_empty()
    }

    pub(crate) fn finish(mut self) -> Result<Whole> {
        let rows = self.columns.len();
        for (item, facts) in std::mem::take(&mut self.copies) {
            let end = self.writer.line(&self.written(&item))?;
            self.columns.push(end, &facts, item.modality);
        }
        let (folder, bytes) = (self.folder.path(), self.writer.bytes());
        let columns = self.columns.bytes();
        unisono_files::write(&folder.join(COLUMNS), &columns)?;
        let sum = self.writer.finish()?;
        let part = SegmentRef {
            number: self.number,
            rows,
            copies: self.columns.len() - rows,
            bytes,
            sum,
            vectors: sum_of(&folder.join(VECTORS))?,
            columns: hex(&Sha256::digest(&columns)),
            removed: None,
        };
        debug_assert!(folder.join(ITEMS).is_file());
        Ok(Whole { folder: self.folder, part, counts: self.counts })
    }
}

/// SHA-256 over a file's bytes.
pub(crate) fn sum_of(path: &Path) -> Result<String> {
    let mut file = unisono_files::open(path)?;
    let (mut hash, mut part) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let n = file.read(&mut part).map_err(Error::io(path, "read"))?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&part[..n]);
    }
}

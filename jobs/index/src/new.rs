//! A segment that is being made.

use crate::codes::{Codes, Rows};
use crate::columns::Making;
use crate::graph::{Graph, Told};
use crate::header::{ModelRef, SegmentRef};
use crate::segment::vectors;
use crate::words;
use crate::{
    CODES, COLUMNS, CodesRef, Error, Facts, GRAPH, Item, Method, Result, Store, VECTORS, WORDS, Writer,
};
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
    dim: usize,
    writer: Writer,
    columns: Making,
    copies: Vec<(Item, Facts)>,
    counts: BTreeMap<Modality, usize>,
    method: Method,
    words: words::Making,
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
        (model, dim, method): (&ModelRef, usize, Method),
        back: Option<(PathBuf, PathBuf)>,
    ) -> Result<Self> {
        let folder = folder_beside(&index.join(crate::SEGMENTS).join("new"))?;
        let writer = Writer::begin(folder.path(), &model.contract(), dim)?;
        let (columns, copies, counts, words) = Default::default();
        Ok(Self { folder, number, dim, writer, columns, copies, counts, method, words, back })
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
        self.words.push(item);
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

    pub(crate) fn finish(mut self, told: Told) -> Result<Whole> {
        // Copies have no vector: nothing below is of them.
        let (rows, kinds) = (self.columns.len(), self.columns.modalities());
        for (item, facts) in std::mem::take(&mut self.copies) {
            let end = self.writer.line(&self.written(&item))?;
            self.columns.push(end, &facts, item.modality);
        }
        let (folder, bytes) = (self.folder.path(), self.writer.bytes());
        let columns = self.columns.bytes();
        unisono_files::write(&folder.join(COLUMNS), &columns)?;
        let sum = self.writer.finish()?;
        let words = self.words.bytes();
        unisono_files::write(&folder.join(WORDS), &words)?;
        let (codes, graph) = derived(folder, &self.method, &kinds, (self.dim, &sum), told)?;
        let part = SegmentRef {
            number: self.number,
            rows,
            copies: self.columns.len() - rows,
            bytes,
            sum,
            vectors: sum_of(&folder.join(VECTORS))?,
            columns: hex(&Sha256::digest(&columns)),
            codes,
            graph,
            words: Some(hex(&Sha256::digest(&words))),
            removed: None,
        };
        Ok(Whole { folder: self.folder, part, counts: self.counts })
    }
}

/// Writes what a segment of this method has beside its vectors, which are whole in `folder`.
fn derived(
    folder: &Path,
    method: &Method,
    kinds: &[Modality],
    (dim, sum): (usize, &str),
    told: Told,
) -> Result<(Option<CodesRef>, Option<String>)> {
    let (store, rows) = (method.store, kinds.len());
    if store == Store::F32 && rows < method.graph.from() || rows == 0 {
        return Ok((None, None));
    }
    let (map, values) = vectors(&folder.join(VECTORS), [rows, dim], sum)?;
    let values: &[f32] = bytemuck::try_cast_slice(&map[values]).unwrap_or_default();
    let mut of = Rows::Floats { values, dim };
    let codes;
    let mut named = None;
    if store != Store::F32 {
        let path = folder.join(CODES);
        Codes::write(&path, store, values, dim)?;
        codes = Codes::open(&path, store, rows, dim)?;
        named = Some(CodesRef { store, sum: sum_of(&path)? });
        // Signs alone say too little of who is whose neighbour.
        if store != Store::B1 {
            of = Rows::Codes(&codes);
        }
    }
    let path = folder.join(GRAPH);
    let linked = Graph::write(&path, kinds, method.graph.from(), of, told)?;
    Ok((named, if linked { Some(sum_of(&path)?) } else { None }))
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
